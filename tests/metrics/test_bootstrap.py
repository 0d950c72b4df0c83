import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm

from hf_deepfake.errors import InputError
from hf_deepfake.metrics.bootstrap import (
    draw,
    index_groups,
    interval,
    intervals,
    roc_band,
    sign_test,
    why_no_interval,
)
from hf_deepfake.metrics.classification import METRICS, compute_metrics


def drawn(size, generator):
    """Scores of two normal distributions a standard deviation apart; their AUC is norm.cdf(1 / sqrt(2))."""
    labels = np.arange(size) % 2
    return norm.cdf(generator.normal(size=size) + labels - 0.5), labels


def test_two_groups_by_hand():
    # Group a is right, group b is wrong; a resample is aa, ab, ba or bb, so accuracy is 1, 1/2 or 0.
    found = intervals([0.9, 0.1, 0.2, 0.8], [1, 0, 1, 0], ["a", "a", "b", "b"], level=0.4)
    # A quarter of the resamples is 0 and a quarter is 1: the 30 % and 70 % points are both 1/2.
    assert found["accuracy"] == (0.5, 0.5)
    assert intervals([0.9, 0.1, 0.2, 0.8], [1, 0, 1, 0], ["a", "a", "b", "b"], level=0.6)["accuracy"] == (0, 1)


def test_accuracy_follows_the_binomial_distribution():
    labels = np.arange(100) % 2
    scores = np.where(np.arange(100) < 80, labels, 1 - labels)
    low, high = intervals(scores, labels)["accuracy"]
    assert (low, high) == pytest.approx(np.array(binom.ppf([0.025, 0.975], 100, 0.8)) / 100, abs=0.011)


def test_a_seed_fixes_the_intervals_and_they_hold_the_values():
    scores, labels = drawn(300, np.random.default_rng(0))
    found = intervals(scores, labels, resamples=300)
    assert found == intervals(scores, labels, resamples=300)
    assert found != intervals(scores, labels, resamples=300, seed=1)
    values = compute_metrics(scores, labels)
    assert set(found) == set(METRICS)
    assert all(found[name][0] <= values[name] <= found[name][1] for name in METRICS)


def test_calibrated_scores_may_have_no_calibration_error():
    # 100 images of score .5, half of them fake, and 100 of .25: one bin each, in which nothing is amiss.
    scores, labels = np.repeat([0.5, 0.25], 100), np.r_[np.arange(100) % 2, np.arange(100) % 4 == 0].astype(int)
    assert compute_metrics(scores, labels)["ece"] == 0
    assert intervals(scores, labels)["ece"] == (0, 0)
    # Five fakes more in the second bin are what chance brings: the error of .025 may as well be 0.
    labels[[101, 102, 103, 105, 106]] = 1
    low, high = intervals(scores, labels)["ece"]
    assert compute_metrics(scores, labels)["ece"] == pytest.approx(0.025)
    assert low == 0
    assert high >= 0.025


def test_a_large_calibration_error_has_the_interval_of_a_share():
    # All scores are .9 and half of 400 images are fake: the error is .9 less a share, whose interval is known.
    scores, labels = np.full(400, 0.9), np.arange(400) % 2
    low, high = intervals(scores, labels)["ece"]
    ends = 0.9 - np.array(binom.ppf([0.975, 0.025], 400, 0.5)) / 400
    assert (low, high) == pytest.approx(ends, abs=0.008)


def test_rounding_leaves_no_value_outside_its_interval():
    # Every image costs .01 but for rounding, and so does every resample.
    scores, labels = [0.1, 0.9, 0.1, 0.9, 0.1, 0.9, 0.9], [0, 1, 0, 1, 0, 1, 1]
    (low, high), value = intervals(scores, labels)["brier"], compute_metrics(scores, labels)["brier"]
    assert low <= value <= high
    assert high - low < 1e-15
    statistic = np.array([0.1, 0.2, 0.3])
    low, high = interval(lambda weights: weights @ np.stack([statistic] * 2, 1) / 3 - [0, 9 * weights[0] - 9], None, 3)
    assert (low <= [0.2, 0.2]).all()
    assert (high >= [0.2, 0.2]).all()


