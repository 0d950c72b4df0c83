import numpy as np
import pytest
import torch

from hf_deepfake.explain.probe import mean, moved
from hf_deepfake.report.report import Mean


def test_a_moved_map_is_the_same_map_elsewhere():
    maps = torch.arange(20.0).reshape(1, 4, 5).expand(200, 4, 5)
    others = moved(maps, np.random.default_rng(0))
    corners = others[:, 0, 0].int()
    # A toroidal shift is known by one cell, and each of the 20 occurs.
    assert sorted(set(corners.tolist())) == list(range(20))
    for other, corner in zip(others, corners.tolist(), strict=True):
        assert torch.equal(other.roll((corner // 5, corner % 5), (0, 1)), maps[0])


def test_a_mean_leaves_out_what_is_undefined():
    found = mean(np.array([1.0, np.nan, 0.0, 0.5]), ["a", "b", "c", "d"])
    assert (found.value, found.n) == (0.5, 3)
    assert 0 <= found.low < 0.5 < found.high <= 1
    assert mean(np.array([np.nan]), None) == Mean(None, reason="no image has it")


def test_a_mean_draws_groups():
    # Two groups of equal images: a resample has the mean 0, 1/2 or 1, the first and last in a quarter each.
    assert mean(np.array([0.0, 0.0, 1.0, 1.0]), ["a", "a", "b", "b"]) == Mean(0.5, 0.0, 1.0, n=4)
    assert mean(np.array([0.0, 1.0]), ["a", "a"]) == Mean(0.5, reason="one group", n=2)


def test_equal_numbers_have_an_interval_without_width():
    found = mean(np.full(5, 0.3), None)
    assert (found.low, found.high) == pytest.approx((0.3, 0.3))
