"""From a table of scores to a report and its figures: no images and no model are needed any more."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from hf_deepfake.metrics.decision import Decision
from hf_deepfake.metrics.foreign import measure_foreign
from hf_deepfake.metrics.result import evaluate_scores
from hf_deepfake.metrics.score_table import groups_of
from hf_deepfake.metrics.subgroups import measure_subsets, own_thresholds
from hf_deepfake.metrics.videos import measure_videos
from hf_deepfake.report import figures
from hf_deepfake.report.report import CheckpointInfo, Report
from hf_deepfake.report.risk_coverage import risk_coverage_figure

FOREIGN = "foreign"
"""Split of the images foreign to training and calibration, in a checkpoint's table of scores."""


def measure(
    table: pd.DataFrame,
    checkpoint: CheckpointInfo,
    *,
    video_decision: Decision | None = None,
    test_looks: int | None = None,
    **known: Any,
) -> Report:
    """Measure scored images at a checkpoint's operating point, and videos where frames are known to be of one.

    Args:
        table: of `scores.score_table`, with one split or more besides foreign images.
        checkpoint: what scored them.
        video_decision: how the mean of a video's frames becomes a verdict, see `decide_videos`.
        test_looks: how often the run has looked at the split test, this time included; None where that is not known.
        **known: further fields of the report.

    Returns:
        The report.
    """
    known_splits, elsewhere = table[table["split"] != FOREIGN], table[table["split"] == FOREIGN]
    splits = {
        str(name): evaluate_scores(
            part["score"],
            part["label"],
            groups_of(part),
            checkpoint.operating_point,
            abstention_band=checkpoint.abstention_band,
            test_looks=test_looks if name == "test" else None,
        )
        for name, part in known_splits.groupby("split", sort=False)
    }
    if len(elsewhere):
        known["foreign"] = measure_foreign(elsewhere, checkpoint.operating_point, checkpoint.abstention_band)
    report = Report(checkpoint=checkpoint, splits=splits, **known)
    judged = table[table["split"] == report.evaluated_split]
    if report.foreign is not None and not len(elsewhere):  # an evaluation of nothing but foreign images
        elsewhere = judged
    return replace(
        report,
        videos=measure_videos(
            known_splits, elsewhere, checkpoint.operating_point, video_decision, report.evaluated_split
        ),
        subsets=measure_subsets(judged, checkpoint.operating_point),
        own_thresholds=own_thresholds(judged, checkpoint.operating_point),
    )


def draw_figures(report: Report, table: pd.DataFrame, folder: Path) -> list[str]:
    """Draw all figures of a report.

    Args:
        report: of `measure`.
        table: the scores that it was made of.
        folder: where to write them, as PNG.

    Returns:
        Names of the files.
    """
    result = report.splits[report.evaluated_split]
    judged = table[table["split"] == report.evaluated_split]
    scores, labels, groups = judged["score"].to_numpy(), judged["label"].to_numpy(), groups_of(judged)
    drawn = {
        "confusion.png": figures.confusion_figure(result),
        **({"roc.png": figures.roc_figure(scores, labels, result, groups)} if result.n_real and result.n_fake else {}),
        "reliability.png": figures.reliability_figure(scores, labels, result),
        "scores.png": figures.score_histogram_figure(
            scores, labels, result.threshold, report.checkpoint.abstention_band
        ),
    }
    foreign = table[table["split"] == FOREIGN] if FOREIGN in set(table["split"]) else judged if report.foreign else None
    if foreign is not None:
        sets = {str(name): part for name, part in foreign.groupby("origin")}
        own = None if foreign is judged else f"{report.evaluated_split} (its own sources)"
        drawn["risk_coverage.png"] = risk_coverage_figure(
            sets | ({} if own is None else {own: judged}),
            report.checkpoint.operating_point,
            report.checkpoint.abstention_band,
            own,
        )
    if report.robustness and all(one.auc.value is not None for one in report.robustness):
        drawn["robustness.png"] = figures.robustness_figure(report.robustness)
    if epochs := report.training.get("epochs"):
        options = report.training["options"]
        drawn["learning_curves.png"] = figures.learning_curves_figure(
            epochs, options["monitor"], report.training["best_epoch"]
        )
    for name, figure in drawn.items():
        figures.save_figure(figure, folder / name)
    return list(drawn)
