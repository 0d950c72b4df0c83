"""Take an evaluation into the report of the checkpoint that it evaluated, for its card."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from hf_deepfake.errors import InputError
from hf_deepfake.files import local_path
from hf_deepfake.metrics.score_table import COLUMNS, SCORES_FILE, load_scores, save_scores
from hf_deepfake.report.measure import FOREIGN, measure
from hf_deepfake.report.report import REPORT_FILE, Report


def adopt(checkpoint: str | Path, evaluation: Report, table: pd.DataFrame) -> None:
    """Add an evaluation's results to a checkpoint's report, in place of earlier ones on the same images.

    On the data that the checkpoint was trained on, what was measured becomes the result on the split test. What was
    evaluated as foreign joins the foreign results, in place of earlier ones of the same origins.

    Args:
        checkpoint: folder of the checkpoint, with its report and scores.
        evaluation: of this checkpoint.
        table: the evaluation's scores.

    Raises:
        InputError: the folder has no report, or the evaluation is of another checkpoint or operating point, or of data
            that are neither those of the training nor foreign.
    """
    folder = local_path(checkpoint)
    report = Report.load(folder / REPORT_FILE)
    if replace(evaluation.checkpoint, decided_on=report.checkpoint.decided_on) != report.checkpoint:
        raise InputError(f"{folder} is not the checkpoint that was evaluated; evaluate it again")
    kept = load_scores(folder / SCORES_FILE)
    by_video = report.videos.decision if report.videos else None
    if evaluation.foreign is not None:
        origins = set(evaluation.foreign.origins)
        others = kept[(kept["split"] != FOREIGN) | ~kept["origin"].isin(origins)]
        table = pd.concat([others, table.assign(split=FOREIGN)], ignore_index=True).astype(COLUMNS)
        measured = measure(table, report.checkpoint, video_decision=by_video)
        foreign = measured.foreign
        assert foreign is not None
        save_scores(folder / SCORES_FILE, table)
        report = replace(report, foreign=foreign.counting(report.foreign, origins), videos=measured.videos)
    elif evaluation.data["fingerprint"] == report.data.get("fingerprint"):
        table = pd.concat([kept[kept["split"] != "test"], table], ignore_index=True)
        looks = (report.splits["test"].test_looks or 0) + 1 if "test" in report.splits else 1
        measured = measure(table, report.checkpoint, video_decision=by_video, test_looks=looks)
        save_scores(folder / SCORES_FILE, table)
        report = replace(
            report,
            splits=measured.splits,
            subsets=measured.subsets,
            own_thresholds=measured.own_thresholds,
            videos=measured.videos,
            robustness=evaluation.robustness or report.robustness,
            errors=evaluation.errors or report.errors,
        )
    else:
        raise InputError(
            f"{folder} was trained on other data; give exactly those for the results on its test split, or add "
            "--foreign for data foreign to it"
        )
    report.save(folder / REPORT_FILE)
