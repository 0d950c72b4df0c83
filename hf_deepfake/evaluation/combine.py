"""Make one checkpoint of several, or of one and its mirror: by averaged log-odds or averaged weights."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from accelerate import PartialState
from numpy.typing import NDArray
from torch import nn

from hf_deepfake.config import DecisionConfig
from hf_deepfake.data.load import hash_images
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.evaluate import load_split, roles_of
from hf_deepfake.evaluation.scorers import describe, score, score_model
from hf_deepfake.evaluation.unseen import count_seen
from hf_deepfake.files import try_folder
from hf_deepfake.metrics.calibration import fake_probability
from hf_deepfake.metrics.decision import band_note, decide_by
from hf_deepfake.metrics.score_table import SCORES_FILE, save_scores, score_table
from hf_deepfake.metrics.videos import decide_videos
from hf_deepfake.models.build import data_config
from hf_deepfake.models.checkpoint import LoadedCheckpoint, checkpoint_name, export_checkpoint, load_checkpoint
from hf_deepfake.models.ensemble import average_weights, make_ensemble
from hf_deepfake.models.fold import fold, unfold
from hf_deepfake.models.seen import Seen
from hf_deepfake.report.measure import measure
from hf_deepfake.report.report import REPORT_FILE, ROLES, Combination, Part, Report

Method = Literal["log_odds", "weights"]
METHODS: tuple[Method, ...] = get_args(Method)


def combine(
    checkpoints: Sequence[str],
    config: DecisionConfig,
    out: str | Path,
    *,
    method: Method = "log_odds",
    shares: Sequence[float] | None = None,
    flip: bool = False,
) -> Report:
    """Combine checkpoints into a new one, decide its operating point on validation, and measure it on test.

    Parts of an ensemble are taken calibrated: with their temperature and without their operating point. Weights are
    averaged as they were trained.

    Args:
        checkpoints: folders, or `owner/name` on the Hub; one alone makes sense with `flip`.
        config: criterion and the like, and the images whose validation split decides and whose test split evaluates;
            no part may have been trained on either.
        out: new folder for the checkpoint.
        method: "log_odds" for an ensemble (see `models.ensemble.Ensemble`), whose cost is the sum of its parts';
            "weights" for one model of averaged weights, for runs that share their start (see `average_weights`).
        shares: of each checkpoint, positive; scaled to sum to 1; default equal.
        flip: evaluate the mirrored image too and take the mean, at twice the cost.

    Returns:
        The new checkpoint's report.

    Raises:
        InputError: checkpoints, data or an option cannot be used, a part has seen what shall decide or evaluate, or
            `out` exists.
    """
    out = try_folder(out)
    if out.exists():
        raise InputError(f"{out} exists; give a new folder, so that no checkpoint is lost")
    if method not in METHODS:
        raise InputError(f"there is no method {method!r}; use one of {', '.join(METHODS)}")
    if len(checkpoints) < 2 and not flip:
        raise InputError("one checkpoint cannot be combined with itself; name two or more, or add --flip")
    names = [checkpoint_name(checkpoint) for checkpoint in checkpoints]
    weights = _shares(names, shares)
    loaded = [load_checkpoint(checkpoint) for checkpoint in checkpoints]
    model, side = _put_together(loaded, weights, method, flip)
    data, data_report = load_split(config, "test")
    for name, one in zip(names, loaded, strict=True):
        count_seen(name, one.seen, data["validation"], config, trained_only=True)
        count_seen(name, one.seen, data["test"], config)
    logits = score_model(model, data_config(model, side), data["validation"])
    decision = decide_by(config, logits, data["validation"]["label"], data["validation"]["origin"])
    if PartialState().is_main_process:
        export_checkpoint(
            model,
            out,
            image_size=side,
            **asdict(decision),
            face_margin=loaded[0].face_margin,
            data_fingerprint=data_report.fingerprint,
            seen=_seen(loaded, hash_images(data["validation"], config)),
            save_fp16=all(one.half_precision for one in loaded),
        )
    PartialState().wait_for_everyone()
    exported = load_checkpoint(out)
    scores = {
        split: fake_probability(score(exported, data[split]), folded_point=decision.operating_point)
        for split in ("validation", "test")
    }
    table = score_table(data, scores)
    decided_on = f"validation split of {', '.join(data_report.sources)}{band_note(config, data_report.origins)}"
    report = measure(
        table,
        replace(describe(exported), decided_on=decided_on),
        video_decision=decide_videos(table[table["split"] == "validation"], config),
        roles=_roles(loaded, data_report.origins),
        data=data_report.to_dict(),
        combination=Combination(
            method,
            flip,
            [
                Part(name, one.config["architecture"], share)
                for name, one, share in zip(names, loaded, weights, strict=True)
            ],
        ),
    )
    if PartialState().is_main_process:
        save_scores(out / SCORES_FILE, table)
        report.save(out / REPORT_FILE)
    PartialState().wait_for_everyone()
    return report


def _roles(loaded: Sequence[LoadedCheckpoint], origins: Sequence[str]) -> dict[str, list[str]]:
    """What trained any part trained the combination; its validation images calibrated it, whatever calibrated parts."""
    parts = [roles_of(one) for one in loaded]
    known = {role: sorted({origin for part in parts for origin in part.get(role, [])}) for role in ROLES}
    return {"training": known["training"], "calibration": sorted({*known["calibration"], *origins})}


def _seen(loaded: Sequence[LoadedCheckpoint], decided: NDArray[np.bytes_]) -> Seen | None:
    """What has a part in the combination; None where a part does not say what it has seen."""
    parts = [one.seen for one in loaded if one.seen is not None]
    if len(parts) < len(loaded):
        return None
    return Seen.together([*parts, Seen.of(np.empty(0, "S32"), decided)])


def _shares(names: Sequence[str], shares: Sequence[float] | None) -> list[float]:
    """Shares that sum to 1."""
    if shares is None:
        return [1 / len(names)] * len(names)
    if len(shares) != len(names) or not all(0 < share < math.inf for share in shares):
        raise InputError(f"{len(names)} checkpoints need as many shares, all positive; not {list(shares)}")
    return [share / sum(shares) for share in shares]


def _put_together(
    loaded: Sequence[LoadedCheckpoint], shares: Sequence[float], method: Method, flip: bool
) -> tuple[nn.Module, int]:
    """The combined model, calibrated parts within, and the side of its input."""
    sides = [one.config["pretrained_cfg"]["input_size"][-1] for one in loaded]
    models = [one.model for one in loaded]
    for one in loaded:
        unfold(one.model, one.temperature, one.operating_point)
    if method == "weights":
        if len(set(sides)) > 1:
            raise InputError(f"weights can be averaged of models of one image size only, not {sides}; average log-odds")
        models, sides, shares = [average_weights(models, shares)], sides[:1], [1.0]
        if not flip:
            return models[0], sides[0]
    else:
        for one in loaded:
            fold(one.model, one.temperature, 0.5)
    return make_ensemble(models, sides, shares, flip), max(sides)
