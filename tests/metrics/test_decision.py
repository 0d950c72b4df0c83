import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin

from hf_deepfake.config import DecisionConfig
from hf_deepfake.errors import InputError
from hf_deepfake.metrics.calibration import fake_probability
from hf_deepfake.metrics.decision import (
    abstention_band,
    choose_operating_point,
    decide,
    decide_by,
    settle_criterion,
)

SCORES = [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9]
LABELS = [0, 0, 1, 0, 0, 1, 1, 1]


def between(low: float, high: float) -> float:
    return float(expit((logit(low) + logit(high)) / 2))


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        ("accuracy", between(0.6, 0.7)),  # 7 of 8 right
        ("f1", between(0.6, 0.7)),  # 3 of 4 found, no false alarm: 6/7; all found with two false alarms: 8/10
        ("eer", between(0.6, 0.7)),  # at .65 misses .25, alarms 0; at .5 .25 and .25: the same
        ("fpr<=0", between(0.6, 0.7)),
        ("fpr<=.25", between(0.6, 0.7)),  # a false alarm more would find no fake more
        ("fpr <= 0.5", between(0.2, 0.3)),
        ("recall>=0.75", between(0.6, 0.7)),
        ("recall>=.76", between(0.2, 0.3)),
        ("recall>=1", between(0.2, 0.3)),
    ],
)
def test_operating_points_by_hand(criterion, expected):
    if criterion == "eer":
        expected = between(0.4, 0.6)
    assert choose_operating_point(SCORES, LABELS, criterion) == pytest.approx(expected)


def test_cost_by_hand():
    # a miss costs 10: .25 misses against .5 false alarms; with 1 fake in 100 the alarms weigh 99 times as much
    assert choose_operating_point(SCORES, LABELS, "cost", miss_cost=10) == pytest.approx(between(0.2, 0.3))
    assert choose_operating_point(SCORES, LABELS, "cost", miss_cost=10, prior=0.01) == pytest.approx(between(0.6, 0.7))
    # so rare are fakes that no verdict of fake pays: the point lies above every score
    assert choose_operating_point([0.4, 0.6], [1, 0], "cost", prior=0.01) == pytest.approx(0.8)


def test_equally_good_thresholds_are_decided_towards_the_middle():
    assert choose_operating_point([0.01, 0.9], [0, 1]) == pytest.approx(between(0.01, 0.9))
    # .05 and .45 err once each
    assert choose_operating_point([0.04, 0.06, 0.4, 0.5], [0, 1, 0, 1]) == pytest.approx(between(0.4, 0.5))


def test_certain_scores_still_give_a_point_that_can_be_folded():
    assert 0 < choose_operating_point([0.0, 1.0], [0, 1]) < 1
    assert 0 < choose_operating_point([0.0, 0.0], [0, 1], "recall>=1") < 1


@pytest.mark.parametrize("criterion", ["auc", "fpr<=", "fpr<=2", "recall>=-1", "fpr>=.1"])
def test_unknown_criteria(criterion):
    with pytest.raises(InputError, match="criterion"):
        choose_operating_point(SCORES, LABELS, criterion)


def test_what_cannot_decide():
    with pytest.raises(InputError, match="both classes"):
        choose_operating_point([0.1, 0.2], [0, 0])
    with pytest.raises(InputError, match="miss cost"):
        choose_operating_point(SCORES, LABELS, "cost", miss_cost=0)
    with pytest.raises(InputError, match="prior"):
        choose_operating_point(SCORES, LABELS, "cost", prior=1)
    with pytest.raises(InputError, match="unsure error"):
        abstention_band(SCORES, LABELS, 0.5, 0)


