"""The interval of a mean of values that follow each other in time, such as the scores of a video's frames."""

import numpy as np
from numpy.typing import ArrayLike

from hf_deepfake.metrics.bootstrap import LEVEL, RESAMPLES

LEAST = 5
"""With fewer values there is no interval: their blocks would be all of them."""


def mean_interval(values: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float] | None:
    """Circular block bootstrap of a mean (Politis and Romano 1992, "A circular block-resampling procedure").

    Neighbours are alike, so whole blocks of them are drawn, as long as the cube root of the number of values: up to a
    factor the best for a mean (Hall, Horowitz and Jing 1995, "On blocking rules for the bootstrap with dependent
    data"). Where values hold together for longer than a block, the interval is too narrow.

    Args:
        values: (N,) in the order of time, evenly spaced.
        resamples: number of resamples.
        seed: seed of the draws.

    Returns:
        Lower and upper end of the 95 % interval, which holds the mean; None with fewer than `LEAST` values.
    """
    series = np.asarray(values, np.float64)
    size = len(series)
    if size < LEAST:
        return None
    block = int(np.ceil(round(size ** (1 / 3), 9)))
    starts = np.random.default_rng(seed).integers(0, size, (resamples, -(-size // block)))
    places = (starts[:, :, None] + np.arange(block)).reshape(resamples, -1)[:, :size] % size
    low, high = np.quantile(series[places].mean(axis=1), ((1 - LEVEL) / 2, (1 + LEVEL) / 2)).tolist()
    mean = float(series.mean())
    return min(low, mean), max(high, mean)
