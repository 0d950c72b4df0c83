"""What comes out of a run: the best epoch calibrated, exported once, scored once, and reported."""

import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
from datasets import Dataset, Image

from hf_deepfake.config import LABELS, TrainConfig
from hf_deepfake.data.image_names import below_shared
from hf_deepfake.data.load import DataReport, hash_images
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.cross_calibration import measure_without_own
from hf_deepfake.evaluation.features import predict_logits_by_features
from hf_deepfake.evaluation.inference import predict_logits
from hf_deepfake.evaluation.scorers import describe
from hf_deepfake.explain.error_sheets import SHOWN, draw_sheet
from hf_deepfake.explain.faithfulness import measure_faithfulness
from hf_deepfake.files import replacing
from hf_deepfake.hub.push_adapter import complete_adapter
from hf_deepfake.hub.render_checkpoint import render
from hf_deepfake.images.crop import measure_margin, typical_margin
from hf_deepfake.images.open import open_image
from hf_deepfake.metrics.calibration import fake_probability
from hf_deepfake.metrics.decision import band_note, decide_by
from hf_deepfake.metrics.score_table import SCORES_FILE, save_scores, score_table
from hf_deepfake.metrics.videos import decide_videos
from hf_deepfake.models.adapters import merged
from hf_deepfake.models.build import data_config
from hf_deepfake.models.checkpoint import LoadedCheckpoint, checkpoint_name, export_checkpoint, load_checkpoint
from hf_deepfake.models.seen import Seen
from hf_deepfake.report.measure import measure
from hf_deepfake.report.report import REPORT_FILE, ExplanationResult, Report
from hf_deepfake.training.calibration_data import CALIBRATION
from hf_deepfake.training.loop import Loop
from hf_deepfake.training.resume import LOCAL_OPTIONS, RunFolder
from hf_deepfake.training.signals import StopSignals

EVALUATED = ("validation", "test")

MAPS_FILE = "maps.jpg"

MARGIN_IMAGES = 200
"""Training images from which the margin around the face is measured: medians need no more."""


def finish(loop: Loop, data_report: DataReport, signals: StopSignals) -> Report:
    """Export the best epoch and report on it; all processes score, the main one writes.

    The temperature is fitted on validation scores in float32, the precision that readers of the checkpoint use.
    What is scored on the test split is the exported folder itself. A signal ends it, and a resumed run begins it anew;
    only a report that is written counts as a look at the test split.

    Args:
        loop: which has trained; a model without adapter gets the best epoch's weights. The run's folder receives
            `checkpoint/` and, where maps are measured, `maps.jpg`.
        data_report: what is known of the data; goes into the report.
        signals: what tells of signals.

    Returns:
        The report, on every process.

    Raises:
        InputError: the best epoch is damaged, or the checkpoint or the report cannot be written.
        Interrupted: a signal came, to whichever process.
    """
    config, accelerator, run, data = loop.config, loop.accelerator, loop.run, loop.data
    model = merged(loop.model)
    progress = loop.progress
    run.restore(model, run.load_best(), run.best_file)
    preprocessing = data_config(model, config.image_size)
    score = partial(
        partial(predict_logits_by_features, cache=config) if loop.frozen else predict_logits,
        data_config=preprocessing,
        workers=loop.workers,
        asked_to_stop=lambda: signals.received,
    )
    deciding = CALIBRATION if CALIBRATION in data else "validation"
    progress.after(0, len(data[deciding]))
    logits = score(model, data[deciding], title=deciding)
    decision = decide_by(config, logits, data[deciding]["label"], data[deciding]["origin"])
    evaluated = dict.fromkeys((*EVALUATED, deciding))
    progress.after(1, sum(len(data[name]) for name in evaluated))
    if accelerator.is_main_process:
        shutil.rmtree(run.checkpoint, ignore_errors=True)
        export_checkpoint(
            model,
            run.checkpoint,
            image_size=config.image_size,
            **asdict(decision),
            face_margin=typical_margin(measure_margin(images) for images in _samples(data["train"])),
            data_fingerprint=data_report.fingerprint,
            seen=Seen.of(
                hash_images(data["train"], config),
                np.concatenate([hash_images(data[name], config) for name in dict.fromkeys(("validation", deciding))]),
            ),
            save_fp16=config.save_fp16,
        )
    accelerator.wait_for_everyone()
    loaded = load_checkpoint(run.checkpoint)
    folded = loaded.model.to(accelerator.device)
    scores = {
        name: fake_probability(score(folded, data[name], title=name), folded_point=decision.operating_point)
        for name in evaluated
    }
    if config.save_fp16:
        exact = fake_probability(logits / decision.temperature)
        run.record["rounding"] = _rounding(exact, scores[deciding], decision.operating_point)
    table = score_table(data, scores)
    calibration = run.record["calibration"]
    which = f"calibration data ({', '.join(calibration['sources'])})" if calibration else ""
    which = which or f"validation split of {', '.join(data_report.sources)}"
    decided_on = f"{which}{band_note(config, calibration['origins'] if calibration else data_report.origins)}"
    roles = {"training": list(data_report.origins)} | ({"calibration": calibration["origins"]} if calibration else {})
    explanations: list[ExplanationResult] = []
    if config.explained:
        progress.after(2, min(config.explained, len(data["test"])))
        if accelerator.is_main_process:
            judged = table[table["split"] == "test"]
            drawn = signals.at_once(partial(_explanations, config, run, loaded, data["test"], preprocessing, judged))
            explanations = drawn or []
        signals.check(accelerator)
    progress.after(3)
    report = signals.at_once(
        lambda: measure(
            table,
            replace(describe(loaded), decided_on=decided_on),
            video_decision=decide_videos(table[table["split"] == deciding], config),
            test_looks=run.record["test_looks"] + 1,
            explanations=explanations,
            roles=roles,
            cross_calibrated=measure_without_own(table[table["split"] == CALIBRATION], config) if calibration else None,
            data=data_report.to_dict(),
            audit=run.record.get("audit", {}),
            training=for_others(run.record | {"test_looks": run.record["test_looks"] + 1}),
        )
    )
    signals.check(accelerator)
    assert report is not None
    progress.after(4)
    run.record["test_looks"] += 1
    if accelerator.is_main_process:
        run.save_record()
        save_scores(run.checkpoint / SCORES_FILE, table)
        report.save(run.checkpoint / REPORT_FILE)
        render(run.checkpoint)
        if config.adapter != "none":
            complete_adapter(run.adapter, run.checkpoint, run.record["base_digest"], config.save_fp16)
    accelerator.wait_for_everyone()
    return report


