import numpy as np
import pytest
from datasets import Dataset, arrow_dataset

from hf_deepfake.config import TrainConfig
from hf_deepfake.errors import InputError
from hf_deepfake.training.order import Orders, Share, StepBatches, blend_order, epoch_order

LABELS = np.array([0, 0, 0, 0, 0, 0, 1, 1])


def test_shuffle_shows_every_image_once_and_differs_by_epoch():
    first, second = (epoch_order("shuffle", LABELS, None, seed=3, epoch=epoch) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(8))
    assert first.tolist() != second.tolist()
    assert first.tolist() == epoch_order("shuffle", LABELS, None, seed=3, epoch=0).tolist()


def test_balanced_alternates_and_repeats_the_rarer_class():
    order = epoch_order("balanced", LABELS, None, seed=0, epoch=0)
    assert LABELS[order].tolist() == [0, 1] * 4
    assert sorted(order[1::2]) == [6, 6, 7, 7]
    assert len(set(order[0::2])) == 4


def test_paired_puts_a_real_beside_a_fake_of_its_group():
    labels = np.array([0, 1, 1, 0, 1, 0, 1])
    groups = ["a", "a", "a", "b", "b", "c", None]
    order = epoch_order("paired", labels, groups, seed=0, epoch=0).reshape(-1, 2)
    pairs = {tuple(pair) for pair in order.tolist()}
    # The real of a repeats for its two fakes; c and the image without a group, alone in theirs, make a pair.
    assert pairs == {(0, 1), (0, 2), (3, 4), (5, 6)}


def test_paired_needs_a_group_with_both_classes():
    with pytest.raises(InputError, match="paired needs groups"):
        epoch_order("paired", np.array([0, 1]), ["a", "b"], seed=0, epoch=0)
    with pytest.raises(InputError, match="paired needs groups"):
        epoch_order("paired", np.array([0, 1]), None, seed=0, epoch=0)


ORIGINS = ["a"] * 8 + ["b"] * 2
TWO = np.array([0, 0, 0, 0, 1, 1, 1, 1, 0, 1])


@pytest.mark.parametrize("sampling", ["balanced", "paired"])
def test_partners_are_of_one_origin(sampling):
    groups = ["g"] * 8 + [None, None]
    pairs = epoch_order(sampling, TWO, groups, 0, 0, ORIGINS).reshape(-1, 2)
    assert TWO[pairs].tolist() == [[0, 1]] * 5
    assert ((pairs >= 8).sum(1) % 2 == 0).all()
    assert (pairs[:, 0] == 8).sum() == 1


@pytest.mark.parametrize(("balance", "shown"), [(0.0, (8, 2)), (0.5, (7, 3)), (1.0, (5, 5))])
def test_a_small_origin_is_shown_more_often(balance, shown):
    # Shares go with sqrt(8) : sqrt(2) = 2 : 1 at .5, so 6.7 and 3.3 of 10 images.
    order = epoch_order("shuffle", TWO, None, 0, 0, ORIGINS, balance)
    assert ((order < 8).sum(), (order >= 8).sum()) == shown
    assert len(set(order[order < 8])) == min(8, shown[0])
    assert set(order[order >= 8]) == {8, 9}


def test_sources_of_one_origin_count_as_one():
    rows = {"label": [0, 1] * 6, "source": ["a"] * 4 + ["b"] * 4 + ["c"] * 4, "origin": ["x"] * 8 + ["y"] * 4}
    config = TrainConfig(data=("any",), output_dir="run", origin_sampling_alpha=1.0)
    order = Orders(config, Dataset.from_dict(rows))(0)
    assert ((order < 8).sum(), (order >= 8).sum()) == (6, 6)
    # A real finds its fake in another source of its origin: reals of a and fakes of b, beside a whole source.
    rows = {"label": [0, 0, 0, 1, 1, 1, 0, 1], "source": ["a"] * 3 + ["b"] * 3 + ["c"] * 2}
    rows["origin"] = ["x"] * 6 + ["y"] * 2
    config = TrainConfig(data=("any",), output_dir="run", sampling="balanced")
    pairs = Orders(config, Dataset.from_dict(rows))(0).reshape(-1, 2)
    assert sorted(map(tuple, pairs >= 6)) == [(False, False)] * 3 + [(True, True)]


def test_an_epoch_asks_the_data_set_for_nothing(monkeypatch):
    groups = ["a", "a", "b", "b"]
    images = Dataset.from_dict({"label": [0, 1, 0, 1], "group": groups, "origin": ["x"] * 4})
    orders = Orders(TrainConfig(data=("any",), output_dir="run", sampling="paired"), images)
    for name in ("__getitem__", "__iter__"):
        monkeypatch.delattr(arrow_dataset.Column, name)
    for real, fake in orders(1).reshape(-1, 2) % 4:
        assert groups[real] == groups[fake]


def test_images_that_rest_are_others_in_each_epoch():
    resting = {frozenset(set(range(8)) - set(epoch_order("shuffle", TWO, None, 0, e, ORIGINS, 1.0))) for e in range(5)}
    assert len(resting) > 1


def test_origins_of_one_class_find_partners_elsewhere():
    labels = np.array([0, 0, 1, 1, 1, 1])
    pairs = epoch_order("balanced", labels, None, 0, 0, ["a", "a", "b", "b", "c", "c"]).reshape(-1, 2)
    assert labels[pairs].tolist() == [[0, 1]] * 3
    pairs = epoch_order("balanced", labels, None, 0, 0, ["a", "a", "a", "a", "c", "c"]).reshape(-1, 2)
    assert labels[pairs].tolist() == [[0, 1]] * 3


@pytest.mark.parametrize(("micro_batches", "processes"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_shares_of_a_step_are_the_step(micro_batches, processes):
    order = np.arange(20)
    parts = []
    for process in range(processes):
        batches = StepBatches(Share(8, micro_batches, processes, process))
        batches.set_epoch(order, first_step=0, steps=2)
        assert len(batches) == 2 * micro_batches
        parts.append(list(batches))
    for step in range(2):
        seen = [
            number
            for part in parts
            for batch in part[step * micro_batches : (step + 1) * micro_batches]
            for number in batch
        ]
        assert sorted(seen) == list(range(step * 8, step * 8 + 8))


def test_going_on_in_mid_epoch_gives_the_remaining_batches():
    whole, rest = StepBatches(Share(4, micro_batches=2)), StepBatches(Share(4, micro_batches=2))
    whole.set_epoch(np.arange(13), first_step=0, steps=3)
    rest.set_epoch(np.arange(13), first_step=1, steps=3)
    assert list(rest) == list(whole)[2:]


def test_self_blends_take_the_place_of_the_fake_beside_their_real():
    order = np.array([0, 10, 1, 11, 2, 12, 3, 13] * 500)
    some = blend_order(order, 20, 0.25, 0, 3).reshape(-1, 2)
    assert (some[:, 0] == order[::2]).all()
    blended = some[:, 1] >= 20
    assert blended.mean() == pytest.approx(0.25, abs=0.03)
    assert (some[blended, 1] == some[blended, 0] + 20).all()
    assert (some[~blended, 1] == order[1::2][~blended]).all()
    assert (blend_order(order, 20, 0.25, 0, 3) == some.reshape(-1)).all()
    assert (blend_order(order, 20, 0.25, 0, 4) != some.reshape(-1)).any()
    assert (blend_order(order, 20, 1.0, 0, 0)[1::2] == order[::2] + 20).all()
    assert blend_order(order, 20, 0.0, 0, 0) is order
