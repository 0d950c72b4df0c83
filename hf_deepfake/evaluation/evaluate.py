"""Evaluate a checkpoint on any data."""

from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from accelerate import PartialState
from datasets import Dataset, DatasetDict, concatenate_datasets
from numpy.typing import NDArray
from torch import nn

from hf_deepfake.config import DataConfig
from hf_deepfake.data.data_report import DataReport
from hf_deepfake.data.load import prepare
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.inference import predict_logits
from hf_deepfake.evaluation.robustness import measure_robustness
from hf_deepfake.evaluation.unseen import check_foreign, count_seen, without_seen
from hf_deepfake.machine import WAIT, best_device, default_workers, share_cores
from hf_deepfake.metrics.calibration import fake_probability
from hf_deepfake.metrics.foreign import measure_foreign
from hf_deepfake.metrics.score_table import groups_of, score_table
from hf_deepfake.models.checkpoint import LoadedCheckpoint, load_checkpoint
from hf_deepfake.report.measure import measure
from hf_deepfake.report.report import REPORT_FILE, CheckpointInfo, Report

ALL = "all"
"""Name of what all splits of the data make together."""


def evaluate(
    checkpoint: str | Path,
    config: DataConfig,
    *,
    split: Literal["test", "all"] = "test",
    foreign: bool = False,
    robustness: Literal["off", "mild", "full"] = "off",
) -> tuple[Report, pd.DataFrame]:
    """Evaluate a checkpoint; under `accelerate launch` every process calls this.

    Images that it was trained on or decided by do not evaluate it, in whatever set they come: more than a few are
    refused, a few are counted in the report (`data["seen"]`).

    Args:
        checkpoint: folder, or `owner/name` on the Hub.
        config: sources and options.
        split: "test" for the test split, which is made where a source has no splits, and then holds the same images
            as that of a training run on this source; "all" for all images, which is right for data of which the
            checkpoint has seen nothing.
        foreign: the data are foreign to training and calibration: all images count, those left out that had a part in
            the checkpoint, and the report has results by origin, with their mean and the worst.
        robustness: also score the images degraded: in the 15 conditions of the mild set, or in all 165.

    Returns:
        The report, and the table of scores that it was made of; the same on every process.

    Raises:
        InputError: checkpoint or data cannot be used, or the checkpoint was trained on what it shall be evaluated by.
    """
    loaded = load_checkpoint(checkpoint)
    split = ALL if foreign else split
    data, data_report = load_split(config, split)
    if foreign:
        check_foreign(checkpoint, roles_of(loaded), data_report.origins)
        data[split] = without_seen(data[split], loaded.seen, config)
    seen = count_seen(checkpoint, loaded.seen, data[split], config)
    if seen is None and split == ALL and data_report.fingerprint == loaded.data_fingerprint:
        raise InputError(
            f"{checkpoint} was trained on these images, so that all of them together tell nothing; give --split test"
        )
    scores = fake_probability(score(loaded, data[split]), folded_point=loaded.operating_point)
    table = score_table(data, {split: scores})
    found = [] if robustness == "off" else measure_robustness(loaded, data[split], groups_of(table), robustness)
    known = data_report.to_dict() | ({} if seen is None else {"seen": seen})
    elsewhere = measure_foreign(table, loaded.operating_point, loaded.abstention_band) if foreign else None
    return measure(table, describe(loaded), data=known, robustness=found, foreign=elsewhere), table


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
    file = loaded.folder / REPORT_FILE
    return Report.load(file).roles if loaded.trusted and file.is_file() else {}


def score(loaded: LoadedCheckpoint, images: Dataset) -> NDArray:
    """Logits of a checkpoint's model; see `score_model`.

    Args:
        loaded: the checkpoint.
        images: with columns image and label.

    Returns:
        float64 (N, 2), real and fake, the same on every process.
    """
    return score_model(loaded.model, loaded.config["pretrained_cfg"], images)


def score_model(model: nn.Module, preprocessing: dict[str, Any], images: Dataset) -> NDArray:
    """Logits of a model, on the GPU where there is one, by all processes together.

    Args:
        model: with logits (real, fake).
        preprocessing: timm's, as of `models.build.data_config`.
        images: with columns image and label.

    Returns:
        float64 (N, 2), real and fake, the same on every process.
    """
    state = PartialState()
    device = torch.device(state.device or "cpu")
    if device.type == "cpu":
        share_cores(state.num_processes)
    model = model.to(device).to(memory_format=torch.channels_last)
    return predict_logits(model, images, preprocessing, default_workers(state.num_processes), title="scores")


def describe(loaded: LoadedCheckpoint) -> CheckpointInfo:
    """What a report says of a checkpoint.

    Args:
        loaded: the checkpoint.

    Returns:
        The description.
    """
    return CheckpointInfo(
        model=loaded.config["architecture"],
        image_size=loaded.config["pretrained_cfg"]["input_size"][-1],
        parameters=sum(parameter.numel() for parameter in loaded.model.parameters()),
        temperature=loaded.temperature,
        operating_point=loaded.operating_point,
        criterion=loaded.criterion,
        abstention_band=loaded.abstention_band,
        confident_error=loaded.confident_error,
    )