def _explanations(
    config: TrainConfig,
    run: RunFolder,
    loaded: LoadedCheckpoint,
    split: Dataset,
    preprocessing: dict[str, Any],
    table: pd.DataFrame,
) -> list[ExplanationResult]:
    """What is measured of the maps, some of which are drawn; nothing where the model has no maps."""
    try:
        found = measure_faithfulness(loaded.model, split, preprocessing, limit=config.explained, shown=True)
    except InputError as error:
        logging.getLogger(__name__).warning("maps were not measured: %s", error)
        return []
    _save_maps(run, loaded, split, table)
    return [found]


def _save_maps(run: RunFolder, loaded: LoadedCheckpoint, split: Dataset, table: pd.DataFrame) -> None:
    """Some test images of each class with their maps; beside the checkpoint, which holds no images of others."""
    labels = table["label"].to_numpy()
    rows = [int(row) for label in range(len(LABELS)) for row in np.flatnonzero(labels == label)[: SHOWN // 2]]
    with replacing(run.folder / MAPS_FILE) as temporary:
        draw_sheet(loaded, split.select(rows), table.iloc[rows]).save(temporary, "JPEG", quality=88)


def _samples(split: Dataset) -> Iterator[Iterator[PIL.Image.Image]]:
    """Some images of each source from all over a split, as they were before the model's preprocessing."""
    sources = np.asarray(split["source"])
    encoded = split.select_columns(["image"]).cast_column("image", Image(decode=False))
    for source in np.unique(sources):
        rows = np.flatnonzero(sources == source)
        chosen = rows[np.linspace(0, len(rows) - 1, min(MARGIN_IMAGES, len(rows)), dtype=int)]
        yield (open_image(image["bytes"] or image["path"]) for image in encoded.select(chosen)["image"])


def _rounding(exact: np.ndarray, rounded: np.ndarray, operating_point: float) -> dict[str, Any]:
    """What float16 weights do to P(fake) of validation images, (N,) each."""
    changed = (exact >= operating_point) != (rounded >= operating_point)
    return {"largest": float(np.abs(exact - rounded).max()), "verdicts": int(changed.sum()), "images": len(exact)}


def for_others(record: dict[str, Any]) -> dict[str, Any]:
    """Take from a run's record what the report has elsewhere, and paths of this machine.

    Args:
        record: of `RunFolder`.

    Returns:
        What may be published of it.
    """
    given = record["options"]
    options = {
        name: below_shared([value])[0] if isinstance(value, str) else value
        for name, value in given.items()
        if name not in LOCAL_OPTIONS
    }
    options["pretrained"] = Path(given["pretrained"]).name
    options["teacher"] = [checkpoint_name(teacher) for teacher in given["teacher"]]
    kept = {name: value for name, value in record.items() if name not in {"data", "audit", "calibration"}}
    return kept | {"options": options}
