"""What a detector does under one condition: all images degraded in the same way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hf_deepfake.images.degrade import FAMILIES, MILD
from hf_deepfake.metrics.classification import Counts, Floats, Ranking
from hf_deepfake.metrics.result import Metric, bootstrapped

RESAMPLES = 500
"""Of each condition: there are 165, and the ends of their intervals need no third digit."""

CLEAN = "clean"


@dataclass(frozen=True)
class ConditionResult:
    """What was measured on images that were all degraded in one way.

    Attributes:
        family: of `images.degrade.FAMILIES`, or "clean".
        severity: 1 to 5; 0 of clean images.
        strength: what the severity means, in the family's unit; 0 of clean images.
        auc: area under the ROC curve.
        accuracy: at the shipped operating point.
        false_alarms: share of real images called fake there.
        flips: share of images whose verdict is not that of the clean image.
    """

    family: str
    severity: int
    strength: float
    auc: Metric
    accuracy: Metric
    false_alarms: Metric
    flips: Metric

    @property
    def mild(self) -> bool:
        """Whether it belongs to the mild set."""
        return self.severity in MILD.get(self.family, ())


def evaluate_condition(
    family: str,
    severity: int,
    scores: ArrayLike,
    clean: ArrayLike,
    labels: ArrayLike,
    groups: Sequence[Any] | None,
    threshold: float,
) -> ConditionResult:
    """Measure one condition.

    Args:
        family: name of the degradation, or "clean".
        severity: 1 to 5, or 0.
        scores: (N,) P(fake) of the degraded images.
        clean: (N,) P(fake) of the same images as they are.
        labels: (N,) integers, 0 real and 1 fake.
        groups: N group names.
        threshold: an image counts as fake from this score on.

    Returns:
        The result, with intervals of 500 resamples.
    """
    ranking = Ranking(scores, labels)
    label, fake = np.asarray(labels), np.asarray(scores) >= threshold
    parts = np.stack([fake == (label == 1), fake & (label == 0), fake != (np.asarray(clean) >= threshold)])
    wholes = np.stack([np.ones_like(fake), label == 0, np.ones_like(fake)])

    def measure(weights: Counts) -> Floats:
        """All four, under a resample; NaN where one is undefined."""
        false, true = ranking.curve(weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            auc = np.trapezoid(true, false) / (float(true[-1]) * float(false[-1]))
            return np.array([auc, *(parts @ weights / (wholes @ weights))])

    metrics = bootstrapped(measure, groups, len(label), ["one class only"] * 4, resamples=RESAMPLES)
    strength = FAMILIES[family].strengths[severity - 1] if severity else 0.0
    return ConditionResult(family, severity, strength, *metrics)


def worst_mild(results: Sequence[ConditionResult]) -> ConditionResult | None:
    """Find the condition of the mild set with the lowest AUC.

    Args:
        results: of `measure_robustness`.

    Returns:
        It; None where no AUC is defined.
    """
    mild = [one for one in results if one.mild and one.auc.value is not None]
    return min(mild, key=lambda one: one.auc.value or 0.0, default=None)
