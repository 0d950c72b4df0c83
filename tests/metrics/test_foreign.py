import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from hf_deepfake.metrics.foreign import FOREIGN_METRICS, mean_auc, measure_foreign
from hf_deepfake.metrics.result import evaluate_scores


def scored(**origins):
    """A table of scores: by origin, (scores of real images, scores of fakes)."""
    rows = [
        {"origin": name, "score": score, "label": label, "group": None}
        for name, classes in origins.items()
        for label, scores in enumerate(classes)
        for score in scores
    ]
    return pd.DataFrame(rows)


BAND = (0.4, 0.6)

# sharp: all right, one abstention of four. blunt: of six pairs the fakes win four, so that the AUC is 2/3; outside the
# band are .2 (right), .9 (a real: wrong), .7 and .8 (right): risk 1/4, one of three reals confidently called fake.
TABLE = scored(sharp=([0.1, 0.2], [0.5, 0.9]), blunt=([0.2, 0.5, 0.9], [0.7, 0.8]))


def test_mean_and_worst_by_hand():
    found = measure_foreign(TABLE, 0.5, BAND, resamples=50)
    assert list(found.origins) == ["blunt", "sharp"]
    assert found.origins["blunt"].metrics["auc"].value == pytest.approx(2 / 3)
    assert found.mean["auc"].value == pytest.approx((1 + 2 / 3) / 2)
    assert found.mean["coverage"].value == pytest.approx((3 / 4 + 4 / 5) / 2)
    assert found.mean["error"].value == pytest.approx((0 + 1 / 4) / 2)
    assert found.mean["false_alarms"].value == pytest.approx((0 + 1 / 3) / 2)
    assert (found.worst["auc"].origin, found.worst["coverage"].origin) == ("blunt", "sharp")
    assert found.worst["false_alarms"].value == pytest.approx(1 / 3)
    assert found.mean["auc"].n == 2


def test_an_origin_counts_once_whatever_its_size():
    small, large = scored(a=([0.1], [0.9]), b=([0.9], [0.1])), scored(a=([0.1] * 50, [0.9] * 50), b=([0.9], [0.1]))
    for table in (small, large):
        assert measure_foreign(table, 0.5, None, resamples=20).mean["auc"].value == 0.5


def test_an_origin_of_one_class_counts_where_its_class_does():
    found = measure_foreign(scored(both=([0.1, 0.3], [0.7, 0.9]), reals=([0.2, 0.8], [])), 0.5, BAND, resamples=50)
    assert (found.mean["auc"].value, found.mean["auc"].n) == (1.0, 1)
    assert (found.mean["false_alarms"].value, found.mean["false_alarms"].n) == (0.25, 2)
    assert found.worst["false_alarms"].origin == "reals"
    assert found.mean["missed"].n == 1
    assert found.origins["reals"].metrics["auc"].reason == "no fake images"


def test_the_interval_over_origins_is_wider_than_that_over_groups():
    generator = np.random.default_rng(0)
    shift = {"a": 0.0, "b": 0.6, "c": 1.2, "d": 1.8}
    normal = stats.norm.cdf
    table = scored(
        **{
            name: (normal(generator.normal(0, 1, 80)), normal(generator.normal(by, 1, 80)))
            for name, by in shift.items()
        }
    )
    mean = measure_foreign(table, 0.5, None, resamples=400).mean["auc"]
    assert mean.low < mean.group_low < mean.value < mean.group_high < mean.high
    values = [one.metrics["auc"].value for one in measure_foreign(table, 0.5, None, resamples=20).origins.values()]
    # The t interval of four values, which the expanded percentiles are made after.
    t = stats.t.ppf(0.975, 3) * np.std(values, ddof=1) / 2
    assert mean.high - mean.low == pytest.approx(2 * t, rel=0.35)


def test_over_groups_one_origin_is_what_its_own_bootstrap_says():
    generator = np.random.default_rng(1)
    table = scored(a=(generator.uniform(0, 0.8, 60), generator.uniform(0.2, 1, 60)))
    mean = measure_foreign(table, 0.5, BAND).mean["auc"]
    alone = evaluate_scores(table["score"], table["label"]).metrics["auc"]
    assert (mean.group_low, mean.group_high) == pytest.approx((alone.low, alone.high))
    assert (mean.low, mean.reason) == (None, "one origin")


def test_without_a_band_nothing_is_said_of_one():
    found = measure_foreign(TABLE, 0.5, None, resamples=20)
    assert found.mean["coverage"].reason == "no abstention band"
    assert str(found.worst["coverage"]) == "undefined (no abstention band)"
    assert set(found.mean) == set(found.worst) == set(FOREIGN_METRICS)


def test_looks_are_counted_by_origin():
    first = measure_foreign(TABLE, 0.5, BAND, resamples=20).counting(None, {"sharp", "blunt"})
    second = measure_foreign(TABLE, 0.5, BAND, resamples=20).counting(first, {"blunt"})
    assert {name: one.test_looks for name, one in second.origins.items()} == {"blunt": 2, "sharp": 1}


def test_mean_auc_against_scikit_learn():
    generator = np.random.default_rng(2)
    scores, labels = generator.integers(0, 9, 90).astype(float), generator.integers(0, 2, 90)
    origins = np.repeat(["a", "b", "reals"], 30)
    labels[60:] = 0
    expected = np.mean([roc_auc_score(labels[part], scores[part]) for part in (slice(0, 30), slice(30, 60))])
    assert mean_auc(scores, labels, origins) == pytest.approx(expected)
    assert math.isnan(mean_auc(scores[60:], labels[60:], origins[60:]))
