"""Figures of a report, from counts, scores and the run record; no images needed.

Colours are Okabe and Ito's, which colour-blind readers tell apart; a light ground of its own keeps a figure
readable on a dark page.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from hf_deepfake.config import LABELS
from hf_deepfake.files import local_path, replacing
from hf_deepfake.metrics.bootstrap import roc_band
from hf_deepfake.metrics.classification import BINS, Ranking
from hf_deepfake.metrics.conditions import ConditionResult
from hf_deepfake.metrics.result import SplitResult
from hf_deepfake.report.report import MAIN_METRICS

REAL, FAKE, MARK = "#0072B2", "#D55E00", "#009E73"
GROUND, INK, PALE = "#FBFBF9", "#222222", "#9A9A94"
DPI = 150


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG at 150 dpi, whole or not at all.

    Args:
        figure: from one of the functions below.
        path: file to write or replace.
    """
    with replacing(local_path(path)) as temporary:
        FigureCanvasAgg(figure).print_figure(temporary, format="png", dpi=DPI)


def confusion_figure(result: SplitResult) -> Figure:
    """Draw the confusion matrix: counts, and shares of each true class.

    Args:
        result: the split.

    Returns:
        The figure.
    """
    figure, axes = panel((4.6, 4.2), f"Verdicts at P(fake) ≥ {result.threshold:.2f}")
    count = result.confusion
    matrix = np.array([[count["tn"], count["fp"]], [count["fn"], count["tp"]]])
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(2, 2):
        share = float(shares[row, column])
        text = f"{matrix[row, column]:,}\n{share:.1%}"
        axes.text(column, row, text, ha="center", va="center", fontsize=14, color="white" if share > 0.55 else INK)
    axes.set_xticks([0, 1], [f"called {name}" for name in LABELS])
    axes.set_yticks(
        [0, 1], [f"{name}\n(n = {total:,})" for name, total in zip(LABELS, matrix.sum(axis=1), strict=True)]
    )
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    return figure


