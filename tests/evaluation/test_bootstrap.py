import numpy as np
import pytest
from scipy.stats import binom, norm

from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.bootstrap import draw, index_groups, intervals, roc_band
from hf_deepfake.evaluation.metrics import METRICS, compute_metrics


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
    # The calibration error is biased upwards in resamples; all others are held.
    assert all(found[name][0] <= values[name] <= found[name][1] for name in METRICS if name != "ece")


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
    with pytest.raises(InputError, match="2 groups for 3 pictures"):
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
