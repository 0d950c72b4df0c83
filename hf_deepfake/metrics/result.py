"""What is measured on one set of scored images: every metric with its interval."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hf_deepfake.metrics.bootstrap import RESAMPLES, index_groups, interval, intervals, why_no_interval
from hf_deepfake.metrics.classification import CONFUSION, METRICS, Counts, Floats, compute_metrics, undefined

UNSURE_METRICS = {
    "coverage": "Coverage",
    "error": "Selective risk",
    "missed": "Fakes confidently called real",
    "false_alarms": "Reals confidently called fake",
}
"""What is measured of an abstention band; the last two are shares of all fakes and of all reals, as the band
promises."""

PRIORS = (0.5, 0.1, 0.01, 0.001)
"""Shares of fakes among the images evaluated, from a test set's to a news feed's, for which precision is shown."""


@dataclass(frozen=True)
class Metric:
    """A metric with its 95 % interval, which holds it; `reason` says why the interval, or both, are None.

    Attributes:
        value: the metric on all images of the split, None where it is undefined.
        low: lower end of the interval, None where there is none.
        high: upper end of the interval.
        reason: why `value`, or the interval alone, is None; None where neither is.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    def __str__(self) -> str:
        if self.value is None:
            return f"undefined ({self.reason})"
        if self.low is None or self.high is None:
            return f"{self.value:.3f}" + (f" (no interval: {self.reason})" if self.reason else "")
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def __neg__(self) -> "Metric":
        value, low, high = (None if number is None else -number for number in (self.value, self.high, self.low))
        return Metric(value, low, high, self.reason)


@dataclass(frozen=True)
class SplitResult:
    """What was measured on one split.

    Attributes:
        n: images; `n_real` and `n_fake` of each class.
        n_groups: groups that were resampled, None where images were.
        threshold: score P(fake) from which an image counts as fake.
        metrics: by the names of `metrics.classification.METRICS`.
        confusion: counts tn, fp, fn, tp, where p(ositive) is fake.
        unsure: what the abstention band does, by the names of `UNSURE_METRICS`; empty where there is no band.
        precision_at: share of true verdicts among verdicts of fake, by the share of fakes among the images evaluated.
        test_looks: how often this run has looked at the split, this time included; None where looking is free.
    """

    n: int
    n_real: int
    n_fake: int
    n_groups: int | None
    threshold: float
    metrics: dict[str, Metric]
    confusion: dict[str, int]
    unsure: dict[str, Metric] = field(default_factory=dict)
    precision_at: dict[str, Metric] = field(default_factory=dict)
    test_looks: int | None = None


def evaluate_scores(
    scores: ArrayLike,
    labels: ArrayLike,
    groups: Sequence[Any] | None = None,
    threshold: float = 0.5,
    *,
    abstention_band: tuple[float, float] | None = None,
    test_looks: int | None = None,
    resamples: int = RESAMPLES,
) -> SplitResult:
    """Measure one split: all metrics with their 95 % intervals.

    Args:
        scores: (N,) P(fake), in [0, 1], before the operating point is folded in.
        labels: (N,) integers, 0 real and 1 fake.
        groups: N group names, to be resampled whole; None where they are not known.
        threshold: an image counts as fake from this score on.
        abstention_band: lowest and highest score that is unsure.
        test_looks: how often this run has looked at the split, this time included.
        resamples: of each interval.

    Returns:
        The result.
    """
    values = compute_metrics(scores, labels, threshold)
    reasons = undefined(values)
    ranges = intervals(scores, labels, groups, threshold, resamples=resamples)
    confusion = {name: int(values[name] or 0) for name in CONFUSION}
    n = sum(confusion.values())
    missing = why_no_interval(groups, n)
    metrics = {
        name: Metric(
            values[name], *(ranges[name] or (None, None)), reasons.get(name, None if ranges[name] else missing)
        )
        for name in METRICS
    }
    score, label = np.asarray(scores, np.float64), np.asarray(labels)
    return SplitResult(
        n=n,
        n_real=confusion["tn"] + confusion["fp"],
        n_fake=confusion["fn"] + confusion["tp"],
        n_groups=None if groups is None else int(index_groups(groups, n).max()) + 1,
        threshold=threshold,
        metrics=metrics,
        confusion=confusion,
        unsure={} if abstention_band is None else evaluate_band(score, label, groups, threshold, abstention_band),
        precision_at=_precision_at(score, label, groups, threshold),
        test_looks=test_looks,
    )


