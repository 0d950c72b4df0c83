"""Take an evaluation into the report of the checkpoint that it evaluated, for its card."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from hf_deepfake.errors import InputError
from hf_deepfake.files import local_path
from hf_deepfake.metrics.score_table import SCORES_FILE, load_scores, save_scores
from hf_deepfake.report.measure import measure
from hf_deepfake.report.report import REPORT_FILE, Report


def adopt(checkpoint: str | Path, evaluation: Report, table: pd.DataFrame) -> None:
    """Add an evaluation's results to a checkpoint's report, in place of earlier ones on the same images.

    On the data that the checkpoint was trained on, what was measured becomes the result on the split test. Of other
    data, each source becomes a row of `cross_data`.

    Args:
        checkpoint: folder of the checkpoint, with its report and scores.
        evaluation: of this checkpoint.
        table: the evaluation's scores.

    Raises:
        InputError: the folder has no report, or the evaluation is of another checkpoint or operating point, or mixes
            images or data that the checkpoint was trained on with others.
    """
    folder = local_path(checkpoint)
    report = Report.load(folder / REPORT_FILE)
    if replace(evaluation.checkpoint, decided_on=report.checkpoint.decided_on) != report.checkpoint:
        raise InputError(f"{folder} is not the checkpoint that was evaluated; evaluate it again")
    if evaluation.data["fingerprint"] == report.data.get("fingerprint"):
        kept = load_scores(folder / SCORES_FILE)
        table = pd.concat([kept[kept["split"] != "test"], table], ignore_index=True)
        looks = (report.splits["test"].test_looks or 0) + 1 if "test" in report.splits else 1
        measured = measure(table, report.checkpoint, test_looks=looks)
        save_scores(folder / SCORES_FILE, table)
        report = replace(
            report,
            splits=measured.splits,
            subsets=measured.subsets,
            own_thresholds=measured.own_thresholds,
            robustness=evaluation.robustness or report.robustness,
            errors=evaluation.errors or report.errors,
        )
    elif known := set(evaluation.data["sources"]) & set(report.data.get("sources", {})):
        raise InputError(
            f"the checkpoint was trained on {', '.join(sorted(known))}; evaluate other data apart from it, or exactly "
            "the data of the training for its test split"
        )
    elif seen := evaluation.data.get("seen"):
        raise InputError(
            f"{seen} of the evaluated images had a part in making the checkpoint, so that they are no row of unseen "
            "data; leave them out and evaluate again"
        )
    else:
        result = evaluation.splits[evaluation.evaluated_split]
        sources = evaluation.subsets.get("source") or {next(iter(evaluation.data["sources"])): result}
        report = replace(report, cross_data=report.cross_data | sources)
    report.save(folder / REPORT_FILE)
