import dataclasses
import json

import numpy as np
import pytest

from hf_deepfake.metrics.result import PRIORS, Metric, evaluate_scores

SCORES = [0.1, 0.3, 0.45, 0.7, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95]
LABELS = [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]


def test_the_unsure_band_by_hand():
    result = evaluate_scores(SCORES, LABELS, abstention_band=(0.35, 0.65))
    # unsure are .4, .45 and .6; of the other seven, .7 is a real called fake and .2 a fake called real
    values = {name: metric.value for name, metric in result.unsure.items()}
    assert values == pytest.approx({"coverage": 0.7, "error": 2 / 7, "missed": 1 / 6, "false_alarms": 1 / 4})
    for metric in result.unsure.values():
        assert metric.low is not None
        assert metric.high is not None
        assert metric.low <= metric.value <= metric.high


def test_the_ends_of_the_band_are_unsure():
    result = evaluate_scores(SCORES, LABELS, abstention_band=(0.3, 0.7))
    assert result.unsure["coverage"].value == pytest.approx(0.5)


def test_what_a_band_leaves_undefined():
    result = evaluate_scores(SCORES, LABELS, abstention_band=(0.0, 1.0))
    assert result.unsure["coverage"].value == 0
    assert result.unsure["error"].value is None
    assert result.unsure["error"].reason == "no image has a confident verdict"
    assert evaluate_scores(SCORES, LABELS).unsure == {}


def test_precision_at_a_prior_by_hand():
    result = evaluate_scores(SCORES, LABELS)  # recall 4 of 6, false alarms 1 of 4
    expected = [prior * 2 / 3 / (prior * 2 / 3 + (1 - prior) / 4) for prior in PRIORS]
    assert [metric.value for metric in result.precision_at.values()] == pytest.approx(expected)
    assert list(result.precision_at) == ["0.5", "0.1", "0.01", "0.001"]
    only_real = evaluate_scores([0.1, 0.2], [0, 0])
    assert only_real.precision_at["0.5"].value is None


def test_intervals_draw_groups_whole():
    labels = np.tile([0, 1], 60)
    groups = np.repeat(np.arange(12), 10)
    scores = np.where(groups % 2, 0.5, 0.9)  # every other group lies in the band as a whole
    single = evaluate_scores(scores, labels, abstention_band=(0.4, 0.6)).unsure["coverage"]
    grouped = evaluate_scores(scores, labels, groups.tolist(), abstention_band=(0.4, 0.6)).unsure["coverage"]
    assert single.value == grouped.value
    assert grouped.high - grouped.low > 2 * (single.high - single.low)


def test_one_group_has_a_reason_everywhere():
    result = evaluate_scores(SCORES, LABELS, ["one video"] * 10, abstention_band=(0.35, 0.65))
    measured = [*result.metrics.values(), *result.unsure.values(), *result.precision_at.values()]
    assert {(one.low, one.high, one.reason) for one in measured} == {(None, None, "one group")}
    assert str(result.metrics["accuracy"]) == "0.700 (no interval: one group)"
    assert "NaN" not in json.dumps(dataclasses.asdict(result))


def test_a_rare_class_has_a_reason():
    metric = evaluate_scores([0.1, 0.2, 0.3, 0.4, 0.9], [0, 0, 0, 0, 1]).metrics["auc"]
    assert (metric.value, metric.low, metric.reason) == (1, None, "too few images of one kind")


def test_a_negated_metric_has_its_ends_in_order():
    assert -Metric(0.2, 0.1, 0.4) == Metric(-0.2, -0.4, -0.1)
    assert -Metric(None, reason="one class only") == Metric(None, reason="one class only")
