import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from hf_deepfake.config import DecisionConfig
from hf_deepfake.evaluation.cross_calibration import cross_calibrate, measure_without_own, what_helps
from hf_deepfake.metrics.decision import abstention_band, decide


def table(origin, real, fake):
    scores = [*real, *fake]
    return pd.DataFrame(
        {
            "origin": origin,
            "source": origin,
            "file": [f"{number}.jpg" for number in range(len(scores))],
            "group": None,
            "label": [0] * len(real) + [1] * len(fake),
            "score": scores,
        }
    )


def drawn(origin, shift, seed):
    """Fifty images of each class; the fakes' log odds lie higher by `shift`."""
    generator = np.random.default_rng(seed)
    real, fake = generator.normal(0, 1, 50), generator.normal(shift, 1, 50)
    return table(origin, expit(real), expit(fake))


def test_each_origin_is_decided_by_the_others_alone():
    left = {"a": drawn("a", 2, 0), "b": drawn("b", 1, 1), "c": drawn("c", 3, 2)}
    config = DecisionConfig(confident_error=0.1)
    found = cross_calibrate(left, config)["a"]
    others = pd.concat([left["b"], left["c"]])
    odds = logit(others["score"].to_numpy())
    expected = decide(np.stack([0 * odds, odds], 1), others["label"], origins=others["origin"], confident_error=0.1)
    assert found.threshold == pytest.approx(expected.operating_point)
    assert found.band == pytest.approx(expected.abstention_band)
    assert found.table["score"].tolist() == pytest.approx(expit(logit(left["a"]["score"]) / expected.temperature))
    # The band is the widest that b or c needs: never narrower than that of b, the harder one.
    scores = expit(odds / expected.temperature)
    hard = (others["origin"] == "b").to_numpy()
    low, high = abstention_band(scores[hard], others["label"][hard], expected.operating_point, 0.1)
    assert found.band[0] <= low
    assert found.band[1] >= high


def test_what_an_origin_adds_by_hand():
    right = table("a", [0.1, 0.2], [0.8, 0.9])
    wrong = table("a", [0.8, 0.9], [0.1, 0.2])
    half = table("a", [0.1, 0.9], [0.1, 0.9])
    others = table("b", [0.1], [0.9])
    # Test images of a: AUC 1 without b, 0 without c, .5 without d; left out itself, a has .5.
    tests = {
        "a": others,
        "b": pd.concat([right, others]),
        "c": pd.concat([wrong, others]),
        "d": pd.concat([half, others]),
    }
    left = {"a": half, "b": others, "c": right, "d": right}
    found = what_helps(tests, left)
    assert found["b"]["a"].value == pytest.approx((0 + 0.5) / 2 - 1)
    assert found["c"]["a"].value == pytest.approx((1 + 0.5) / 2 - 0)
    assert found["a"]["a"].value == pytest.approx((1 + 0 + 0.5) / 3 - 0.5)
    assert list(found) == ["a", "b", "c", "d"]


def test_two_origins_have_no_third_to_compare_with():
    one, two = table("a", [0.1], [0.9]), table("b", [0.1], [0.9])
    found = what_helps({"a": two, "b": one}, {"a": one, "b": two})
    assert found["a"]["b"].reason == "no third origin"
    assert found["a"]["a"].value == pytest.approx(0)
    reals = table("c", [0.1, 0.2], [])
    found = what_helps({"a": reals, "b": reals, "c": one}, {"a": one, "b": two, "c": reals})
    assert found["a"]["c"].reason == "one class only"


def test_calibration_origins_are_measured_without_their_own_help():
    left = {"a": drawn("a", 2, 0), "b": drawn("b", 1, 1), "c": drawn("c", 3, 2)}
    config = DecisionConfig(confident_error=0.1)
    found = measure_without_own(pd.concat(left.values()), config)
    expected = cross_calibrate(left, config)["b"]
    score, label = expected.table["score"].to_numpy(), expected.table["label"].to_numpy()
    confident = (score > expected.band[1]) & (label == 0)
    assert found.origins["b"].unsure["false_alarms"].value == pytest.approx(confident.sum() / (label == 0).sum())
    assert list(found.origins) == ["a", "b", "c"]
    assert measure_without_own(left["a"], config) is None
    # Of reals alone and fakes alone, neither can decide on the other.
    halves = pd.concat([table("reals", [0.1, 0.2], []), table("fakes", [], [0.8, 0.9])])
    assert measure_without_own(halves, config) is None
