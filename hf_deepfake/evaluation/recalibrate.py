"""Recalibrate how a checkpoint's logits become verdicts, without training."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from accelerate import PartialState
from datasets import DatasetDict

from hf_deepfake.config import DecisionConfig
from hf_deepfake.data.load import hash_images
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.cross_calibration import measure_without_own
from hf_deepfake.evaluation.evaluate import ALL, load_split, report_of
from hf_deepfake.evaluation.scorers import describe, score
from hf_deepfake.evaluation.unseen import count_seen
from hf_deepfake.files import try_folder
from hf_deepfake.metrics.calibration import fake_probability
from hf_deepfake.metrics.decision import band_note, decide_by
from hf_deepfake.metrics.score_table import SCORES_FILE, save_scores, score_table
from hf_deepfake.metrics.videos import decide_videos
from hf_deepfake.models.checkpoint import LoadedCheckpoint, export_checkpoint, load_checkpoint
from hf_deepfake.models.fold import unfold
from hf_deepfake.models.seen import Seen
from hf_deepfake.report.measure import measure
from hf_deepfake.report.report import REPORT_FILE, Report

DECIDED_ON = "calibration"
"""Name, in the report, of the images that decided: what is measured on them is too good."""


def recalibrate(
    checkpoint: str, config: DecisionConfig, out: str | Path, *, split: Literal["validation", "all"] = "validation"
) -> Report:
    """Write a checkpoint with another temperature, operating point and abstention band, from one that stays as it is.

    What was folded into the model is taken out, the logits of the given images recalibrate, and the result is folded
    in. The new report keeps the history (training, its data and their audit, what it was combined of, its author's
    notes) and tells of these images alone: results at the old threshold hold no more.

    Args:
        checkpoint: folder, or `owner/name` on the Hub.
        config: criterion and the like, and the images that decide; the checkpoint must not have been trained on them.
        out: new folder for the checkpoint.
        split: "validation" for the data's validation split, which is made where there is none; "all" for all images.

    Returns:
        The new checkpoint's report.

    Raises:
        InputError: checkpoint, data or an option cannot be used, or `out` exists.
    """
    out = try_folder(out)
    if out.exists():
        raise InputError(f"{out} exists; give a new folder, so that no checkpoint is lost")
    loaded = load_checkpoint(checkpoint)
    data, data_report = load_split(config, split)
    seen = loaded.seen
    if count_seen(checkpoint, seen, data[split], config, trained_only=True) is not None and seen is not None:
        seen = Seen.together([seen, Seen.of(np.empty(0, "S32"), hash_images(data[split], config))])
    elif split == ALL and data_report.fingerprint == loaded.data_fingerprint:
        raise InputError(f"{checkpoint} was trained on these images; give --split validation to leave those out")
    unfold(loaded.model, loaded.temperature, loaded.operating_point)
    logits = score(loaded, data[split])
    decision = decide_by(config, logits, data[split]["label"], data[split]["origin"])
    scored = DatasetDict({**data, DECIDED_ON: data[split]})
    table = score_table(scored, {DECIDED_ON: fake_probability(logits, decision.temperature)})
    which = "all images" if split == ALL else "validation split"
    decided_on = f"{which} of {', '.join(data_report.sources)}{band_note(config, data_report.origins)}"
    report = measure(
        table,
        replace(
            describe(loaded),
            **asdict(decision),
            decided_on=decided_on,
        ),
        video_decision=decide_videos(table, config),
        **_history(loaded, data_report.origins),
    )
    if not set(report.roles["calibration"]) & set(report.roles.get("training", report.roles["calibration"])):
        report = replace(report, cross_calibrated=measure_without_own(table, config))
    if PartialState().is_main_process:
        export_checkpoint(
            loaded.model,
            out,
            image_size=report.checkpoint.image_size,
            **asdict(decision),
            face_margin=loaded.face_margin,
            data_fingerprint=loaded.data_fingerprint,
            seen=seen,
            save_fp16=loaded.half_precision,
        )
        save_scores(out / SCORES_FILE, table)
        report.save(out / REPORT_FILE)
    PartialState().wait_for_everyone()
    return report


def _history(loaded: LoadedCheckpoint, origins: Sequence[str]) -> dict[str, Any]:
    """What a checkpoint's report says of how it came about, and that these origins calibrated it since."""
    before = report_of(loaded)
    if before is None:
        return {"roles": {"calibration": list(origins)}}
    kept = {name: getattr(before, name) for name in ("data", "audit", "training", "combination", "notes")}
    return kept | {"roles": before.roles | {"calibration": list(origins)}}