def test_one_group_is_the_reason_for_no_interval():
    assert np.isnan(interval(lambda weights: weights[:1] / 1, ["a", "a"], 2)).all()
    assert why_no_interval(["a", "a"], 2) == "one group"
    assert why_no_interval(None, 2) == "too few images of one kind"


def test_signs_by_hand():
    # Parts 3, 1 and -1 (the fourth is 1 - 1): of eight sums 5 3 3 1 and their opposites, six are 3 or more away from 0.
    assert sign_test([1, 2, 1, -1, 1, -1], np.array([0, 0, 1, 2, 3, 3])) == 6 / 8
    assert sign_test([2, 2], np.array([0, 0])) == 1  # one group shows nothing
    assert sign_test([0, 0], np.array([0, 1])) == 1
    # 9 of 10 images: McNemar's test.
    assert sign_test([1] * 9 + [-1], np.arange(10)) == binomtest(9, 10).pvalue
    assert sign_test([1] * 30 + [-1] * 12, np.arange(42), resamples=20_000) == pytest.approx(
        binomtest(30, 42).pvalue, abs=0.0015
    )
    assert sign_test([1] * 60, np.arange(60), resamples=99) == 1 / 100


def test_copies_within_groups_add_no_certainty():
    scores, labels = drawn(60, np.random.default_rng(1))
    width = np.subtract(*intervals(scores, labels)["auc"])
    copied, copied_labels, groups = np.repeat(scores, 20), np.repeat(labels, 20), np.repeat(np.arange(60), 20)
    assert np.subtract(*intervals(copied, copied_labels, groups)["auc"]) == pytest.approx(width, rel=1e-9)
    assert np.subtract(*intervals(copied, copied_labels)["auc"]) > width / 3  # widths are negative here


def test_a_metric_that_is_often_undefined_has_no_interval():
    # One fake in ten is missing from about a third of all resamples.
    found = intervals(np.linspace(0, 1, 10), [0] * 9 + [1], resamples=200)
    assert found["auc"] is None
    assert found["accuracy"] is not None


def test_one_group_has_no_intervals():
    assert set(intervals([0.1, 0.9], [0, 1], ["a", "a"]).values()) == {None}


def test_missing_groups_stand_alone():
    assert index_groups(["b", None, "a", "b", float("nan")], 5).tolist() == [0, 2, 1, 0, 3]
    assert index_groups(None, 3).tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="2 groups for 3 images"):
        index_groups(["a", "b"], 3)


def test_a_group_is_drawn_whole():
    resamples = list(draw(np.array([0, 1, 1, 2]), 50, seed=0))
    assert all(weights[1] == weights[2] for weights in resamples)
    assert all(weights[0] + weights[1] + weights[3] == 3 for weights in resamples)


def test_roc_band_by_hand():
    # Group a is right, group b is wrong: a resample's curve is perfect, the worst possible, or between.
    rates, low, high = roc_band([0.9, 0.1, 0.2, 0.8], [1, 0, 1, 0], ["a", "a", "b", "b"], resamples=200)
    inner = (rates > 0) & (rates < 1)
    assert (rates[0], rates[-1], len(rates)) == (0, 1, 201)
    assert (set(low[inner]), set(high[inner])) == ({0.0}, {1.0})


def test_roc_band_needs_both_classes():
    with pytest.raises(InputError, match="both classes"):
        roc_band([0.1, 0.2], [0, 0])


@pytest.mark.slow
def test_intervals_cover_the_truth():
    generator = np.random.default_rng(0)
    truth = {"auc": norm.cdf(1 / np.sqrt(2)), "accuracy": norm.cdf(0.5), "eer": norm.cdf(-0.5)}
    hits = dict.fromkeys(truth, 0)
    for seed in range(200):
        found = intervals(*drawn(200, generator), resamples=400, seed=seed)
        for name, value in truth.items():
            hits[name] += found[name][0] <= value <= found[name][1]
    # Of 200 intervals of 95 %, 190 should cover; 180 is three standard deviations below.
    assert all(count >= 180 for count in hits.values()), hits
