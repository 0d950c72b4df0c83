import numpy as np
import pytest
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn import metrics as sklearn_metrics

from hf_deepfake.errors import InputError
from hf_deepfake.metrics.classification import BINS, CONFUSION, METRICS, Ranking, compute_metrics, undefined

# Sorted down, fakes marked: .9F .8F .7R .7F .6R .4F .3R .2R; four fakes, four reals, one tie.
SCORES = np.array([0.9, 0.8, 0.7, 0.7, 0.6, 0.4, 0.3, 0.2])
LABELS = np.array([1, 1, 0, 1, 0, 1, 0, 0])


def drawn(size=400, seed=0):
    """Scores on a grid of 50 values, so that many tie, with labels and weights; some weights are 0."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, size)
    scores = np.round(1 / (1 + np.exp(-generator.normal(size=size) - labels)), 2).clip(0.02, 0.98)
    return scores, labels, generator.poisson(1, size)


def test_toy_by_hand():
    values = compute_metrics(SCORES, LABELS)
    # Called fake from .5: .9F .8F .7R .7F .6R.
    assert [values[name] for name in CONFUSION] == [2, 2, 1, 3]
    assert values["accuracy"] == 5 / 8
    assert values["balanced_accuracy"] == (2 / 4 + 3 / 4) / 2
    assert (values["precision_fake"], values["recall_fake"]) == (3 / 5, 3 / 4)
    assert (values["precision_real"], values["recall_real"]) == (2 / 3, 2 / 4)
    assert values["f1_fake"] == pytest.approx(2 * (3 / 5) * (3 / 4) / (3 / 5 + 3 / 4))
    assert values["mcc"] == pytest.approx((3 * 2 - 2 * 1) / np.sqrt(5 * 3 * 4 * 4))
    # Of 16 pairs of a fake and a real: .9 and .8 beat 4 each, .7 beats 3 and ties one, .4 beats 2.
    assert values["auc"] == (4 + 4 + 3.5 + 2) / 16
    # Each rise of recall times the precision there: .9, .8, .7 (with the tied real), .4.
    assert values["average_precision"] == pytest.approx((1 / 1 + 2 / 2 + 3 / 4 + 4 / 6) / 4)
    # Between false 1, true 3 and false 2, true 3 (.6R) both rates are 1/4.
    assert values["eer"] == 1 / 4
    # All four fakes need a threshold of .4, which calls 2 of 4 reals fake.
    assert [values[f"fpr_at_recall_{share}"] for share in (90, 95, 99)] == [2 / 4] * 3
    assert [values[f"recall_at_fpr_{share}"] for share in (1, 5, 10)] == [2 / 4] * 3
    assert values["brier"] == pytest.approx(np.mean((SCORES - LABELS) ** 2))


def test_threshold_is_inclusive_and_moves_only_the_verdicts():
    at_half, at_point_six = compute_metrics(SCORES, LABELS), compute_metrics(SCORES, LABELS, 0.6)
    assert at_half == at_point_six
    higher = compute_metrics(SCORES, LABELS, 0.61)
    assert higher["fp"] == 1
    assert all(higher[name] == at_half[name] for name in ("auc", "eer", "log_loss", "ece", "recall_at_fpr_5"))


@pytest.mark.parametrize("weighted", [False, True])
def test_agrees_with_scikit_learn(weighted):
    scores, labels, weights = drawn()
    weights = weights if weighted else np.ones_like(weights)
    values = Ranking(scores, labels, 0.6).measure(weights)
    called, options = scores >= 0.6, {"sample_weight": weights}
    precision, recall, f1, _ = sklearn_metrics.precision_recall_fscore_support(labels, called, **options)
    false, true, _ = sklearn_metrics.roc_curve(labels, scores, drop_intermediate=False, **options)
    expected = {
        "auc": sklearn_metrics.roc_auc_score(labels, scores, **options),
        "average_precision": sklearn_metrics.average_precision_score(labels, scores, **options),
        "eer": brentq(lambda rate: 1 - rate - interp1d(false, true)(rate), 0, 1),
        "accuracy": sklearn_metrics.accuracy_score(labels, called, **options),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(labels, called, **options),
        **dict(zip(("precision_real", "precision_fake"), precision, strict=True)),
        **dict(zip(("recall_real", "recall_fake"), recall, strict=True)),
        **dict(zip(("f1_real", "f1_fake"), f1, strict=True)),
        "mcc": sklearn_metrics.matthews_corrcoef(labels, called, **options),
        "log_loss": sklearn_metrics.log_loss(labels, scores, **options),
        "brier": sklearn_metrics.brier_score_loss(labels, scores, **options),
        **{f"fpr_at_recall_{share}": false[true >= share / 100 - 1e-12].min() for share in (90, 95, 99)},
        **{f"recall_at_fpr_{share}": true[false <= share / 100 + 1e-12].max() for share in (1, 5, 10)},
    }
    assert set(expected) == set(METRICS) - {"ece"}
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-7)


def test_a_weight_is_a_repeated_image():
    scores, labels, weights = drawn(seed=3)
    repeated = compute_metrics(np.repeat(scores, weights), np.repeat(labels, weights))
    assert Ranking(scores, labels).measure(weights) == pytest.approx(repeated, abs=1e-12)


def test_order_does_not_matter():
    scores, labels, _ = drawn(seed=4)
    shuffled = np.random.default_rng(0).permutation(len(scores))
    assert compute_metrics(scores[shuffled], labels[shuffled]) == pytest.approx(compute_metrics(scores, labels))


def test_calibration_error_by_hand():
    # 30 images in 15 bins of two: bins of scores .9 with one fake in two, the others on the spot.
    scores = np.repeat(np.linspace(0.02, 0.3, 15), 2) + np.tile([0, 0.001], 15)
    labels = np.zeros(30, int)
    labels[0] = 1
    pairs = scores.reshape(15, 2).mean(axis=1)
    expected = (abs(0.5 - pairs[0]) + pairs[1:].sum()) / 15
    assert compute_metrics(scores, labels)["ece"] == pytest.approx(expected)


def test_gaps_are_what_the_calibration_error_sums():
    scores, labels, weights = drawn(seed=5)
    ranking, once = Ranking(scores, labels), np.ones(len(scores), np.int64)
    assert np.abs(ranking.gaps(once)).sum() == pytest.approx(compute_metrics(scores, labels)["ece"])
    # Under other weights the bins stay: 2 of 3 fakes where .5 was promised, in one bin.
    tied = Ranking([0.5, 0.5], [1, 0])
    assert tied.gaps(np.array([2, 1])).tolist() == pytest.approx([0] * 7 + [(2 - 1.5) / 3] + [0] * 7)
    assert ranking.gaps(weights).sum() == pytest.approx((labels - scores) @ weights / weights.sum())


def test_placements_by_hand():
    # .9F beats both reals; .5F beats .2R and ties .5R; each real is below its share of the fakes.
    assert Ranking([0.9, 0.5, 0.5, 0.2], [1, 1, 0, 0]).placements().tolist() == [1, 0.75, 0.75, 1]
    scores, labels, _ = drawn(seed=6)
    placed, auc = Ranking(scores, labels).placements(), sklearn_metrics.roc_auc_score(labels, scores)
    assert [placed[labels == label].mean() for label in (0, 1)] == pytest.approx([auc, auc])


def test_bins_hold_equal_mass_and_keep_ties_together():
    scores = np.random.default_rng(0).random(150)
    bins = Ranking(scores, np.arange(150) % 2).bins(np.ones(150, np.int64))
    assert bins.weight.tolist() == [10] * BINS
    assert bins.score == pytest.approx(np.sort(scores)[::-1].reshape(BINS, 10).mean(axis=1))
    tied = Ranking(np.full(150, 0.4), np.arange(150) % 2).bins(np.ones(150, np.int64))
    assert (tied.weight.tolist(), tied.fake.tolist()) == ([150], [75])


@pytest.mark.parametrize(("label", "missing"), [(0, "no fake images"), (1, "no real images")])
def test_one_class_leaves_what_needs_both_undefined(label, missing):
    values = compute_metrics([0.2, 0.8, 0.9], [label] * 3)
    reasons = undefined(values)
    assert set(reasons) == {name for name, value in values.items() if value is None}
    assert {"auc", "average_precision", "eer", "mcc", "fpr_at_recall_95", "recall_at_fpr_1"} <= set(reasons)
    assert set(reasons.values()) == {missing}
    assert values["accuracy"] == (1 / 3 if label == 0 else 2 / 3)


def test_a_class_that_is_never_called_has_no_precision():
    values = compute_metrics([0.1, 0.2], [0, 1])
    assert (values["precision_fake"], values["recall_fake"], values["f1_fake"], values["mcc"]) == (None, 0, 0, None)
    assert undefined(values) == {
        "precision_fake": "no image was called fake",
        "mcc": "no image was called fake",
    }


def test_a_certain_error_costs_a_finite_loss():
    assert compute_metrics([0.0, 1.0], [1, 0])["log_loss"] == pytest.approx(-np.log(np.finfo(float).eps))


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([], [], "one score and one label"),
        ([0.5, 0.5], [1], "one score and one label"),
        ([1.5], [1], "not logits"),
        ([float("nan")], [1], "not logits"),
        ([0.5], [2], "neither 0"),
    ],
)
def test_bad_input_is_refused(scores, labels, message):
    with pytest.raises(InputError, match=message):
        compute_metrics(scores, labels)
