import numpy as np
import pandas as pd
import pytest

from hf_deepfake.metrics.result import evaluate_scores
from hf_deepfake.metrics.score_table import COLUMNS
from hf_deepfake.metrics.subgroups import measure_subsets, own_thresholds


def table(**columns):
    """A table of scores; what is not given is the same in all rows."""
    usual = {
        "file": "x.jpg", "split": "test", "source": "faces", "origin": "faces", "group": None,
        "video": None,
        "manipulation": None,
        "format": "JPEG", "side": 128,
    }  # fmt: skip
    return pd.DataFrame({**usual, **columns}, index=range(len(columns["label"])))[list(COLUMNS)].astype(COLUMNS)


def test_what_is_all_alike_is_not_shown_apart():
    assert measure_subsets(table(label=[0, 1, 0, 1], score=[0.1, 0.9, 0.6, 0.8]), 0.5) == {}


def test_each_value_is_measured_alone():
    mixed = table(
        label=[0, 1, 0, 1, 0, 1],
        score=[0.1, 0.9, 0.6, 0.4, 0.2, 0.8],
        source=["a", "a", "b", "b", "b", "b"],
        format=["PNG"] + ["JPEG"] * 5,
        side=[64, 127, 128, 224, 255, 300],
    )
    found = measure_subsets(mixed, 0.5)
    assert list(found) == ["source", "format", "side"]
    assert list(found["side"]) == ["64 to 127 px", "128 to 255 px", "256 to 511 px"]
    assert [found["side"][name].n for name in found["side"]] == [2, 3, 1]
    assert found["source"]["b"] == evaluate_scores([0.6, 0.4, 0.2, 0.8], [0, 1, 0, 1], None, 0.5)
    assert found["source"]["b"].metrics["auc"].value == 0.75
    only_real = found["format"]["PNG"]
    assert (only_real.n_real, only_real.n_fake) == (1, 0)
    assert only_real.metrics["auc"].value is None
    assert only_real.metrics["accuracy"].value == 1.0


def test_groups_stay_whole():
    grouped = table(label=[0, 1] * 4, score=[0.1, 0.9] * 4, group=list("aabbccdd"), source=list("xxxxyyyy"))
    assert measure_subsets(grouped, 0.5)["source"]["x"].n_groups == 2


def test_fakes_of_a_manipulation_against_the_reals_of_their_sources():
    mixed = table(
        label=[0, 0, 1, 1, 0, 1],
        score=[0.1, 0.7, 0.9, 0.5, 0.0, 0.3],
        source=["a", "a", "a", "a", "b", "b"],
        manipulation=[None, "posed", "swap", "gan", None, "gan"],
    )
    found = measure_subsets(mixed, 0.5)["manipulation"]
    assert list(found) == ["gan", "swap"]  # "posed" is real
    assert (found["swap"].n_real, found["swap"].n_fake) == (2, 1)
    assert found["swap"].metrics["auc"].value == 1.0
    assert (found["gan"].n_real, found["gan"].n_fake) == (3, 2)
    assert found["gan"].metrics["auc"].value == pytest.approx(4 / 6)


def shifted(count=200, shift=0.3):
    """Two sources that are told apart perfectly, the second one at another threshold than .5."""
    generator = np.random.default_rng(0)
    label = np.arange(count) % 2
    score = np.where(label == 1, 0.6, 0.4) + generator.uniform(-0.05, 0.05, count)
    second = np.arange(count) >= count // 2
    return table(label=label, score=score - shift * second, source=np.where(second, "b", "a"))


def test_own_threshold_mends_a_shift():
    found = own_thresholds(shifted(), 0.5)
    assert found["a"].gain.value == 0.0
    assert (found["b"].shipped.value, found["b"].own.value, found["b"].gain.value) == (0.5, 1.0, 0.5)
    assert 0.15 < found["b"].threshold < 0.25
    assert found["b"].gain.low > 0.3


def test_own_threshold_of_noise_gains_nothing():
    generator = np.random.default_rng(1)
    noise = table(label=np.arange(400) % 2, score=generator.uniform(0, 1, 400))
    gain = own_thresholds(noise, 0.5)["faces"].gain
    assert gain.low < 0 < gain.high


def test_no_own_threshold_of_one_class_or_few_groups():
    assert own_thresholds(table(label=[1] * 40, score=np.linspace(0, 1, 40)), 0.5) == {}
    few = table(label=[0, 1] * 20, score=[0.2, 0.8] * 20, group=[str(row // 5) for row in range(40)])
    assert own_thresholds(few, 0.5) == {}
