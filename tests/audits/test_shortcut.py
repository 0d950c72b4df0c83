import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from hf_deepfake.audits.shortcut import Shortcut, _FoldRanking, find_shortcut

NAMES = {"a": "the first", "b": "the second", "yes": "a yes or no"}


def measured(features, labels, groups) -> Shortcut:
    found = find_shortcut(features, labels, groups, NAMES)
    assert found is not None
    return found


def table(rng, count):
    return pd.DataFrame({"a": rng.normal(size=count), "b": rng.normal(size=count), "yes": rng.integers(0, 2, count)})


def test_a_planted_shortcut_is_named_with_both_classes_values():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100).astype(np.int8)
    features = table(rng, 200)
    features["yes"] = 1 - labels
    features.loc[labels == 1, "b"] += 1
    found = measured(features, labels, None)
    assert found.n == 200
    assert found.auc == found.low == found.high == 1
    assert [one.name for one in found.telling][:2] == ["a yes or no", "the second"]
    first, second = found.telling[:2]
    assert (first.auc, first.real, first.fake) == (0, 1, 0)
    assert second.auc == roc_auc_score(labels, features["b"])
    assert second.real == features["b"][:100].median()
    assert len(second.edges) == 21
    assert sum(second.fake_share) == pytest.approx(1)


def test_combinations_and_gaps_tell_too():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400).astype(np.int8)
    features = table(rng, 400)
    features["b"] = np.where(labels ^ (features["a"] > 0), 1.0, -1.0)
    assert measured(features, labels, None).low > 0.9
    gaps = table(rng, 400)
    gaps.loc[labels == 1, "a"] = np.nan
    found = measured(gaps, labels, None)
    assert found.auc == 1
    assert (found.telling[0].auc, found.telling[0].fake) == (0, None)


@pytest.mark.slow
@pytest.mark.parametrize("paired", [False, True])
def test_intervals_of_features_that_say_nothing_contain_chance(paired):
    inside, values = 0, []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        labels = np.tile([0, 1], 60).astype(np.int8)
        features = table(rng, 120)
        groups = None
        if paired:  # a fake has nearly the features of the real image it was made from
            features.loc[1::2, ["a", "b"]] = features.loc[::2, ["a", "b"]].to_numpy() + rng.normal(0, 0.01, (60, 2))
            groups = np.repeat(np.arange(60), 2).tolist()
        found = measured(features, labels, groups)
        inside += found.low <= 0.5 <= found.high
        values.append(found.auc)
    assert inside >= 7
    assert abs(np.mean(values) - 0.5) < 0.04


def test_folds_are_compared_within_only():
    labels = np.array([0, 0, 1, 1, 0, 1, 1], np.int8)
    scores = np.array([0.1, 0.4, 0.4, 0.9, 0.8, 0.85, 0.2])
    folds = np.array([0, 0, 0, 0, 1, 1, 1])
    ranking = _FoldRanking(scores, labels, folds)
    # Fold 0: 3.5 of 4 pairs; fold 1: 1 of 2 pairs.
    assert ranking.auc(np.ones(7, np.int64)) == pytest.approx(4.5 / 6)
    assert ranking.auc(np.array([0, 2, 1, 0, 0, 1, 1])) == pytest.approx(0.5)
    assert np.isnan(ranking.auc(np.array([1, 1, 0, 0, 0, 1, 1])))
    one_fold = _FoldRanking(scores, labels, np.zeros(7, int))
    assert one_fold.auc(np.ones(7, np.int64)) == pytest.approx(roc_auc_score(labels, scores))


def test_too_few_groups_say_nothing():
    labels = np.repeat([0, 1], 20).astype(np.int8)
    features = table(np.random.default_rng(0), 40)
    assert find_shortcut(features, labels, np.repeat(range(8), 5).tolist(), NAMES) is None


def test_a_feature_that_no_image_has_says_nothing():
    features = table(np.random.default_rng(0), 40)
    features["b"] = np.nan
    found = measured(features, np.repeat([0, 1], 20).astype(np.int8), None)
    assert "the second" not in [one.name for one in found.telling]
