import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from hf_deepfake.errors import InputError
from hf_deepfake.metrics.foreign import mean_auc
from hf_deepfake.report.foreign_difference import foreign_difference


def table(scores, labels, origins, groups=None):
    size = len(labels)
    return pd.DataFrame(
        {
            "file": [f"{place}.png" for place in range(size)],
            "source": origins,
            "origin": origins,
            "group": pd.Series(groups if groups is not None else [None] * size, dtype="string"),
            "label": labels,
            "score": scores,
        }
    )


def test_each_origin_counts_once_by_hand():
    """On a the first is right in all of 4 pairs and the second in half; on b, of twice the size, they are alike."""
    labels, origins = [0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1], ["a"] * 4 + ["b"] * 8
    rest = [0.1, 0.2, 0.3, 0.9, 0.4, 0.5, 0.6, 0.7]
    first = table([0.1, 0.2, 0.8, 0.9, *rest], labels, origins)
    second = table([0.1, 0.9, 0.2, 0.8, *rest], labels, origins)
    value, _ = foreign_difference(first, second.sample(frac=1, random_state=0))
    assert value.value == pytest.approx((1 - 0.5 + 0) / 2)
    assert foreign_difference(second, first)[0].value == pytest.approx(-0.25)
    # An origin of one class has no AUC and does not count.
    more = [table([0.5], [1], ["c"]).assign(file="c.png")] * 2
    value, _ = foreign_difference(*(pd.concat([one, other]) for one, other in zip((first, second), more, strict=True)))
    assert value.value == pytest.approx(0.25)


def drawn(gain, seed, size=120):
    """Two origins; the second detector's scores lose `gain` of what tells the classes apart."""
    generator = np.random.default_rng(seed)
    labels, origins = np.tile([0, 1], size // 2), np.repeat(["a", "b"], size // 2)
    groups = [f"g{place // 4}" for place in range(size)]
    shared = generator.normal(size=size)
    signal = (2 * labels - 1) * 0.8
    first = shared + signal + 0.3 * generator.normal(size=size)
    second = shared + signal * (1 - gain) + 0.3 * generator.normal(size=size)
    return tuple(table(expit(one), labels, origins, groups) for one in (first, second))


def test_value_is_that_of_the_means_and_lies_in_its_interval():
    first, second = drawn(0.5, 0)
    value, p = foreign_difference(first, second)
    expected = [
        np.mean([roc_auc_score(part["label"], part["score"]) for _, part in one.groupby("origin")])
        for one in (first, second)
    ]
    assert value.value == pytest.approx(expected[0] - expected[1])
    assert value.value == pytest.approx(
        mean_auc(first["score"], first["label"], first["origin"])
        - mean_auc(second["score"], second["label"], second["origin"])
    )
    assert 0 < value.low < value.value < value.high
    assert p < 0.05


def test_without_a_difference_there_is_none():
    first, _ = drawn(0.0, 1)
    value, p = foreign_difference(first, first.copy())
    assert (value.value, value.low, value.high, p) == (0, 0, 0, 1)


@pytest.mark.slow
def test_p_keeps_its_level():
    """Of 20 pairs of equals about one has p below .05; five or more have a chance of .3 %."""
    found = [foreign_difference(*drawn(0.0, seed, size=48))[1] for seed in range(2, 22)]
    assert sum(p < 0.05 for p in found) < 5


def test_other_images_or_one_class_are_said():
    first, second = drawn(0.0, 0)
    with pytest.raises(InputError, match="same foreign images"):
        foreign_difference(first, second.iloc[1:])
    reals = [one[one["label"] == 0] for one in (first, second)]
    value, p = foreign_difference(*reals)
    assert (value.value, value.reason, p) == (None, "no origin of both classes", None)
