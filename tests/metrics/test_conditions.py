import pytest

from hf_deepfake.metrics.conditions import ConditionResult, evaluate_condition, worst_mild
from hf_deepfake.metrics.result import Metric

SCORES, CLEAN, LABELS = [0.9, 0.2, 0.6, 0.1], [0.9, 0.8, 0.3, 0.1], [1, 1, 0, 0]


def test_a_condition_by_hand():
    one = evaluate_condition("jpeg", 4, SCORES, CLEAN, LABELS, None, 0.5)
    # Pairs of a fake and a real: .9 beats both, .2 beats .1 alone.
    assert one.auc.value == pytest.approx(3 / 4)
    assert one.accuracy.value == 2 / 4
    assert one.false_alarms.value == 1 / 2
    assert one.flips.value == 2 / 4
    assert (one.family, one.severity, one.strength, one.mild) == ("jpeg", 4, 40, True)
    assert one.accuracy.low <= 0.5 <= one.accuracy.high
    assert not evaluate_condition("jpeg", 5, SCORES, CLEAN, LABELS, None, 0.5).mild
    assert not evaluate_condition("fog", 1, SCORES, CLEAN, LABELS, None, 0.5).mild


def test_clean_images_flip_nothing():
    one = evaluate_condition("clean", 0, CLEAN, CLEAN, LABELS, None, 0.5)
    assert (one.flips.value, one.auc.value, one.severity, one.mild) == (0, 1, 0, False)


def test_one_class_has_no_auc():
    one = evaluate_condition("fog", 1, [0.9, 0.2], [0.9, 0.2], [1, 1], None, 0.5)
    assert (one.auc.value, one.auc.reason, one.false_alarms.value) == (None, "one class only", None)
    assert one.accuracy.value == 0.5


def test_one_group_has_a_reason():
    one = evaluate_condition("jpeg", 4, SCORES, CLEAN, LABELS, ["one video"] * 4, 0.5)
    for metric in (one.auc, one.accuracy, one.false_alarms, one.flips):
        assert (metric.low, metric.high, metric.reason) == (None, None, "one group")


def made(family, severity, auc):
    metric = Metric(auc, auc - 0.01, auc + 0.01)
    return ConditionResult(family, severity, 1.0, metric, metric, metric, metric)


def test_the_headline_is_the_worst_of_the_mild_set():
    results = [made("clean", 0, 0.95), made("jpeg", 4, 0.8), made("jpeg", 5, 0.5), made("gaussian_blur", 3, 0.7)]
    assert worst_mild(results).family == "gaussian_blur"
    assert worst_mild(results[:1]) is None
