import numpy as np
import pandas as pd
import pytest

from hf_deepfake.report.risk_coverage import risk_coverage, risk_coverage_figure


def test_the_curve_by_hand():
    # by distance from .5 in log odds: .95 (right), .1 (a fake: wrong), .8 (right), .4 (right)
    coverage, risk = risk_coverage(np.array([0.1, 0.95, 0.4, 0.8]), np.array([1, 1, 0, 1]), 0.5)
    assert coverage == pytest.approx([0.25, 0.5, 0.75, 1])
    assert risk == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4])


def test_equal_confidence_is_taken_together_and_the_threshold_counts():
    coverage, risk = risk_coverage(np.array([0.2, 0.2, 0.2, 0.9]), np.array([0, 1, 1, 1]), 0.2)
    assert coverage == pytest.approx([0.25, 1, 1, 1])
    assert risk == pytest.approx([0, 1 / 4, 1 / 4, 1 / 4])  # at .2 all three are called fake, and one is real


def test_each_set_has_a_line_and_the_band_a_point():
    table = pd.DataFrame({"score": [0.1, 0.5, 0.9], "label": [0, 1, 0]})
    figure = risk_coverage_figure({"street": table, "own": table}, 0.5, (0.4, 0.6), "own")
    lines = figure.axes[0].get_lines()
    points = [line for line in lines if line.get_marker() == "o"]
    assert [line.get_label() for line in lines if line.get_marker() != "o"] == ["street", "own"]
    assert [(*point.get_xdata(), *point.get_ydata()) for point in points] == [pytest.approx((2 / 3, 1 / 2))] * 2
    assert len({line.get_color() for line in lines}) == 2
    assert len(lines[0].get_xdata()) == 0  # of three images no curve is drawn: each is noise
