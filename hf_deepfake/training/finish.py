"""What comes out of a run: the best epoch calibrated, exported once, scored once, and reported."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from datasets import Dataset, DatasetDict, Image
from numpy.typing import NDArray
from torch import nn

from hf_deepfake.config import TrainConfig
from hf_deepfake.data.load import DataReport
from hf_deepfake.evaluation import figures
from hf_deepfake.evaluation.calibration import fake_probability, fit_temperature
from hf_deepfake.evaluation.predict import predict_logits
from hf_deepfake.evaluation.report import CheckpointInfo, Report, evaluate_scores, save_scores
from hf_deepfake.files import replacing
from hf_deepfake.hub.card import LOCAL_OPTIONS, build_card
from hf_deepfake.models.build import data_config
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint
from hf_deepfake.training.resume import RunFolder

JUDGED = ("validation", "test")


def finish(
    config: TrainConfig,
    accelerator: Accelerator,
    run: RunFolder,
    net: nn.Module,
    data: DatasetDict,
    data_report: DataReport,
    workers: int,
) -> Report:
    """Export the best epoch and report on it; all processes score, the main one writes.

    The temperature is fitted on validation scores in float32, the precision that readers of the checkpoint use.
    What is scored on the test split is the exported folder itself.

    Args:
        config: the run.
        accelerator: of the run.
        run: the run's folder, with the best epoch's weights; receives `checkpoint/` and `scores.parquet`.
        net: the net on its device; its weights are replaced by the best epoch's.
        data: the splits.
        data_report: what is known of the data; goes into the report.
        workers: decoding processes for each process.

    Returns:
        The report, on every process.

    Raises:
        InputError: the checkpoint or the report cannot be written.
    """
    net.load_state_dict(run.load_best())
    preprocessing = data_config(net, config.image_size)
    logits = predict_logits(net, data["validation"], preprocessing, workers)
    temperature = fit_temperature(logits, data["validation"]["label"])
    if accelerator.is_main_process:
        shutil.rmtree(run.checkpoint, ignore_errors=True)
        export_checkpoint(
            net,
            run.checkpoint,
            image_size=config.image_size,
            temperature=temperature,
            data_fingerprint=data_report.fingerprint,
        )
        run.record["test_looks"] += 1
        run.save_record()
    accelerator.wait_for_everyone()
    loaded = load_checkpoint(run.checkpoint)
    folded = loaded.model.to(accelerator.device)
    scores = {name: fake_probability(predict_logits(folded, data[name], preprocessing, workers)) for name in JUDGED}
    report = Report(
        checkpoint=CheckpointInfo(
            model=config.model,
            image_size=config.image_size,
            parameters=sum(parameter.numel() for parameter in net.parameters()),
            temperature=temperature,
        ),
        splits={
            name: evaluate_scores(
                scores[name],
                np.asarray(data[name]["label"]),
                _groups(data[name]),
                test_looks=run.record["test_looks"] if name == "test" else None,
            )
            for name in JUDGED
        },
        data=data_report.to_dict(),
        training=_for_others(run.record),
    )
    if accelerator.is_main_process:
        _write(run, report, data, scores, config.monitor)
    accelerator.wait_for_everyone()
    return report


def _write(run: RunFolder, report: Report, data: DatasetDict, scores: dict[str, NDArray], monitor: str) -> None:
    """Scores beside the checkpoint; report, figures and card inside it."""
    columns: dict[str, list[Any]] = {name: [] for name in ("files", "splits", "labels", "groups", "sources")}
    for name in JUDGED:
        columns["files"] += _files(data[name])
        columns["splits"] += [name] * len(data[name])
        columns["labels"] += list(data[name]["label"])
        columns["groups"] += _groups(data[name]) or [None] * len(data[name])
        columns["sources"] += list(data[name]["source"])
    labels, result = np.asarray(data["test"]["label"]), report.splits["test"]
    drawn = {
        "confusion.png": figures.confusion_figure(result),
        "roc.png": figures.roc_figure(scores["test"], labels, result, _groups(data["test"])),
        "reliability.png": figures.reliability_figure(scores["test"], labels, result),
        "scores.png": figures.score_histogram_figure(scores["test"], labels),
        "learning_curves.png": figures.learning_curves_figure(run.record["epochs"], monitor, run.record["best_epoch"]),
    }
    save_scores(run.scores_file, scores=np.concatenate([scores[name] for name in JUDGED]), **columns)
    for name, figure in drawn.items():
        figures.save_figure(figure, run.checkpoint / name)
    report.save(run.checkpoint / "report.json")
    with replacing(run.checkpoint / "README.md") as temporary:
        temporary.write_text(build_card(report, figures=list(drawn)), encoding="utf-8")


def _for_others(record: dict[str, Any]) -> dict[str, Any]:
    """The run's record without what the report has elsewhere and without paths of this machine."""
    options = {name: value for name, value in record["options"].items() if name not in LOCAL_OPTIONS}
    options["pretrained"] = Path(options["pretrained"]).name
    return {name: value for name, value in record.items() if name != "data"} | {"options": options}


def _groups(split: Dataset) -> list[str | None] | None:
    """Group of each picture, None for one without; None where no groups are known."""
    return list(split["group"]) if "group" in split.column_names else None


def _files(split: Dataset) -> list[str]:
    """Path of each picture, or its number in the split where it has none."""
    images = split.select_columns(["image"]).cast_column("image", Image(decode=False))["image"]
    return [image["path"] or f"picture {number}" for number, image in enumerate(images)]
