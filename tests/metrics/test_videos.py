"""Videos by hand: the logits of two frames, their mean, and what decides on it."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from hf_deepfake.config import DecisionConfig
from hf_deepfake.metrics.decision import Decision
from hf_deepfake.metrics.result import evaluate_scores
from hf_deepfake.metrics.score_table import COLUMNS
from hf_deepfake.metrics.videos import FEWEST, decide_videos, measure_videos, video_scores


def frames(*videos, split="test"):
    """A table from (video, label, group, logits of its frames), and manipulation, source and side where given."""
    rows = [
        {
            "file": f"{video}/{place}.jpg", "split": split, "source": "clips", "origin": "clips", "group": group,
            "video": video, "manipulation": None, "format": "JPEG", "side": 64, "label": label, "score": expit(one),
        } | further
        for video, label, group, logits, *more in videos
        for place, one in enumerate(logits)
        for further in [more[0] if more else {}]
    ]  # fmt: skip
    return pd.DataFrame(rows)[list(COLUMNS)].astype(COLUMNS)


NONE = frames(("a", 0, None, [0.0])).iloc[:0]


def test_a_video_is_the_mean_of_its_frames_logits():
    # Odds of 4:1 and 1:1 have the mean logit log(4) / 2 = log(2): P(fake) is 2/3, not the mean .65 of .8 and .5.
    table = frames(("a", 1, "p", [math.log(4), 0.0]), ("b", 0, "q", [-1.0]))
    found = video_scores(table)
    assert list(found.columns) == list(COLUMNS)
    assert found["file"].tolist() == ["a", "b"]
    assert found["score"].tolist() == pytest.approx([2 / 3, expit(-1)])
    assert (found["label"].tolist(), found["group"].tolist()) == ([1, 0], ["p", "q"])
    # Temperature 2 halves the mean logit: odds of sqrt(2).
    halved = video_scores(table, Decision(2.0, 0.5, (0.4, 0.6), "accuracy", 0.05))
    assert halved["score"][0] == pytest.approx(math.sqrt(2) / (1 + math.sqrt(2)))


def test_a_group_is_no_video_and_neither_is_an_image_without_one():
    table = frames(
        ("000", 0, "000", [-1.0, -3.0]),
        ("000", 1, "000", [1.0], {"manipulation": "swap"}),
        ("000", 1, "000", [3.0, 5.0], {"manipulation": "gan", "side": 32}),
        (None, 1, "000", [9.0, 9.0]),
        ("000", 0, "000", [-5.0], {"source": "others"}),
    )
    found = video_scores(table)
    assert found["score"].tolist() == pytest.approx(expit([-2.0, 1.0, 4.0, -5.0]))
    assert found["manipulation"].fillna("").tolist() == ["", "swap", "gan", ""]
    assert found["side"].tolist() == [64, 64, 32, 64]
    assert not len(video_scores(table[table["video"].isna()]))


def test_scores_of_0_and_1_have_a_mean():
    table = frames(("a", 1, None, [0.0, 0.0]))
    table["score"] = [1.0, 0.0]
    assert video_scores(table)["score"].tolist() == pytest.approx([0.5])


def calibration(count, spread=1.0):
    """`count` videos of each class, four frames each, that all err together: every fourth is on the wrong side."""
    logits = [spread * (1 if number % 4 else -1) * (1 + number / 100) for number in range(count)]
    fakes = [(f"f{number}", 1, None, [one] * 4) for number, one in enumerate(logits)]
    return frames(*fakes, *((f"r{number}", 0, None, [-one] * 4) for number, one in enumerate(logits)))


def test_videos_are_calibrated_by_videos():
    # Three of four are right, so that the odds should be 3, whatever the frames say: |logits| near 4 are divided by
    # about 4 / log(3).
    decision = decide_videos(calibration(100, 4.0), DecisionConfig())
    assert decision is not None
    scores = video_scores(calibration(100, 4.0), decision)["score"].to_numpy()
    assert np.median(np.abs(scores - 0.5)) == pytest.approx(0.25, abs=0.04)
    assert decision.temperature == pytest.approx(1.5 * 4 / math.log(3), rel=0.1)
    # One in four is wrong, and one in twenty may be: most of both sides is unsure.
    low, high = decision.abstention_band
    assert low < 0.25
    assert high > 0.75
    assert (decision.criterion, decision.confident_error) == ("accuracy", 0.05)


def test_few_videos_decide_nothing():
    assert decide_videos(calibration(FEWEST - 1), DecisionConfig()) is None
    assert decide_videos(calibration(FEWEST), DecisionConfig()) is not None
    assert decide_videos(NONE, DecisionConfig()) is None


def test_the_widest_band_of_any_origin():
    table = calibration(40)
    table["origin"] = np.where(table["video"].str.slice(1).astype(int) % 2 == 0, "hard", "easy")
    pooled, worst = (decide_videos(table, DecisionConfig(band=band)) for band in ("pooled", "worst_origin"))
    assert pooled is not None
    assert worst is not None
    assert worst.abstention_band[0] <= pooled.abstention_band[0]
    assert worst.abstention_band[1] >= pooled.abstention_band[1]


def test_results_by_hand():
    table = frames(
        ("a", 1, "p", [4.0, 2.0]),  # mean 3
        ("b", 1, "p", [2.0, -4.0]),  # mean -1
        ("c", 0, "q", [1.0, -1.0]),  # mean 0
        ("d", 0, None, [-9.0, -2.0, -2.0]),
    )
    found = measure_videos(table, NONE, 0.6, None, "test")
    assert found is not None
    test = found.splits["test"]
    # Fakes 3 and -1 against reals 0 and -4.33: three of four pairs are in order; at .6 only the first is called fake.
    assert test.metrics["auc"].value == 0.75
    assert test.confusion == {"tn": 2, "fp": 0, "fn": 1, "tp": 1}
    assert (test.n, test.n_real, test.n_fake, test.n_groups, test.threshold) == (4, 2, 2, 3, 0.6)
    assert (found.frames, test.unsure, found.foreign, found.decision) == (2, {}, None, None)
    by_hand = evaluate_scores(expit([3.0, -1.0, 0.0, -13 / 3]), [1, 1, 0, 0], ["p", "p", "q", None], 0.6)
    assert test.metrics["accuracy"] == by_hand.metrics["accuracy"]


def test_a_decision_and_foreign_videos():
    decision = Decision(2.0, 0.3, (0.2, 0.4), "accuracy", 0.05)
    known = pd.concat([frames(("a", 1, None, [2.0]), ("b", 0, None, [-6.0]), split=one) for one in ("x", "test")])
    found = measure_videos(known, frames(("e", 1, None, [-1.0]), ("f", 0, None, [-4.0])), 0.5, decision, "test")
    assert found is not None
    assert list(found.splits) == ["x", "test"]
    assert found.splits["test"].threshold == 0.3
    assert found.splits["test"].unsure["coverage"].value == 1
    assert found.foreign is not None
    # P(fake) of logits -.5 and -2 is .378 and .119: the first lies in the band.
    assert found.foreign.origins["clips"].unsure["coverage"].value == 0.5
    assert measure_videos(known.assign(video=None).astype(COLUMNS), NONE, 0.5, decision, "test") is None
