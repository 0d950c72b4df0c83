import numpy as np
import pandas as pd
import pytest

from hf_deepfake.metrics.error_groups import ATTRIBUTES, group_errors, worst_groups
from hf_deepfake.metrics.score_table import COLUMNS


def make_table(labels, scores, **columns):
    known = {"label": labels, "score": scores, "side": 200, "format": "JPEG", "source": "set", **columns}
    return pd.DataFrame(known).reindex(columns=list(COLUMNS)).astype(COLUMNS)


def by_value(groups, attribute):
    return {group.value: group for group in groups if group.attribute == attribute}


def test_rates_by_hand():
    # 20 real and 20 fake; of each, the first ten are dark. Wrong: 4 dark real, 1 bright real, 6 dark fake, 2 bright.
    labels = [0] * 20 + [1] * 20
    wrong = [1] * 4 + [0] * 6 + [1] * 1 + [0] * 9 + [1] * 6 + [0] * 4 + [1] * 2 + [0] * 8
    scores = [0.9 if bool(error) != bool(label) else 0.1 for error, label in zip(wrong, labels, strict=True)]
    dark = ([10.0] * 10 + [200.0] * 10) * 2
    groups = by_value(group_errors(make_table(labels, scores), pd.DataFrame({"brightness": dark}), 0.5), "brightness")
    assert groups.keys() == {"10", "200"}
    one = groups["10"]
    assert (one.n_real, one.n_fake) == (10, 10)
    assert one.wrong.value == pytest.approx(10 / 20)
    assert one.false_alarms.value == pytest.approx(4 / 10)
    assert one.misses.value == pytest.approx(6 / 10)
    assert one.excess.value == pytest.approx(((0.4 - 0.1) + (0.6 - 0.2)) / 2)
    assert groups["200"].excess.value == pytest.approx(-one.excess.value)
    assert 0 < one.excess.low < one.excess.value < one.excess.high
    assert one.hint == "train on darker images, or with --degrade"
    assert groups["200"].hint == ""


def test_a_group_is_not_blamed_for_its_classes():
    # Half of all fakes are missed, everywhere; the group has fakes only, the others mostly real images.
    labels = [1] * 20 + [0] * 40 + [1] * 20
    scores = [0.9, 0.1] * 10 + [0.1] * 40 + [0.9, 0.1] * 10
    side = pd.DataFrame({"noise": [1.0] * 20 + [9.0] * 60})
    one = by_value(group_errors(make_table(labels, scores), side, 0.5), "noise")["1"]
    assert one.wrong.value == 0.5
    assert one.excess.value == 0
    assert (one.false_alarms.value, one.false_alarms.reason) == (None, "no real images")


def test_quarters_and_missing_values():
    values = [float(value) for value in range(1, 41)] + [np.nan] * 10
    labels, scores = [0, 1] * 25, [0.1, 0.9] * 25
    groups = by_value(group_errors(make_table(labels, scores), pd.DataFrame({"tilt": values}), 0.5), "tilt")
    assert groups.keys() == {"up to 10.8", "10.8 to 20.5", "20.5 to 30.2", "above 30.2", "none"}
    assert all(group.n_real + group.n_fake == 10 for group in groups.values())


def test_manipulation_and_small_groups():
    labels = [0] * 30 + [1] * 34
    kinds = [None] * 30 + ["swap"] * 15 + ["gan"] * 15 + ["rare"] * 4
    scores = [0.1] * 30 + [0.1] * 15 + [0.9] * 19
    groups = group_errors(make_table(labels, scores, manipulation=kinds), pd.DataFrame(index=range(64)), 0.5)
    assert [(group.attribute, group.value) for group in groups] == [("manipulation", "swap"), ("manipulation", "gan")]
    assert groups[0].excess.value == 1
    assert groups[0].hint == "train on more fakes made by swap"
    assert worst_groups(groups) == groups[:1]


def test_a_manipulation_of_real_images_alone():
    labels, kinds = [0] * 40 + [1] * 20, [None] * 20 + ["untouched"] * 20 + ["swap"] * 20
    scores = [0.1] * 20 + [0.9] * 40
    groups = group_errors(make_table(labels, scores, manipulation=kinds), pd.DataFrame(index=range(60)), 0.5)
    assert by_value(groups, "manipulation")["untouched"].hint == "train on more real images like those"


@pytest.mark.parametrize("place", range(4))
def test_hints_say_which_way(place):
    values = np.repeat([1.0, 2, 3, 4, 5, 6, 7, 8], 10)
    labels = np.tile([0, 1], 40)
    wrong = (values == 2 * place + 1) | (values == 2 * place + 2)
    scores = np.where(wrong != (labels == 1), 0.9, 0.1)
    groups = group_errors(make_table(labels, scores), pd.DataFrame({"quality": values}), 0.5)
    expected = ATTRIBUTES["quality"].low if place < 2 else ATTRIBUTES["quality"].high
    assert [group.hint for group in groups if group.hint] == [expected]


def test_all_alike_is_no_group():
    assert group_errors(make_table([0, 1] * 10, [0.1, 0.9] * 10), pd.DataFrame({"face": [50.0] * 20}), 0.5) == []
    assert worst_groups([]) == []