def roc_figure(
    scores: ArrayLike, labels: ArrayLike, result: SplitResult, groups: Sequence[Any] | None = None
) -> Figure:
    """Draw the ROC curve with its pointwise 95 % bootstrap band and the operating point.

    Args:
        scores: (N,) P(fake), in [0, 1].
        labels: (N,) integers, 0 real and 1 fake; both must occur.
        result: the same scores' result.
        groups: N group names that were resampled for `result`.

    Returns:
        The figure.
    """
    false, true = Ranking(scores, labels).curve(np.ones(result.n, np.int64))
    rates, low, high = roc_band(scores, labels, groups)
    figure, axes = panel((4.8, 5.4), "ROC curve", "False alarms: real images called fake", "Fakes found")
    axes.plot([0, 1], [0, 1], color=PALE, linewidth=1, linestyle="--", label="chance")
    axes.fill_between(rates, low, high, color=REAL, alpha=0.2, linewidth=0, label="95 % band")
    axes.plot(
        false / false[-1],
        true / true[-1],
        color=REAL,
        linewidth=1.8,
        clip_on=False,
        label=f"AUC {result.metrics['auc']}",
    )
    axes.plot(
        result.confusion["fp"] / result.n_real,
        result.confusion["tp"] / result.n_fake,
        "o",
        color=FAKE,
        markersize=7,
        label=f"P(fake) ≥ {result.threshold:.2f}",
        clip_on=False,
        zorder=3,
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    in_percent(axes)
    legend_below(figure, axes, columns=2)
    return figure


def reliability_figure(scores: ArrayLike, labels: ArrayLike, result: SplitResult) -> Figure:
    """Draw the share of fakes against the mean score in 15 bins of equal mass.

    Bars are Wilson's 95 % intervals, which take images as independent.

    Args:
        scores: (N,) P(fake), in [0, 1].
        labels: (N,) integers, 0 real and 1 fake.
        result: the same scores' result.

    Returns:
        The figure.
    """
    bins = Ranking(scores, labels).bins(np.ones(result.n, np.int64))
    share = bins.fake / bins.weight
    ends = [
        binomtest(int(k), int(n)).proportion_ci(method="wilson") for k, n in zip(bins.fake, bins.weight, strict=True)
    ]
    # Rounding may put an end of the interval a hair on the wrong side of the share.
    below = np.maximum(share - [end.low for end in ends], 0)
    above = np.maximum([end.high for end in ends] - share, 0)
    figure, axes = panel((4.8, 5.4), "Do the scores mean what they say?", "Mean score P(fake)", "Share that is fake")
    axes.plot([0, 1], [0, 1], color=PALE, linewidth=1, linestyle="--", label="perfectly calibrated")
    axes.errorbar(
        bins.score,
        share,
        yerr=[below, above],
        fmt="o",
        color=REAL,
        markersize=5,
        linewidth=1.2,
        label=f"{BINS} bins of equal mass, 95 % intervals; ECE {result.metrics['ece']}",
        clip_on=False,
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    in_percent(axes)
    legend_below(figure, axes, columns=1)
    return figure


def score_histogram_figure(
    scores: ArrayLike, labels: ArrayLike, threshold: float = 0.5, abstention_band: tuple[float, float] | None = None
) -> Figure:
    """Draw how the scores of each class are spread.

    Args:
        scores: (N,) P(fake), in [0, 1].
        labels: (N,) integers, 0 real and 1 fake.
        threshold: an image counts as fake from this score on.
        abstention_band: lowest and highest score that is unsure.

    Returns:
        The figure.
    """
    score, label = np.asarray(scores), np.asarray(labels)
    figure, axes = panel((6.4, 3.6), "Scores of each class", "Score P(fake)", "Images")
    for index, (name, colour) in enumerate(zip(LABELS, (REAL, FAKE), strict=True)):
        counts, edges = np.histogram(score[label == index], bins=40, range=(0, 1))
        axes.stairs(counts, edges, fill=True, color=colour, alpha=0.25)
        axes.stairs(counts, edges, color=colour, linewidth=1.6, label=f"{name} (n = {counts.sum():,})")
    if abstention_band is not None:
        axes.axvspan(*abstention_band, color=PALE, alpha=0.25, linewidth=0, label="unsure", zorder=0)
    axes.axvline(threshold, color=INK, linewidth=1, linestyle="--", label=f"threshold {threshold:.2f}")
    axes.set_xlim(0, 1)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    legend_below(figure, axes, columns=4)
    return figure


def learning_curves_figure(history: Sequence[Mapping[str, Any]], monitor: str, best_epoch: int | None = None) -> Figure:
    """Draw losses and the monitored metric over the epochs of all stages.

    Args:
        history: for each epoch `epoch` (from 1), `stage` (its name), `train_loss`, and on the validation split
            `log_loss` and the value of `monitor`; None or NaN where it was not measured.
        monitor: name of the metric that chose the epoch.
        best_epoch: the epoch that was kept.

    Returns:
        The figure.
    """
    figure = _sheet((8.4, 3.7))
    losses, metric = figure.subplots(1, 2)
    title = MAIN_METRICS.get(monitor, monitor.replace("_", " "))
    stages = itertools.groupby(history, key=lambda row: row["stage"])
    spans = {name: [row["epoch"] for row in rows] for name, rows in stages}
    x_label = "Epoch (" + ", ".join(f"{name} from {span[0]}" for name, span in spans.items()) + ")"
    dress(losses, "Loss", x_label, "Cross-entropy")
    dress(metric, f"{title} on validation", x_label, title)
    epochs = [row["epoch"] for row in history]
    curves = [
        (losses, "train_loss", PALE, "train loss"),
        (losses, "log_loss", REAL, "validation loss"),
        (metric, monitor, REAL, None),
    ]
    for axes, key, colour, label in curves:
        values = np.array([row[key] for row in history], np.float64)
        axes.plot(epochs, values, "o-", color=colour, markersize=4, linewidth=1.6, label=label)
    for axes in (losses, metric):
        for earlier, later in itertools.pairwise(spans.values()):
            axes.axvline((earlier[-1] + later[0]) / 2, color=PALE, linewidth=1)
        if best_epoch is not None:
            axes.axvline(best_epoch, color=FAKE, linewidth=1.2, linestyle="--", label=f"best epoch ({best_epoch})")
        axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    legend_below(figure, losses, columns=3)
    return figure


def robustness_figure(results: Sequence[ConditionResult]) -> Figure:
    """Draw the AUC under every family and severity, the weakest family first; the mild set is framed.

    Args:
        results: of `robustness.measure_robustness`; every AUC defined.

    Returns:
        The figure.
    """
    clean = next(one for one in results if not one.severity)
    by_family: dict[str, list[ConditionResult]] = {}
    for one in results:
        if one.severity:
            by_family.setdefault(one.family, []).append(one)
    rows = sorted(by_family.values(), key=lambda row: min(one.auc.value or 0.0 for one in row))
    values = np.full((len(rows), max(one.severity for one in results)), np.nan)
    for place, row in enumerate(rows):
        values[place, [one.severity - 1 for one in row]] = [one.auc.value for one in row]
    title = f"AUC under degradations (clean {clean.auc.value:.3f})"
    figure, axes = panel((6.4, 1.5 + 0.27 * len(rows)), title, "Severity")
    low, high = min(0.5, np.nanmin(values)), max(clean.auc.value or 1.0, np.nanmax(values))
    axes.imshow(values, cmap="viridis", vmin=low, vmax=high, aspect="auto")
    for place, row in enumerate(rows):
        for one in row:
            value, column = one.auc.value or 0.0, one.severity - 1
            ink = INK if value > (low + high) / 2 else "white"
            axes.text(column, place, f"{value:.3f}", ha="center", va="center", fontsize=8, color=ink)
            if one.mild:
                corner = (column - 0.48, place - 0.46)
                axes.add_patch(Rectangle(corner, 0.96, 0.92, fill=False, edgecolor=FAKE, linewidth=1.4))
    axes.set_xticks(range(values.shape[1]), [str(column + 1) for column in range(values.shape[1])])
    axes.set_yticks(range(len(rows)), [row[0].family.replace("_", " ") for row in rows])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    return figure


def comparison_figure(results: Mapping[str, SplitResult]) -> Figure:
    """Draw AUC and accuracy of several detectors with their intervals, the best AUC at the top.

    Args:
        results: of each detector on the same images, by name.

    Returns:
        The figure.
    """
    names = sorted(results, key=lambda name: results[name].metrics["auc"].value or 0.0)
    figure = _sheet((8.2, 1.7 + 0.3 * len(names)))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, metric, colour in zip(panels, ("auc", "accuracy"), (REAL, FAKE), strict=True):
        dress(axes, MAIN_METRICS[metric], "", "")
        axes.axvline(0.5, color=PALE, linewidth=1, linestyle="--")
        for place, name in enumerate(names):
            one = results[name].metrics[metric]
            if one.value is not None:
                axes.plot(one.value, place, "o", color=colour, markersize=5)
            if one.low is not None and one.high is not None:
                axes.plot([one.low, one.high], [place, place], color=colour, linewidth=1.6)
        axes.grid(axis="y", visible=False)
    panels[0].set_yticks(range(len(names)), names)
    figure.supxlabel("with 95 % intervals; dashed: chance", fontsize=9, color=INK)
    return figure


def _sheet(size: tuple[float, float]) -> Figure:
    """An empty figure of `size` inches with the common ground and margins."""
    margins = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    return Figure(figsize=size, facecolor=GROUND, layout=margins)


def panel(size: tuple[float, float], title: str, x_label: str = "", y_label: str = "") -> tuple[Figure, Axes]:
    """Make a figure of one panel in the common look.

    Args:
        size: width and height, inches.
        title: above the panel.
        x_label: of the horizontal axis.
        y_label: of the vertical axis.

    Returns:
        The figure and its panel.
    """
    figure = _sheet(size)
    axes = figure.subplots()
    dress(axes, title, x_label, y_label)
    return figure, axes


def dress(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    """Give a panel the common look."""
    axes.set_facecolor(GROUND)
    axes.set_title(title, fontsize=12, color=INK, loc="left", pad=10)
    axes.set_xlabel(x_label, fontsize=10, color=INK)
    axes.set_ylabel(y_label, fontsize=10, color=INK)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(color="#E4E4DE", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)


def legend_below(figure: Figure, axes: Axes, columns: int) -> None:
    """Explain a panel's lines under the figure, where no data can lie.

    Args:
        figure: that receives the legend.
        axes: the panel.
        columns: of the legend.
    """
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=9, frameon=False)


def in_percent(axes: Axes) -> None:
    """Label both axes from 0 to 100 %.

    Args:
        axes: the panel.
    """
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
        axis.set_ticks(np.linspace(0, 1, 6))
