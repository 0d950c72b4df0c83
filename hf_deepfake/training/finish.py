"""What comes out of a run: the best epoch calibrated, exported once, scored once, and reported."""

import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
from accelerate import Accelerator
from datasets import Dataset, DatasetDict, Image
from torch import nn

from hf_deepfake.config import LABELS, TrainConfig
from hf_deepfake.data.load import DataReport, hash_images
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.calibration import fake_probability
from hf_deepfake.evaluation.decision import decide_by
from hf_deepfake.evaluation.evaluate import describe
from hf_deepfake.evaluation.measure import measure
from hf_deepfake.evaluation.predict import predict_logits
from hf_deepfake.evaluation.report import REPORT_FILE, ExplanationResult, Report
from hf_deepfake.evaluation.scores import SCORES_FILE, save_scores, score_table
from hf_deepfake.explain.errors import SHOWN, draw_sheet
from hf_deepfake.explain.faithfulness import measure_faithfulness
from hf_deepfake.files import replacing
from hf_deepfake.hub.render import render
from hf_deepfake.models.build import data_config
from hf_deepfake.models.checkpoint import LoadedCheckpoint, checkpoint_name, export_checkpoint, load_checkpoint
from hf_deepfake.models.seen import Seen
from hf_deepfake.pictures.crop import measure_margin
from hf_deepfake.pictures.open import open_picture
from hf_deepfake.training.resume import LOCAL_OPTIONS, RunFolder

JUDGED = ("validation", "test")

MAPS_FILE = "maps.jpg"

MARGIN_PICTURES = 200
"""Training pictures from which the margin around the face is measured: medians need no more."""


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
        run: the run's folder, with the best epoch's weights; receives `checkpoint/` and, where maps are measured,
            `maps.jpg`.
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
    decision = decide_by(config, logits, data["validation"]["label"])
    if accelerator.is_main_process:
        shutil.rmtree(run.checkpoint, ignore_errors=True)
        export_checkpoint(
            net,
            run.checkpoint,
            image_size=config.image_size,
            **asdict(decision),
            face_margin=measure_margin(_sample(data["train"])),
            data_fingerprint=data_report.fingerprint,
            seen=Seen.of(*(hash_images(data[name], config) for name in ("train", "validation"))),
            half=config.half,
        )
        run.record["test_looks"] += 1
        run.save_record()
    accelerator.wait_for_everyone()
    loaded = load_checkpoint(run.checkpoint)
    folded = loaded.model.to(accelerator.device)
    scores = {
        name: fake_probability(
            predict_logits(folded, data[name], preprocessing, workers), folded_point=decision.operating_point
        )
        for name in JUDGED
    }
    if config.half:
        exact = fake_probability(logits / decision.temperature)
        run.record["rounding"] = _rounding(exact, scores["validation"], decision.operating_point)
    explanations = _explanations(config, accelerator, folded, data["test"], preprocessing)
    table = score_table(data, scores)
    if explanations:
        _save_maps(run, loaded, data["test"], table[table["split"] == "test"])
    report = measure(
        table,
        replace(describe(loaded), decided_on=f"validation split of {', '.join(data_report.sources)}"),
        test_looks=run.record["test_looks"],
        explanations=explanations,
        data=data_report.to_dict(),
        audit=run.record.get("audit", {}),
        training=_for_others(run.record),
    )
    if accelerator.is_main_process:
        save_scores(run.checkpoint / SCORES_FILE, table)
        report.save(run.checkpoint / REPORT_FILE)
        render(run.checkpoint)
    accelerator.wait_for_everyone()
    return report


def _explanations(
    config: TrainConfig, accelerator: Accelerator, net: nn.Module, split: Dataset, preprocessing: dict[str, Any]
) -> list[ExplanationResult]:
    """What is measured of the maps, by the main process; nothing where it is not wanted or the net has no maps."""
    if config.explained == 0 or not accelerator.is_main_process:
        return []
    try:
        return [measure_faithfulness(net, split, preprocessing, limit=config.explained)]
    except InputError as error:
        logging.getLogger(__name__).warning("maps were not measured: %s", error)
        return []


def _save_maps(run: RunFolder, loaded: LoadedCheckpoint, split: Dataset, table: pd.DataFrame) -> None:
    """Some test pictures of each class with their maps; beside the checkpoint, which holds no pictures of others."""
    labels = table["label"].to_numpy()
    rows = [int(row) for label in range(len(LABELS)) for row in np.flatnonzero(labels == label)[: SHOWN // 2]]
    with replacing(run.folder / MAPS_FILE) as temporary:
        draw_sheet(loaded, split.select(rows), table.iloc[rows]).save(temporary, "JPEG", quality=88)


def _sample(split: Dataset) -> Iterator[PIL.Image.Image]:
    """Some pictures from all over a split, as they were before the net's preprocessing."""
    rows = np.linspace(0, len(split) - 1, min(MARGIN_PICTURES, len(split)), dtype=int)
    for image in split.select(rows).cast_column("image", Image(decode=False))["image"]:
        yield open_picture(image["bytes"] or image["path"])


def _rounding(exact: np.ndarray, rounded: np.ndarray, operating_point: float) -> dict[str, Any]:
    """What float16 weights do to P(fake) of validation pictures, (N,) each."""
    changed = (exact >= operating_point) != (rounded >= operating_point)
    return {"largest": float(np.abs(exact - rounded).max()), "verdicts": int(changed.sum()), "pictures": len(exact)}


def _for_others(record: dict[str, Any]) -> dict[str, Any]:
    """The run's record without what the report has elsewhere and without paths of this machine."""
    options = {name: value for name, value in record["options"].items() if name not in LOCAL_OPTIONS}
    options["pretrained"] = Path(options["pretrained"]).name
    if options["teacher"]:
        options["teacher"] = checkpoint_name(options["teacher"])
    return {name: value for name, value in record.items() if name not in {"data", "audit"}} | {"options": options}