def test_band_by_hand():
    fakes, reals = np.arange(0.4, 0.59, 0.01), np.arange(0.5, 0.69, 0.01)  # 19 of each, so one may be wrong at 5 %
    scores, labels = np.concatenate([fakes, reals]), [1] * 19 + [0] * 19
    assert abstention_band(scores, labels, 0.55, 0.05) == pytest.approx((0.4, 0.68))
    assert abstention_band(scores, labels, 0.55, 0.10) == pytest.approx((0.41, 0.67))
    # 18 images cannot promise 5 %
    assert abstention_band(scores[1:], labels[1:], 0.55, 0.05) == pytest.approx((0.0, 0.68))
    assert abstention_band(scores[:-1], labels[:-1], 0.55, 0.05) == pytest.approx((0.4, 1.0))


def test_a_detector_better_than_asked_is_unsure_only_up_to_its_operating_point():
    scores, labels = [0.1] * 50 + [0.9] * 50, [0] * 50 + [1] * 50
    assert abstention_band(scores, labels, 0.5, 0.05) == (0.5, 0.5)
    assert abstention_band(scores, labels, 0.95, 0.05) == (
        0.9,
        0.95,
    )  # else every fake would confidently be called real


def draw(n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a mediocre detector, three reals to a fake."""
    labels = (generator.random(n) < 0.25).astype(int)
    return expit(generator.normal(1.5 * labels - 0.5)), labels


@pytest.mark.parametrize("error", [0.01, 0.05, 0.2])
def test_the_promise_holds_in_simulation(error):
    generator = np.random.default_rng(0)
    wrong = []
    for _ in range(400):
        scores, labels = draw(400, generator)
        low, high = abstention_band(scores, labels, 0.5, error)
        new, truth = draw(2000, generator)
        wrong.append([np.mean(new[truth == 1] < low), np.mean(new[truth == 0] > high)])
    mean = np.mean(wrong, axis=0)
    three_errors = 3 * np.std(wrong, axis=0) / np.sqrt(len(wrong))
    assert (mean <= error + three_errors).all()
    assert (mean >= 0.5 * error).all()  # and it is not had by being unsure of everything


class Scored(ClassifierMixin, BaseEstimator):
    """A classifier whose one feature is P(fake)."""

    def __init__(self):
        self.classes_ = np.array([0, 1])

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, features):
        return np.column_stack([1 - features[:, 0], features[:, 0]])

    def predict(self, features):
        return (features[:, 0] >= 0.5).astype(int)


@pytest.mark.filterwarnings("ignore:.*conformalization dataset has less labels")
def test_sets_are_those_of_mapie():
    scores, labels = draw(999, np.random.default_rng(1))
    low, high = abstention_band(scores, labels, 0.5, 0.1)
    grid = np.linspace(0.001, 0.999, 999)[:, None]
    members = {}
    for label in (0, 1):  # class-conditional: each class calibrated by its own images
        own = labels == label
        conformal = SplitConformalClassifier(Scored(), confidence_level=0.9, conformity_score="lac", prefit=True)
        conformal.conformalize(scores[own, None], labels[own])
        _, sets = conformal.predict_set(grid)
        members[label] = sets[:, label, 0]
    unsure = (grid[:, 0] >= low) & (grid[:, 0] <= high)
    assert (unsure == (members[0] & members[1])).mean() >= 0.998


def test_balanced_and_auto_by_hand():
    # nine fakes to a real, and the real is not the lowest: all fake is right 9 times in 10, as no other point is
    scores, labels = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95], [1, 1, 0, 1, 1, 1, 1, 1, 1, 1]
    assert choose_operating_point(scores, labels, "accuracy") == pytest.approx(0.1)  # half the lowest score
    # recall of fake 7/9 without a false alarm
    assert choose_operating_point(scores, labels, "balanced") == pytest.approx(between(0.4, 0.5))
    assert choose_operating_point(scores, labels, "auto") == pytest.approx(between(0.4, 0.5))


@pytest.mark.parametrize(
    ("real", "fake", "expected"), [(5, 5, "accuracy"), (4, 6, "accuracy"), (39, 61, "balanced"), (9, 1, "balanced")]
)
def test_auto_is_accuracy_unless_a_class_is_rare(real, fake, expected):
    labels = [0] * real + [1] * fake
    assert settle_criterion("auto", labels) == expected
    assert settle_criterion("f1", labels) == "f1"
    assert decide(np.stack([-np.arange(real + fake), np.arange(real + fake)], 1), labels).criterion == expected


UNTOLD = np.array([[0.0, 0.1 * (place % 7)] for place in range(20)])
"""Logits that know nothing of the labels below."""


@pytest.mark.parametrize("criterion", ["accuracy", "f1", "cost", "recall>=1"])
def test_a_criterion_that_calls_all_one_class_is_warned_of(criterion, caplog):
    labels = [0, 0] + [1] * 18
    decision = decide_by(DecisionConfig(criterion=criterion, miss_cost=50), UNTOLD, labels)
    assert (fake_probability(UNTOLD, decision.temperature) >= decision.operating_point).all()
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.startswith("WARNING: every image of validation is called fake (2 real, 18 fake) by the criterion ")
    assert "accuracy 0.900 is no better than one verdict for all" in said
    assert "--criterion balanced" in said


def test_auto_says_that_a_class_is_rare(caplog):
    decision = decide_by(DecisionConfig(), UNTOLD, [0, 0] + [1] * 18)
    assert decision.criterion == "balanced"
    assert "class imbalance among the images that decide (2 real, 18 fake)" in caplog.records[0].getMessage()


def test_a_decision_that_tells_them_apart_says_nothing(caplog):
    decide_by(DecisionConfig(), [[1, 0], [2, 0], [0, 1], [0, 2]], [0, 0, 1, 1])
    assert caplog.records == []


# Each origin of 19 images of each class: at an error of .05 one of 20 may be wrong, which is the lowest fake and the
# highest real. Origin b is the harder one.
BY_ORIGIN = {
    "a": (np.linspace(0.30, 0.48, 19), np.linspace(0.02, 0.20, 19)),
    "b": (np.linspace(0.20, 0.38, 19), np.linspace(0.52, 0.70, 19)),
}


def test_the_band_of_the_worst_origin_by_hand():
    scores = np.concatenate([part for fakes_and_reals in BY_ORIGIN.values() for part in fakes_and_reals])
    labels = np.tile(np.repeat([1, 0], 19), 2)
    origins = np.repeat(["a", "b"], 38)
    assert abstention_band(scores, labels, 0.5, 0.05, origins) == pytest.approx((0.20, 0.70))
    alone = origins == "a"
    assert abstention_band(scores[alone], labels[alone], 0.5, 0.05, origins[alone]) == pytest.approx((0.30, 0.50))
    # Pooled, .05 of 39 is one image, the same ones; .10 of 39 is three of each, where each origin has two.
    assert abstention_band(scores, labels, 0.5, 0.05) == pytest.approx((0.20, 0.70))
    assert abstention_band(scores, labels, 0.5, 0.10, origins) == pytest.approx((0.21, 0.69))
    assert abstention_band(scores, labels, 0.5, 0.10)[0] == pytest.approx(0.22)


def test_an_origin_of_one_class_decides_on_one_end():
    scores = np.concatenate([BY_ORIGIN["a"][0], BY_ORIGIN["a"][1], BY_ORIGIN["b"][1]])
    labels, origins = np.repeat([1, 0, 0], 19), np.repeat(["a", "a", "reals"], 19)
    assert abstention_band(scores, labels, 0.5, 0.05, origins) == pytest.approx((0.30, 0.70))


def test_an_origin_too_small_to_promise_is_said(caplog):
    logits = np.zeros((60, 2))
    logits[:, 1] = np.tile([2.0, -2.0], 30)
    labels, origins = np.tile([1, 0], 30), ["large"] * 50 + ["small"] * 10
    assert decide_by(DecisionConfig(band="pooled"), logits, labels, origins).abstention_band[0] > 0
    assert "no image will confidently" not in caplog.text
    band = decide_by(DecisionConfig(), logits, labels, origins).abstention_band
    assert band == (0, 1)
    assert "no image will confidently be called real" in caplog.text
    assert "no image will confidently be called fake" in caplog.text
