"""What is promised of intervals and p, held against drawn scores whose truth is known; see the script for more."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "simulate_intervals.py"


@pytest.fixture(scope="module")
def simulate():
    spec = importlib.util.spec_from_file_location("simulate_intervals", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.LARGE = 100_000
    return module


@pytest.mark.slow
@pytest.mark.parametrize(
    "scene", [(40, None, 0.5, 1), (100, None, 0.5, 0.5), (200, None, 0.2, 1), (120, 40, 0.5, 0.5)], ids=str
)
def test_intervals_hold_the_truth_and_their_own_value(simulate, scene):
    shares, outside = simulate.coverage(simulate.Scene(*scene), repeats=60, resamples=150)
    assert outside == 0
    # Of 60 intervals of 95 %, 57 should hold the truth; 51 is three and a half standard deviations below.
    assert all(share >= 51 / 60 for share in shares.values()), shares


@pytest.mark.slow
def test_few_origins_need_an_interval_over_origins(simulate):
    over_origins, over_groups = simulate.origins_coverage(5, 40, repeats=30, resamples=100)
    # Of 30 intervals of 95 %, 28.5 should hold the truth; 24 is nearly four standard deviations below.
    assert over_origins >= 24 / 30
    assert over_groups < over_origins


def test_equal_detectors_are_rarely_told_apart_where_images_belong_together(simulate):
    shares = simulate.false_differences(groups=20, size=20, repeats=100)
    # 5 of 100 are expected; 12 are three standard deviations more.
    assert max(shares["auc"], shares["accuracy"]) <= 0.12
    assert shares["mcnemar"] > 0.3  # what comes of taking images for independent
