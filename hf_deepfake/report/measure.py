"""From a table of scores to a report and its figures: no images and no model are needed any more."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from hf_deepfake.metrics.result import evaluate_scores
from hf_deepfake.metrics.score_table import groups_of
from hf_deepfake.metrics.subgroups import measure_subsets, own_thresholds
from hf_deepfake.report import figures
from hf_deepfake.report.report import CheckpointInfo, Report


def measure(table: pd.DataFrame, checkpoint: CheckpointInfo, *, test_looks: int | None = None, **known: Any) -> Report:
    """Measure scored images at a checkpoint's operating point.

    Args:
        table: of `scores.score_table`, with one split or more.
        checkpoint: what scored them.
        test_looks: how often the run has looked at the split test, this time included; None where that is not known.
        **known: further fields of the report.

    Returns:
        The report.
    """
    splits = {
        str(name): evaluate_scores(
            part["score"],
            part["label"],
            groups_of(part),
            checkpoint.operating_point,
            abstention_band=checkpoint.abstention_band,
            test_looks=test_looks if name == "test" else None,
        )
        for name, part in table.groupby("split", sort=False)
    }
    report = Report(checkpoint=checkpoint, splits=splits, **known)
    judged = table[table["split"] == report.evaluated_split]
    return replace(
        report,
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
        "roc.png": figures.roc_figure(scores, labels, result, groups),
        "reliability.png": figures.reliability_figure(scores, labels, result),
        "scores.png": figures.score_histogram_figure(
            scores, labels, result.threshold, report.checkpoint.abstention_band
        ),
    }
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
