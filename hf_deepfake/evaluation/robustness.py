"""What happens to a detector when images are degraded, condition by condition."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from accelerate import PartialState
from datasets import Dataset

from hf_deepfake.evaluation.inference import predict_logits
from hf_deepfake.images.degrade import Degrade, conditions
from hf_deepfake.machine import best_precision, cpu_flags, default_workers
from hf_deepfake.metrics.calibration import fake_probability
from hf_deepfake.metrics.classification import Floats
from hf_deepfake.metrics.conditions import CLEAN, ConditionResult, evaluate_condition
from hf_deepfake.models.checkpoint import LoadedCheckpoint


def measure_robustness(
    loaded: LoadedCheckpoint,
    images: Dataset,
    groups: Sequence[Any] | None,
    level: Literal["mild", "full"] = "full",
    *,
    seed: int = 0,
) -> list[ConditionResult]:
    """Score all images under one condition after the other; workers degrade images while others are scored.

    The model computes in bfloat16 where that is faster, the clean images too, so that all conditions compare.

    Args:
        loaded: the checkpoint, its model on its device.
        images: with columns image and label.
        groups: group of each image, to be resampled whole; None where none are known.
        level: "full" for every family at every severity, "mild" for the mild set.
        seed: of all that degradations leave to chance.

    Returns:
        The clean images, and then every condition.
    """
    labels = np.asarray(images["label"])
    device = next(loaded.model.parameters()).device
    precision = best_precision(device.type, cpu_flags())
    workers = default_workers(PartialState().num_processes)

    def scores(change: Degrade | None) -> Floats:
        """P(fake) of all images."""
        config = loaded.config["pretrained_cfg"]
        logits = predict_logits(loaded.model, images, config, workers, precision, change)
        return fake_probability(logits, folded_point=loaded.operating_point)

    point = loaded.operating_point
    clean = scores(None)
    results = [evaluate_condition(CLEAN, 0, clean, clean, labels, groups, point)]
    for family, severity in conditions(level):
        changed = scores(Degrade(seed, (family, severity)))
        results.append(evaluate_condition(family, severity, changed, clean, labels, groups, point))
    return results
