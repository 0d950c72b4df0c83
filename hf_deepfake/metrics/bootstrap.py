"""Intervals by the bootstrap, drawing groups of images that belong together rather than single images."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hf_deepfake.errors import InputError
from hf_deepfake.metrics.classification import METRICS, Counts, Floats, Ranking

RESAMPLES = 2000
LEVEL = 0.95
DEFINED_SHARE = 0.95
"""A metric that is undefined in more resamples than this leaves over has no interval."""

_ALL_SIGNS = 10
"""Parts of a sum, at most, of which a sign test tries all signs: that is 1,024 sums."""

_SHRINKS = np.linspace(0, 3, 301)
"""Calibration errors that are tried for the interval of `ece`, in units of the one that was found."""


def intervals(
    scores: ArrayLike,
    labels: ArrayLike,
    groups: Sequence[Any] | None = None,
    threshold: float = 0.5,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, tuple[float, float] | None]:
    """Bootstrap intervals of all metrics; each holds the metric's own value.

    Images of one group (a person, a video, a scene) are not independent, so whole groups are drawn, with
    replacement, as many as there are (Davison and Hinkley 1997, §3.8). The width that this gives holds for new groups
    of the same kind, not for another data set. With few groups (below about 30) intervals are too narrow; so are
    those of `fpr_at_recall_99` and `recall_at_fpr_1` with fewer than some hundred images of a class, which rest on
    the one or two most extreme of them. A metric at its bound, such as an AUC of 1, gets an interval without width.

    Intervals are percentiles of the resamples (Efron and Tibshirani 1993, §13.3), widened to the value where it lies
    beside them. For `ece` percentiles will not do: resamples add to its upward bias, so that most lie above the value,
    which lies above the truth. Its interval is of the calibration error that a large set would show: all those that a
    bootstrap test does not reject (Carpenter 1999, "Test inversion bootstrap confidence intervals"), widened to the
    value, which is often its upper end.

    Args:
        scores: (N,) P(fake), in [0, 1].
        labels: (N,) integers, 0 real and 1 fake.
        groups: N group names; a missing one (None, NaN) stands for a group of its own. Default: each image is one.
        threshold: an image counts as fake from this score on.
        resamples: number of resamples.
        seed: seed of the draws; the same seed gives the same intervals.
        level: probability that the interval should cover, in (0, 1).

    Returns:
        Lower and upper end for each of `METRICS`; None with fewer than two groups, and for a metric that is
        undefined in more than 5 % of resamples (in the others it is left out where it is undefined).
    """
    ranking = Ranking(scores, labels, threshold)
    group_index = index_groups(groups, len(ranking.order))
    if group_index.max() == 0:
        return dict.fromkeys(METRICS)
    once = np.ones(len(ranking.order), np.int64)
    found, found_gaps = ranking.measure(once), ranking.gaps(once)
    drawn, gaps = [], []
    for weights in draw(group_index, resamples, seed):
        drawn.append(ranking.measure(weights))
        gaps.append(ranking.gaps(weights))
    tails = ((1 - level) / 2, (1 + level) / 2)
    result: dict[str, tuple[float, float] | None] = {}
    for name in METRICS:
        values = np.array([one[name] for one in drawn])
        defined = values[~np.isnan(values)]
        if len(defined) < DEFINED_SHARE * resamples or np.isnan(found[name]):
            result[name] = None
            continue
        if name == "ece":
            low, high = _calibration_errors(found_gaps, np.array(gaps), tails[0])
        else:
            low, high = np.quantile(defined, tails).tolist()
        result[name] = (min(low, found[name]), max(high, found[name]))
    return result


def _calibration_errors(found: Floats, drawn: Floats, tail: float) -> tuple[float, float]:
    """Ends of the calibration errors under which the one found is not unusual.

    The errors tried are those of bins whose gaps are the found ones times a number from 0 to 3; what was found must lie
    outside neither tail of what such bins would show, which are they with the resamples' noise.

    Args:
        found: (B,), of `Ranking.gaps`.
        drawn: (R, B), the same of the resamples.
        tail: share of either tail, in (0, .5).

    Returns:
        Lower and upper end, in [0, 1].
    """
    value, noise = np.abs(found).sum(), drawn - found
    shown = np.array([np.abs(shrink * found + noise).sum(axis=1) for shrink in _SHRINKS])
    usual = ((shown >= value).mean(axis=1) >= tail) & ((shown <= value).mean(axis=1) >= tail)
    # Where even bins without a gap would show more, nothing but 0 is left.
    ends = _SHRINKS[usual][[0, -1]] if usual.any() else np.zeros(2)
    low, high = np.minimum(ends * value, 1).tolist()
    return low, high


def interval(
    statistic: Callable[[Counts], Floats],
    groups: Sequence[Any] | None,
    size: int,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Percentile bootstrap interval of any statistic of weighted images, widened to its value; see `intervals`.

    Args:
        statistic: from how often each image was drawn, int64 (N,), to K numbers; NaN where one is undefined.
        groups: N group names, as in `intervals`.
        size: number of images N.
        resamples: number of resamples.
        seed: seed of the draws.

    Returns:
        Lower and upper ends (K,) of the 95 % interval; NaN with fewer than two groups, and where the statistic is
        undefined in more than 5 % of resamples.
    """
    group_index = index_groups(groups, size)
    found = statistic(np.ones(size, np.int64))
    if group_index.max() == 0:
        return np.full(len(found), np.nan), np.full(len(found), np.nan)
    drawn = np.array([statistic(weights) for weights in draw(group_index, resamples, seed)])
    undefined = np.isnan(drawn).mean(axis=0) > 1 - DEFINED_SHARE
    drawn[:, undefined] = 0.0
    low, high = np.nanquantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
    undefined |= np.isnan(found)
    return np.where(undefined, np.nan, np.minimum(low, found)), np.where(undefined, np.nan, np.maximum(high, found))


