"""Write what a visitor sees of the checkpoint that the project ships: model_card.md and docs/flagship.png."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from sklearn.metrics import roc_curve

from hf_deepfake.files import replacing
from hf_deepfake.hub.card import build_card
from hf_deepfake.metrics.bootstrap import roc_band
from hf_deepfake.metrics.score_table import SCORES_FILE, groups_of, load_scores
from hf_deepfake.report.figures import FAKE, GROUND, INK, MARK, PALE, REAL, dress, save_figure
from hf_deepfake.report.report import REPORT_FILE, Report

ROOT = Path(__file__).parents[1]
SHIPPED = Path("space/checkpoint")
LICENSE = "cc-by-nc-4.0"
"""Of the weights: the training images allow no commercial use."""

KINDS = {
    "face swaps (DFDC)": ("dfdc", None, REAL),
    "early GANs (CIPLAB)": ("ciplab", ("began", "pggan", "stargan"), MARK),
    "composites (CIPLAB)": ("ciplab", ("easy", "mid", "hard"), FAKE),
}
"""What the test images hold: source, manipulations (None for all), and a colour."""


def card() -> str:
    """The card with its figures' paths from the root of the project.

    Returns:
        Markdown with YAML metadata.
    """
    figures = [path.name for path in (ROOT / SHIPPED).glob("*.png")]
    text = build_card(Report.load(ROOT / SHIPPED / REPORT_FILE), license=LICENSE, figures=figures)
    return re.sub(r"\]\((\w+\.png)\)", rf"]({SHIPPED}/\1)", text)


def kind_of(table: pd.DataFrame, source: str, manipulations: tuple[str, ...] | None) -> pd.DataFrame:
    """Test images of one source: its real ones, and its fakes or those of some manipulations."""
    table = table[(table["split"] == "test") & (table["source"] == source)]
    return table if manipulations is None else table[(table["label"] == 0) | table["manipulation"].isin(manipulations)]


def draw(report: Report, table: pd.DataFrame) -> Figure:
    """ROC curves by kind of fake, AUC under the mild degradations, and what scores mean.

    Args:
        report: of the checkpoint, with robustness.
        table: its scores.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(15.5, 5.2), facecolor=GROUND, layout="constrained")
    roc, mild, scores = figure.subplots(1, 3)
    dress(roc, "What it finds, by kind of fake", "False alarms: real images called fake", "Fakes found")
    dress(mild, "After compression", "AUC on all test images, 95 % intervals", "")
    dress(scores, "What its scores look like", "Score P(fake)", "Share of the class")
    for name, (source, manipulations, colour) in KINDS.items():
        kind = kind_of(table, source, manipulations)
        false, true, _ = roc_curve(kind["label"], kind["score"])
        rates, low, high = roc_band(kind["score"], kind["label"], groups_of(kind))
        roc.fill_between(rates, low, high, color=colour, alpha=0.15, linewidth=0)
        label = f"{name}: AUC {np.trapezoid(true, false):.3f}"
        roc.plot(false, true, color=colour, linewidth=1.8, label=label, clip_on=False)
    roc.plot([0, 1], [0, 1], color=PALE, linewidth=1, linestyle="--")
    roc.set(xlim=(0, 1), ylim=(0, 1))
    roc.legend(loc="lower right", fontsize=9, frameon=False)
    conditions = [one for one in report.robustness if one.mild or not one.severity]
    for place, one in enumerate(reversed(conditions)):
        colour = REAL if one.severity else INK
        mild.plot([one.auc.low, one.auc.high], [place, place], color=colour, linewidth=1.8)
        mild.plot(one.auc.value, place, "o", color=colour, markersize=5)
    names = [f"{one.family.replace('_', ' ')} {one.strength:g}" if one.severity else "clean" for one in conditions]
    mild.set_yticks(range(len(names)), reversed(names))
    mild.set_xlim(0.5, 1)
    test = table[table["split"] == "test"]
    for label, (name, colour) in enumerate({"real": REAL, "fake": FAKE}.items()):
        counts, edges = np.histogram(test["score"][test["label"] == label], bins=30, range=(0, 1))
        scores.stairs(counts / counts.sum(), edges, fill=True, color=colour, alpha=0.25)
        scores.stairs(counts / counts.sum(), edges, color=colour, linewidth=1.6, label=f"{name} (n = {counts.sum():,})")
    if report.checkpoint.abstention_band:
        scores.axvspan(
            *report.checkpoint.abstention_band, color=PALE, alpha=0.25, linewidth=0, zorder=0, label="unsure"
        )
    scores.axvline(report.checkpoint.operating_point, color=INK, linewidth=1, linestyle="--", label="threshold")
    scores.set_xlim(0, 1)
    scores.legend(loc="upper center", ncols=2, fontsize=9, facecolor=GROUND, edgecolor=GROUND, framealpha=1)
    scores.set_ylim(top=1.25 * scores.get_ylim()[1])
    scores.yaxis.set_major_formatter(PercentFormatter(1))
    return figure


if __name__ == "__main__":
    with replacing(ROOT / "model_card.md") as temporary:
        temporary.write_text(card(), encoding="utf-8")
    shipped = ROOT / SHIPPED
    save_figure(
        draw(Report.load(shipped / REPORT_FILE), load_scores(shipped / SCORES_FILE)), ROOT / "docs/flagship.png"
    )
