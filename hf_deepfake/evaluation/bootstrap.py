"""Intervals by the bootstrap, drawing groups of pictures that belong together rather than single pictures."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.metrics import METRICS, Counts, Floats, Ranking

RESAMPLES = 2000
LEVEL = 0.95
DEFINED_SHARE = 0.95
"""A metric that is undefined in more resamples than this leaves over has no interval."""


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
    """Percentile bootstrap intervals of all metrics (Efron and Tibshirani 1993, §13.3).

    Pictures of one group (a person, a video, a scene) are not independent, so whole groups are drawn, with
    replacement, as many as there are (Davison and Hinkley 1997, §3.8). The width that this gives holds for new groups
    of the same kind, not for another data set. With few groups (below about 30) intervals are too narrow. Two
    metrics need care: `ece` is biased upwards, and more so in a resample, so its interval may lie above its
    value; and a metric at its bound, such as an AUC of 1, gets an interval without width.

    Args:
        scores: (N,) P(fake), in [0, 1].
        labels: (N,) integers, 0 real and 1 fake.
        groups: N group names; a missing one (None, NaN) stands for a group of its own. Default: each picture is one.
        threshold: a picture counts as fake from this score on.
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
    drawn = [ranking.measure(weights) for weights in draw(group_index, resamples, seed)]
    tails = ((1 - level) / 2, (1 + level) / 2)
    result: dict[str, tuple[float, float] | None] = {}
    for name in METRICS:
        values = np.array([one[name] for one in drawn])
        defined = values[~np.isnan(values)]
        if len(defined) >= DEFINED_SHARE * resamples:
            low, high = np.quantile(defined, tails).tolist()
            result[name] = (low, high)
        else:
            result[name] = None
    return result


def interval(
    statistic: Callable[[Counts], Floats],
    groups: Sequence[Any] | None,
    size: int,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Percentile bootstrap interval of any statistic of weighted pictures; see `intervals`.

    Args:
        statistic: from how often each picture was drawn, int64 (N,), to K numbers; NaN where one is undefined.
        groups: N group names, as in `intervals`.
        size: number of pictures N.
        resamples: number of resamples.
        seed: seed of the draws.

    Returns:
        Lower and upper ends (K,) of the 95 % interval; NaN with fewer than two groups, and where the statistic is
        undefined in more than 5 % of resamples.
    """
    group_index = index_groups(groups, size)
    drawn = np.array([statistic(weights) for weights in draw(group_index, resamples, seed)])
    undefined = np.isnan(drawn).mean(axis=0) > 1 - DEFINED_SHARE
    if group_index.max() == 0:
        undefined[:] = True
    drawn[:, undefined] = 0.0
    low, high = np.nanquantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
    return np.where(undefined, np.nan, low), np.where(undefined, np.nan, high)


def roc_band(
    scores: ArrayLike,
    labels: ArrayLike,
    groups: Sequence[Any] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Floats, Floats, Floats]:
    """Pointwise percentile band of the ROC curve, vertically averaged (Fawcett 2006, §9.1).

    Args:
        scores: (N,) P(fake), in [0, 1].
        labels: (N,) integers, 0 real and 1 fake.
        groups: N group names, as in `intervals`.
        resamples: number of resamples; those that hold one class only are left out.
        seed: seed of the draws.

    Returns:
        (201,) false positive rates from 0 to 1, and the lower and upper end of the 95 % interval of the true
        positive rate at each.

    Raises:
        InputError: the pictures are all of one class.
    """
    ranking = Ranking(scores, labels)
    if ranking.fake.min() == ranking.fake.max():
        raise InputError("an ROC curve needs both classes; add pictures of the class that is missing")
    rates = np.linspace(0, 1, 201)
    curves = []
    for weights in draw(index_groups(groups, len(ranking.order)), resamples, seed):
        false, true = ranking.curve(weights)
        if false[-1] and true[-1]:
            curves.append(np.interp(rates, false / false[-1], true / true[-1]))
    low, high = np.quantile(curves, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
    return rates, low, high


def index_groups(groups: Sequence[Any] | None, size: int) -> Counts:
    """Number the groups.

    Args:
        groups: group names; a missing one stands for a group of its own. None: each picture is a group.
        size: number of pictures.

    Returns:
        (size,) int64, each picture's group, from 0 without gaps.

    Raises:
        InputError: there are not `size` group names.
    """
    if groups is None:
        return np.arange(size)
    if len(groups) != size:
        raise InputError(f"{len(groups)} groups for {size} pictures; give each picture one group, or None")
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
        (N,) int64, how often each picture was drawn.
    """
    generator = np.random.default_rng(seed)
    count = int(group_index.max()) + 1
    for _ in range(resamples):
        times = np.bincount(generator.integers(0, count, count), minlength=count)
        yield times[group_index]