def why_no_interval(groups: Sequence[Any] | None, size: int) -> str:
    """Say why `intervals` and `interval` gave none.

    Args:
        groups: N group names, as in `intervals`.
        size: number of images N.

    Returns:
        The reason in a few words.
    """
    return "one group" if index_groups(groups, size).max() == 0 else "too few images of one kind"


def sign_test(differences: ArrayLike, groups: Counts, *, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """Test whether a sum of paired differences is 0, by drawing the sign of each group's part.

    Without a difference between the two members of a pair, a group's part is as likely as its opposite. This is the
    wild cluster bootstrap with the null hypothesis imposed (Cameron, Gelbach and Miller 2008, §III), which keeps its
    level with few groups too. With up to ten parts that are not 0 all signs are tried in place of draws; where besides
    each pair is a group and differences are -1, 0 and 1, it is McNemar's exact test.

    Args:
        differences: (N,), one an image.
        groups: (N,) of `index_groups`.
        resamples: number of draws.
        seed: seed of the draws.

    Returns:
        p in (0, 1], two-sided: probability of a sum as far from 0 as this one or further. With draws, one is added to
        both counts, so that no p is below what their number can show.
    """
    parts = np.bincount(groups, np.asarray(differences, np.float64))
    parts = parts[parts != 0]
    # Rounding must not make the sum itself, when drawn, lie closer to 0.
    bound = abs(parts.sum()) - 1e-12 * np.abs(parts).sum()
    if len(parts) <= _ALL_SIGNS:
        signs = 1 - 2 * (np.arange(2 ** len(parts))[:, None] >> np.arange(len(parts)) & 1)
        return float((np.abs(signs @ parts) >= bound).mean())
    generator = np.random.default_rng(seed)
    drawn = np.array([2 * parts[generator.random(len(parts)) < 0.5].sum() - parts.sum() for _ in range(resamples)])
    return float(1 + (np.abs(drawn) >= bound).sum()) / (1 + resamples)


def roc_band(
    scores: ArrayLike,
    labels: ArrayLike,
    groups: Sequence[Any] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Floats, Floats, Floats]:
    """Pointwise percentile band of the ROC curve, vertically averaged (Fawcett 2006, §9.1), widened to the curve.

    Args:
        scores: (N,) P(fake), in [0, 1].
        labels: (N,) integers, 0 real and 1 fake.
        groups: N group names, as in `intervals`.
        resamples: number of resamples; those that hold one class only are left out.
        seed: seed of the draws.

    Returns:
        (201,) false positive rates from 0 to 1, and the lower and upper end of the 95 % interval of the true
        positive rate at each; with one group, which tells no width, both are the curve.

    Raises:
        InputError: the images are all of one class.
    """
    ranking = Ranking(scores, labels)
    if ranking.fake.min() == ranking.fake.max():
        raise InputError("an ROC curve needs both classes; add images of the class that is missing")
    rates = np.linspace(0, 1, 201)
    curves = []
    for weights in draw(index_groups(groups, len(ranking.order)), resamples, seed):
        false, true = ranking.curve(weights)
        if false[-1] and true[-1]:
            curves.append(np.interp(rates, false / false[-1], true / true[-1]))
    false, true = ranking.curve(np.ones(len(ranking.order), np.int64))
    found = np.interp(rates, false / false[-1], true / true[-1])
    low, high = np.quantile(curves, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
    return rates, np.minimum(low, found), np.maximum(high, found)


def index_groups(groups: Sequence[Any] | None, size: int) -> Counts:
    """Number the groups.

    Args:
        groups: group names; a missing one stands for a group of its own. None: each image is a group.
        size: number of images.

    Returns:
        (size,) int64, each image's group, from 0 without gaps.

    Raises:
        InputError: there are not `size` group names.
    """
    if groups is None:
        return np.arange(size)
    if len(groups) != size:
        raise InputError(f"{len(groups)} groups for {size} images; give each image one group, or None")
    index, names = pd.factorize(np.array(groups, dtype=object))
    missing = index < 0
    index[missing] = len(names) + np.arange(missing.sum())
    return index


def draw(group_index: Counts, resamples: int, seed: int) -> Iterator[Counts]:
    """Draw groups with replacement.

    Args:
        group_index: (N,) int64, from `index_groups`.
        resamples: number of resamples.
        seed: seed of the draws.

    Yields:
        (N,) int64, how often each image was drawn.
    """
    generator = np.random.default_rng(seed)
    count = int(group_index.max()) + 1
    for _ in range(resamples):
        times = np.bincount(generator.integers(0, count, count), minlength=count)
        yield times[group_index]
