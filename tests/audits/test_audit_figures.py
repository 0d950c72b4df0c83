"""What the figures of an audit show, by the values that were handed to them."""

from dataclasses import replace

import numpy as np

from hf_deepfake.audits.audit_figures import counts_figure, shortcuts_figure, sizes_figure, telling_figure
from hf_deepfake.report.figures import FAKE, REAL


def test_a_bar_for_each_class_of_each_split(made):
    (axes,) = counts_figure(made).axes
    real, fake = axes.containers
    assert [bar.get_width() for bar in real] == [40, 0, 20]
    assert [bar.get_width() for bar in fake] == [1200, 0, 28]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["train", "validation", "test"]
    assert {"40", "1,200", "0", "20", "28"} == {text.get_text() for text in axes.texts}


def test_shorter_sides_of_both_classes(made):
    (axes,) = sizes_figure(made).axes
    drawn = [patch.get_data() for patch in axes.patches]
    assert [list(data.edges) for data in drawn] == [[48, 56, 64]] * 4
    assert [list(data.values) for data in drawn] == [[0, 60], [0, 60], [28, 1200], [28, 1200]]
    assert "1,288 files" in axes.get_title(loc="left")


def test_what_is_surely_above_the_limit_is_red(made):
    (axes,) = shortcuts_figure(made).axes
    bars = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 5]
    assert [list(bar.get_xdata()) for bar in bars] == [[1, 1], [0.74, 0.88], [0.45, 0.65]]
    assert [bar.get_color() for bar in bars] == [FAKE, REAL, REAL]  # .74 lies below the limit of .75
    points = [line for line in axes.lines if line.get_marker() == "o"]
    assert [float(np.ravel(point.get_xdata())[0]) for point in points] == [1.0, 0.81, 0.55]
    assert axes.get_yticklabels()[0].get_text() == "Facts of the files"


def test_the_most_telling_features_beside_each_other(made):
    figure = telling_figure("facts", made.shortcuts["facts"])
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == ["format is PNG (AUC 1.00)", "bytes a pixel (AUC 0.75)"]  # of 0 and .25, the other way round
    values = [list(patch.get_data().values) for patch in figure.axes[1].patches]
    assert values == [[0.0, 0.25, 0.75]] * 2 + [[0.5, 0.5, 0.0]] * 2


def test_at_most_four_features_are_shown(made):
    one = made.shortcuts["content"]
    for count, panels in ((1, 1), (3, 3), (6, 4)):
        figure = telling_figure("content", replace(one, telling=one.telling * count))
        assert sum(axes.get_visible() for axes in figure.axes) == panels
