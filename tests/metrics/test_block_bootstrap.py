import numpy as np
import pytest

from hf_deepfake.metrics.block_bootstrap import mean_interval


def test_few_values_have_no_interval():
    assert mean_interval([1, 2, 3, 4]) is None
    assert mean_interval([2.0] * 5) == (2, 2)


def test_of_independent_values_it_is_about_that_of_the_mean():
    values = np.random.default_rng(0).normal(3, 2, 400)
    low, high = mean_interval(values)
    half = 1.96 * 2 / np.sqrt(400)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.06)
    assert mean_interval(values) == (low, high)
    assert mean_interval(values, seed=1) != (low, high)


def test_of_values_that_hold_together_it_is_wider():
    generator = np.random.default_rng(1)
    apart = generator.normal(0, 1, 64)
    together = np.repeat(generator.normal(0, 1, 16), 4)
    width = [np.ptp(mean_interval(values)) / values.std() for values in (apart, together)]
    assert width[1] > 1.4 * width[0]  # blocks of 4 see the runs of 4, of which 16 are worth 16 values: twice as wide


def test_it_holds_the_mean_and_covers_it_about_as_often_as_it_says():
    generator = np.random.default_rng(2)
    covered = []
    for _ in range(200):
        values = generator.normal(0, 1, 32)
        low, high = mean_interval(values, resamples=400)
        assert low <= values.mean() <= high
        covered.append(low <= 0 <= high)
    assert 0.85 < np.mean(covered) < 0.99