def evaluate_band(
    scores: ArrayLike, labels: ArrayLike, groups: Sequence[Any] | None, threshold: float, band: tuple[float, float]
) -> dict[str, Metric]:
    """Measure what an abstention band does.

    Args:
        scores: (N,) P(fake), in [0, 1].
        labels: (N,) integers, 0 real and 1 fake.
        groups: N group names, to be resampled whole; None where they are not known.
        threshold: an image counts as fake from this score on.
        band: lowest and highest score that is unsure.

    Returns:
        `UNSURE_METRICS` by name.
    """
    why = ("no images", "no image has a confident verdict", "no fake images", "no real images")
    shares = band_shares(scores, labels, threshold, band)
    return dict(zip(UNSURE_METRICS, bootstrapped(shares, groups, len(np.asarray(scores)), why), strict=True))


def band_shares(
    scores: ArrayLike, labels: ArrayLike, threshold: float, band: tuple[float, float]
) -> Callable[[Counts], Floats]:
    """What an abstention band does, as a function of how often each image counts.

    Args:
        scores: (N,) P(fake), in [0, 1].
        labels: (N,) integers, 0 real and 1 fake.
        threshold: an image counts as fake from this score on.
        band: lowest and highest score that is unsure.

    Returns:
        From weights, int64 (N,), to the shares of `UNSURE_METRICS`, (4,); NaN where one is undefined.
    """
    score, label = np.asarray(scores, np.float64), np.asarray(labels)
    sure = (score < band[0]) | (score > band[1])
    wrong = sure & ((score >= threshold) != (label == 1))
    parts = np.stack([sure, wrong, wrong & (label == 1), wrong & (label == 0)])
    wholes = np.stack([np.ones_like(sure), sure, label == 1, label == 0])
    both = np.concatenate([parts, wholes]).astype(np.float64)

    def shares(weights: Counts) -> Floats:
        """Each share, under a resample."""
        part, whole = np.split(np.einsum("kn,n->k", both, weights), 2)
        return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)

    return shares


def bootstrapped(
    statistic: Callable[[Counts], Floats],
    groups: Sequence[Any] | None,
    size: int,
    why: Sequence[str],
    *,
    resamples: int = RESAMPLES,
) -> list[Metric]:
    """Measure a statistic of weighted images, with its intervals; see `bootstrap.interval`.

    Args:
        statistic: from how often each image counts, int64 (N,), to K numbers; NaN where one is undefined.
        groups: N group names, to be resampled whole; None where they are not known.
        size: number of images N.
        why: K reasons, should a number be undefined.
        resamples: number of resamples.

    Returns:
        K metrics.
    """
    values = statistic(np.ones(size, np.int64))
    missing = why_no_interval(groups, size)
    return [
        Metric(None, reason=reason)
        if np.isnan(value)
        else Metric(float(value), reason=missing)
        if np.isnan(low)
        else Metric(float(value), float(low), float(high))
        for value, low, high, reason in zip(
            values, *interval(statistic, groups, size, resamples=resamples), why, strict=True
        )
    ]


def _precision_at(score: Floats, label: NDArray, groups: Sequence[Any] | None, threshold: float) -> dict[str, Metric]:
    """Precision of "fake" by prior: recall and false alarms weighted as that share of fakes would."""
    called, fake = score >= threshold, label == 1
    counted = np.stack([called & fake, fake, called & ~fake, ~fake]).astype(np.float64)
    priors = np.array(PRIORS)

    def precision(weights: Counts) -> Floats:
        """At each prior, under a resample."""
        true, fakes, false, reals = np.einsum("kn,n->k", counted, weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            hits, alarms = priors * true / fakes, (1 - priors) * false / reals
            return hits / (hits + alarms)

    found = bootstrapped(precision, groups, len(score), ["no verdict of fake"] * len(PRIORS))
    return {f"{prior:g}": one for prior, one in zip(PRIORS, found, strict=True)}
