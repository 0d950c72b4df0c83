import numpy as np
import pytest

from hf_deepfake.config import DataConfig
from hf_deepfake.data.folds import fold_splits, parse_fold
from hf_deepfake.data.load import prepare
from hf_deepfake.data.split import TEST, TRAIN, VALIDATION
from hf_deepfake.errors import InputError

COUNT = 60
HASHES = np.array([f"{number:032x}" for number in range(COUNT)], "S32")
LABELS = np.tile([0, 1], COUNT // 2).astype(np.int8)
GROUPS = np.array([f"g{number // 4}" for number in range(COUNT)], object)  # of two reals and two fakes each
SOURCES = np.repeat([0, 1], COUNT // 2)


def splits(fold, seed=0):
    return fold_splits(fold, HASHES, GROUPS, LABELS, SOURCES, 0.2, seed)


def test_each_image_is_tested_once_and_groups_stay_whole():
    tested = np.array([splits(f"{number}/5") == TEST for number in range(1, 6)])
    assert (tested.sum(axis=0) == 1).all()
    for number in range(1, 6):
        made = splits(f"{number}/5")
        assert {len(set(made[group == GROUPS])) for group in set(GROUPS)} == {1}
        assert set(made.tolist()) == {TRAIN, VALIDATION, TEST}
    # 15 groups of both classes, 8 and 7 (one is of both sources) to a source: 3 to a fold, or one more or less
    assert set(tested.sum(axis=1)) <= {8, 12, 16}


def test_the_seed_decides_and_names_do_not():
    assert (splits("1/3") == splits("1/3")).all()
    assert (splits("1/3") != splits("1/3", seed=1)).any()


@pytest.mark.parametrize("text", ["0/5", "6/5", "1/1", "a/b", "5"])
def test_what_is_no_fold_is_refused(text):
    with pytest.raises(InputError, match="write K/N"):
        parse_fold(text)


@pytest.mark.slow
def test_given_splits_do_not_count_and_origins_can_be_left_out(faces, cache):
    whole, _ = prepare(DataConfig(data=(str(faces),)))
    first, report = prepare(DataConfig(data=(str(faces),), fold="1/4"))
    assert sum(map(len, first.values())) == sum(map(len, whole.values()))
    assert len(first["test"]) == pytest.approx(30, abs=4)
    assert report.made == {}
    sources = (str(faces), "sample")
    both, _ = prepare(DataConfig(data=sources))
    one, report = prepare(DataConfig(data=sources, without_origins=("sample",)))
    assert report.origins == ("images",)
    assert sum(map(len, one.values())) == sum(map(len, whole.values())) < sum(map(len, both.values()))
    with pytest.raises(InputError, match="no origin nowhere is here to leave out; there are images"):
        prepare(DataConfig(data=(str(faces),), without_origins=("nowhere",)))
