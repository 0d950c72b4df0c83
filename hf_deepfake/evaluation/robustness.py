"""What happens to a detector when pictures are degraded, condition by condition."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from accelerate import PartialState
from datasets import Dataset
from numpy.typing import ArrayLike

from hf_deepfake.data.machine import best_precision, cpu_flags, default_workers
from hf_deepfake.evaluation.calibration import fake_probability
from hf_deepfake.evaluation.metrics import Counts, Floats, Ranking
from hf_deepfake.evaluation.predict import predict_logits
from hf_deepfake.evaluation.result import Metric, bootstrapped
from hf_deepfake.models.checkpoint import LoadedCheckpoint
from hf_deepfake.pictures.degrade import FAMILIES, MILD, Degrade, conditions

RESAMPLES = 500
"""Of each condition: there are 165, and the ends of their intervals need no third digit."""

CLEAN = "clean"


@dataclass(frozen=True)
class ConditionResult:
    """What was measured on pictures that were all degraded in one way.

    Attributes:
        family: of `pictures.degrade.FAMILIES`, or "clean".
        severity: 1 to 5; 0 of clean pictures.
        strength: what the severity means, in the family's unit; 0 of clean pictures.
        auc: area under the ROC curve.
        accuracy: at the shipped operating point.
        false_alarms: share of real pictures called fake there.
        flips: share of pictures whose verdict is not that of the clean picture.
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


def measure_robustness(
    loaded: LoadedCheckpoint,
    pictures: Dataset,
    groups: Sequence[Any] | None,
    level: Literal["mild", "full"] = "full",
    *,
    seed: int = 0,
) -> list[ConditionResult]:
    """Score all pictures under one condition after the other; workers degrade pictures while others are scored.

    The net computes in bfloat16 where that is faster, the clean pictures too, so that all conditions compare.

    Args:
        loaded: the checkpoint, its net on its device.
        pictures: with columns image and label.
        groups: group of each picture, to be resampled whole; None where none are known.
        level: "full" for every family at every severity, "mild" for the mild set.
        seed: of all that degradations leave to chance.

    Returns:
        The clean pictures, and then every condition.
    """
    labels = np.asarray(pictures["label"])
    device = next(loaded.model.parameters()).device
    precision = best_precision(device.type, cpu_flags())
    workers = default_workers(PartialState().num_processes)

    def scores(change: Degrade | None) -> Floats:
        """P(fake) of all pictures."""
        config = loaded.config["pretrained_cfg"]
        logits = predict_logits(loaded.model, pictures, config, workers, precision, change)
        return fake_probability(logits, folded_point=loaded.operating_point)

    point = loaded.operating_point
    clean = scores(None)
    results = [judge_condition(CLEAN, 0, clean, clean, labels, groups, point)]
    for family, severity in conditions(level):
        changed = scores(Degrade(seed, (family, severity)))
        results.append(judge_condition(family, severity, changed, clean, labels, groups, point))
    return results


def judge_condition(
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
        scores: (N,) P(fake) of the degraded pictures.
        clean: (N,) P(fake) of the same pictures as they are.
        labels: (N,) integers, 0 real and 1 fake.
        groups: N group names.
        threshold: a picture counts as fake from this score on.

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
