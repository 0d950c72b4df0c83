"""Evaluate a checkpoint or a model of others on any data."""

from collections.abc import Mapping
from typing import Literal

import pandas as pd
from accelerate import PartialState
from datasets import DatasetDict, concatenate_datasets

from hf_deepfake.config import DataConfig
from hf_deepfake.data.data_report import DataReport
from hf_deepfake.data.load import prepare
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.others import Model, check_labels_used, open_scorer
from hf_deepfake.evaluation.robustness import measure_robustness
from hf_deepfake.evaluation.scorers import Scorer
from hf_deepfake.evaluation.unseen import check_foreign, count_seen, without_seen
from hf_deepfake.machine import WAIT, best_device
from hf_deepfake.metrics.foreign import measure_foreign
from hf_deepfake.metrics.score_table import groups_of, score_table
from hf_deepfake.models.checkpoint import LoadedCheckpoint
from hf_deepfake.report.measure import measure
from hf_deepfake.report.report import REPORT_FILE, Report

ALL = "all"
"""Name of what all splits of the data make together."""


def evaluate(
    model: Model,
    config: DataConfig,
    *,
    split: Literal["test", "all"] = "test",
    foreign: bool = False,
    robustness: Literal["off", "mild", "full"] = "off",
    labels: Mapping[str, str] | None = None,
) -> tuple[Report, pd.DataFrame]:
    """Evaluate a checkpoint, or a model of others; under `accelerate launch` every process calls this.

    Images that a checkpoint was trained on or decided by do not evaluate it, in whatever set they come: more than a few
    are refused, a few are counted in the report (`data["seen"]`). Models of others don't say what they have seen, and
    state no decision: verdicts are by P(fake) of .5, at temperature 1, and never unsure.

    Args:
        model: a checkpoint's folder, or "owner/name" on the Hub, where "@" and a branch, tag or commit may follow; an
            image-classification model of `transformers`, as folder or on the Hub; or "module:function" or the function
            itself, from a list of RGB images (PIL) to P(fake) of each. No code of a checkpoint or model is run; that of
            a function is.
        config: sources and options.
        split: "test" for the test split, which is made where a source has no splits, and then holds the same images
            as that of a training run on this source; "all" for all images, which is right for data of which the
            checkpoint has seen nothing.
        foreign: the data are foreign to training and calibration: all images count, those left out that had a part in
            the checkpoint, and the report has results by origin, with their mean and the worst.
        robustness: also score the images degraded: in the 15 conditions of the mild set, or in all 165.
        labels: "real" or "fake" by label of a model of others, where its name doesn't say it.

    Returns:
        The report, and the table of scores that it was made of; the same on every process.

    Raises:
        InputError: model or data cannot be used, or a checkpoint was trained on what it shall be evaluated by.
    """
    scorer = open_scorer(model, labels)
    check_labels_used(labels, [scorer])
    split = ALL if foreign else split
    return evaluate_on(scorer, config, *load_split(config, split), foreign=foreign, robustness=robustness)


def evaluate_on(
    scorer: Scorer,
    config: DataConfig,
    data: DatasetDict,
    data_report: DataReport,
    *,
    foreign: bool = False,
    robustness: Literal["off", "mild", "full"] = "off",
) -> tuple[Report, pd.DataFrame]:
    """Evaluate what `open_scorer` opened on data that `load_split` loaded; see `evaluate`.

    Args:
        scorer: what is evaluated.
        config: what the data were loaded with.
        data: with one split named "all", or else "test".
        data_report: of `load_split`.
        foreign: see `evaluate`.
        robustness: see `evaluate`.

    Returns:
        The report, and the table of scores.

    Raises:
        InputError: as for `evaluate`.
    """
    loaded = scorer.loaded
    split, data = ALL if ALL in data else "test", DatasetDict(data)
    past = None if loaded is None else loaded.seen
    if foreign:
        check_foreign(scorer.name, {} if loaded is None else roles_of(loaded), data_report.origins)
        data[split] = without_seen(data[split], past, config)
    seen = count_seen(scorer.name, past, data[split], config)
    if seen is None and split == ALL and loaded and data_report.fingerprint == loaded.data_fingerprint:
        raise InputError(
            f"{scorer.name} was trained on these images, so that all of them together tell nothing; give --split test"
        )
    info = scorer.describe()
    before = None if loaded is None else report_of(loaded)
    table = score_table(data, {split: scorer.score(data[split], title="scores")})
    found = [] if robustness == "off" else measure_robustness(scorer, data[split], groups_of(table), robustness)
    known = data_report.to_dict() | ({} if seen is None else {"seen": seen})
    elsewhere = measure_foreign(table, info.operating_point, info.abstention_band) if foreign else None
    by_video = before.videos.decision if before and before.videos else None
    return measure(table, info, video_decision=by_video, data=known, robustness=found, foreign=elsewhere), table


def load_split(config: DataConfig, split: str) -> tuple[DatasetDict, DataReport]:
    """Load data of which one split is wanted, on all processes.

    Args:
        config: sources and options.
        split: name of a split, or "all".

    Returns:
        The splits, or "all" alone; and what was found.

    Raises:
        InputError: a source or option cannot be used, or the split is empty.
    """
    state = PartialState(cpu=best_device().type == "cpu", timeout=WAIT)
    with state.main_process_first():  # the others then find unpacked zips and hashes in the cache
        data, report = prepare(config, whole=split == ALL)
    if state.is_main_process:
        report.warn_of_losses()
    if split == ALL:
        data = DatasetDict({ALL: concatenate_datasets(list(data.values()))})
    if not len(data[split]):
        raise InputError(f"{', '.join(config.data)} has no {split} images; give --split all to take all of them")
    return data, report


def roles_of(loaded: LoadedCheckpoint) -> dict[str, list[str]]:
    """The roles that origins had for a checkpoint, as its report has them.

    Args:
        loaded: the checkpoint.

    Returns:
        `Report.roles`; empty where it has no report, or its weights have changed since.
    """
    report = report_of(loaded)
    return report.roles if report else {}


def report_of(loaded: LoadedCheckpoint) -> Report | None:
    """The report that lies beside a checkpoint.

    Args:
        loaded: the checkpoint.

    Returns:
        The report; None where there is none, or the weights have changed since.
    """
    file = loaded.folder / REPORT_FILE
    return Report.load(file) if loaded.trusted and file.is_file() else None
