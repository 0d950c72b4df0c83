import numpy as np
import pytest
from PIL import Image

from hf_deepfake.metrics.result import evaluate_scores
from hf_deepfake.report import figures

GENERATOR = np.random.default_rng(0)
LABELS = np.arange(80) % 2
SCORES = 1 / (1 + np.exp(-GENERATOR.normal(size=80) - LABELS))
HISTORY = [
    {"epoch": epoch, "stage": "head" if epoch < 3 else "main", "train_loss": 1 / epoch, "log_loss": 0.5, "auc": 0.6}
    for epoch in range(1, 6)
]


@pytest.fixture(scope="module")
def result():
    return evaluate_scores(SCORES, LABELS, threshold=0.4)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_confusion_shows_counts_and_shares(result):
    texts = [text.get_text() for text in figures.confusion_figure(result).axes[0].texts]
    count = result.confusion
    assert [text.split("\n")[0] for text in texts] == [str(count[name]) for name in ("tn", "fp", "fn", "tp")]
    assert texts[3].split("\n")[1] == f"{count['tp'] / 40:.1%}"


def test_roc_marks_the_operating_point_and_states_the_interval(result):
    figure = figures.roc_figure(SCORES, LABELS, result)
    assert f"AUC {result.metrics['auc']}" in legend(figure)
    point = figure.axes[0].lines[-1]
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (result.confusion["fp"] / 40, result.confusion["tp"] / 40)


def test_reliability_plots_each_bin(result):
    figure = figures.reliability_figure(SCORES, LABELS, result)
    shares = figure.axes[0].containers[0].lines[0].get_ydata()
    assert len(shares) == 15
    assert (shares[0], shares[-1]) == (LABELS[np.argsort(-SCORES)][:5].mean(), LABELS[np.argsort(SCORES)][:5].mean())


def test_histogram_counts_each_class():
    figure = figures.score_histogram_figure(SCORES, LABELS, 0.4)
    assert legend(figure) == ["real (n = 40)", "fake (n = 40)", "threshold 0.40"]


def test_learning_curves_mark_stages_and_the_best_epoch():
    history = [*HISTORY[:4], {**HISTORY[4], "log_loss": None, "auc": float("nan")}]
    figure = figures.learning_curves_figure(history, "auc", best_epoch=4)
    losses, metric = figure.axes
    assert losses.get_xlabel() == "Epoch (head from 1, main from 3)"
    assert [line.get_xdata()[0] for line in losses.lines if len(line.get_xdata()) == 2] == [2.5, 4]
    assert legend(figure) == ["train loss", "validation loss", "best epoch (4)"]
    assert metric.get_title(loc="left") == "AUC on validation"


def test_figures_are_saved_whole_and_opaque(result, tmp_path):
    path = tmp_path / "confusion.png"
    figures.save_figure(figures.confusion_figure(result), path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.size == (690, 630)
        assert np.asarray(image.convert("RGBA"))[..., 3].min() == 255
    assert [item.name for item in tmp_path.iterdir()] == ["confusion.png"]
