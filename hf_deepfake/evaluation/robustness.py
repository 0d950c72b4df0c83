"""What happens to a detector when images are degraded, condition by condition."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from datasets import Dataset

from hf_deepfake.evaluation.scorers import Scorer
from hf_deepfake.images.degrade import Degrade, conditions
from hf_deepfake.metrics.conditions import CLEAN, ConditionResult, evaluate_condition


def measure_robustness(
    scorer: Scorer,
    images: Dataset,
    groups: Sequence[Any] | None,
    level: Literal["mild", "full"] = "full",
    *,
    seed: int = 0,
) -> list[ConditionResult]:
    """Score all images under one condition after the other; workers degrade images while others are scored.

    Our models compute in bfloat16 where that is faster, the clean images too, so that all conditions compare.

    Args:
        scorer: what is evaluated.
        images: with columns image and label.
        groups: group of each image, to be resampled whole; None where none are known.
        level: "full" for every family at every severity, "mild" for the mild set.
        seed: of all that degradations leave to chance.

    Returns:
        The clean images, and then every condition.
    """
    labels = np.asarray(images["label"])
    point = scorer.describe().operating_point
    wanted = list(conditions(level))
    clean = scorer.score(images, fast=True, title=f"{CLEAN}, 1 of {len(wanted) + 1} conditions")
    results = [evaluate_condition(CLEAN, 0, clean, clean, labels, groups, point)]
    for number, (family, severity) in enumerate(wanted, 2):
        title = f"{family.replace('_', ' ')}, {number} of {len(wanted) + 1} conditions"
        changed = scorer.score(images, change=Degrade(seed, (family, severity)), fast=True, title=title)
        results.append(evaluate_condition(family, severity, changed, clean, labels, groups, point))
    return results
