"""Names of classes and splits."""

import pytest

from hf_deepfake.config import DataConfig
from hf_deepfake.data.names import class_names, label_indices, normal, split_index
from hf_deepfake.errors import InputError


@pytest.mark.parametrize(
    ("names", "label"),
    [
        ("real Real REAL original Authentic genuine training_real 0_real real-faces REAL_IMAGES reals train_real", 0),
        (
            "fake Fake ai AI_generated deepfake Deepfakes manipulated synthetic generated training_fake 1_fake",
            1,
        ),
    ],
)
def test_synonyms_of_classes(names, label):
    classes = class_names(DataConfig())
    assert {classes.get(normal(name)) for name in names.split()} == {label}


@pytest.mark.parametrize(
    "name", ["", "cats", "realistic", "unreal", "test_real", "notfake", "0", "1", "faces", "train"]
)
def test_other_names_mean_no_class(name):
    assert normal(name) not in class_names(DataConfig())


def test_given_names_come_first_and_are_spelled_freely():
    classes = class_names(DataConfig(real_names=("Live Photos", "AI"), fake_names=("gan-1",)))
    assert [classes[normal(name)] for name in ("live_photos", "ai", "GAN 1", "fake")] == [0, 0, 1, 1]


def test_a_name_cannot_mean_both():
    with pytest.raises(InputError, match="'live' stands in both"):
        class_names(DataConfig(real_names=("Live",), fake_names=("live",)))


@pytest.mark.parametrize(
    ("names", "index"),
    [
        ("train Train training TR train_set", 0),
        ("val Valid VALIDATION dev", 1),
        ("test Testing TEST eval evaluation test-set", 2),
        ("real trained latest detest", -1),
    ],
)
def test_splits(names, index):
    assert {split_index(name) for name in names.split()} == {index}


def test_labels_of_a_data_set():
    assert label_indices(["Fake", "Real"], class_names(DataConfig()), "x") == {"Fake": 1, "Real": 0}
    with pytest.raises(InputError, match=r"owner/x has the labels 0, 1, of which 0, 1 could mean .*--real_names"):
        label_indices(["0", "1"], class_names(DataConfig()), "owner/x")
    given = class_names(DataConfig(real_names=("0",), fake_names=("1",)))
    assert label_indices(["0", "1"], given, "owner/x") == {"0": 0, "1": 1}
