"""Whether images were seen is decided image by image, in whatever set they come."""

import shutil

import numpy as np
import pytest
from datasets import concatenate_datasets

from hf_deepfake.config import DataConfig, DecisionConfig
from hf_deepfake.data.load import hash_images, prepare
from hf_deepfake.data.sample import draw_sample
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.combine import combine
from hf_deepfake.evaluation.evaluate import evaluate
from hf_deepfake.evaluation.recalibrate import recalibrate
from hf_deepfake.evaluation.unseen import check_foreign, count_seen, without_seen
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint
from hf_deepfake.models.seen import Seen


@pytest.fixture(scope="module")
def config(faces):
    return DataConfig(data=(str(faces),))


@pytest.fixture(scope="module")
def seen(config, cache):
    data, _ = prepare(config)
    return Seen.of(hash_images(data["train"], config), hash_images(data["validation"], config))


@pytest.fixture(scope="module")
def trained(model, seen, tmp_path_factory):
    """A checkpoint that says to have been trained on these faces."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    return str(export_checkpoint(model, folder, image_size=64, seen=seen))


def subset(config, target, split, count):
    """A folder with some images of one split, under other names and without groups."""
    data, _ = prepare(config)
    for number, (image, label) in enumerate(zip(data[split]["image"], data[split]["label"], strict=True)):
        if number < count:
            place = target / ("real", "fake")[label] / f"{number}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(image.filename, place)
    return target


@pytest.mark.slow
def test_the_test_split_of_the_training_is_unseen(trained, config):
    report, _ = evaluate(trained, config)
    assert report.data["seen"] == 0
    assert "had a part" not in report.summary()


def test_the_whole_set_and_another_seed_are_refused(trained, config):
    with pytest.raises(InputError, match=r"trained on, or decided by, 108 of these 120 images"):
        evaluate(trained, config, split="all")
    with pytest.raises(InputError, match=r"was trained on, or decided by, \d+ of these 12 images.*--split_seed"):
        evaluate(trained, DataConfig(data=config.data, split_seed=1))


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_subset_in_another_folder_is_refused(split, trained, config, tmp_path):
    data = DataConfig(data=(str(subset(config, tmp_path / "other", split, 12)),))
    with pytest.raises(InputError, match="12 of these 12 images"):
        evaluate(trained, data, split="all")


@pytest.fixture
def mixed(config, tmp_path):
    """Forty new images, and two of the training."""
    root = subset(config, tmp_path / "other", "train", 2)
    draw_sample(tmp_path / "new", count=20, size=64, seed=9)
    for name in ("real", "fake"):
        shutil.copytree(tmp_path / "new/images" / name, root / name, dirs_exist_ok=True)
    return DataConfig(data=(str(root),))


def test_a_few_are_counted(trained, mixed):
    report, _ = evaluate(trained, mixed, split="all")
    assert report.data["seen"] == 2
    assert "2 of these images had a part in making the checkpoint" in report.summary()


@pytest.mark.slow
def test_foreign_images_are_those_that_had_no_part(trained, mixed, caplog):
    report, table = evaluate(trained, mixed, foreign=True)
    assert len(table) == report.splits["all"].n == 40
    assert report.data["seen"] == 0
    assert "2 images left out: 2 had a part in making the checkpoint" in caplog.text
    assert list(report.foreign.origins) == ["other"]


def test_the_group_of_an_image_that_had_a_part_is_left_out_with_it(trained, config, caplog):
    data, _ = prepare(config)
    images = concatenate_datasets([data["test"], data["train"].select([0])])
    group = images["group"][-1]
    images = images.remove_columns("group").add_column("group", [group, *[None] * (len(images) - 2), group])
    left = without_seen(images, load_checkpoint(trained).seen, config)
    assert len(left) == len(images) - 2
    assert "2 images left out: 1 had a part" in caplog.text
    with pytest.raises(InputError, match="every one of these images"):
        without_seen(data["train"], load_checkpoint(trained).seen, config)


def test_an_origin_with_a_role_is_not_foreign(caplog):
    roles = {"training": ["faces", "celeba"], "calibration": ["street"]}
    check_foreign("mine", roles, ["studio"])
    with pytest.raises(InputError, match="street has the role calibration for mine"):
        check_foreign("mine", roles, ["studio", "street"])
    with pytest.raises(InputError, match="celeba has the role training for mine"):
        check_foreign("mine", roles, ["celeba"])
    assert caplog.text == ""
    check_foreign("mine", {}, ["celeba"])
    assert "mine does not say which origins it was trained on" in caplog.text


def test_a_checkpoint_that_does_not_say(config, cache):
    assert count_seen("c", None, prepare(config)[0]["test"], config) is None


@pytest.mark.slow
def test_deciding_anew_takes_what_decided_before_and_not_what_was_trained_on(trained, seen, config, tmp_path):
    decided = DecisionConfig(data=config.data)
    recalibrate(trained, decided, tmp_path / "new")
    kept = load_checkpoint(tmp_path / "new").seen
    assert kept is not None
    np.testing.assert_array_equal(kept.trained, seen.trained)
    np.testing.assert_array_equal(kept.decided, seen.decided)
    for options, split in (({"split_seed": 1}, "validation"), ({}, "all")):
        with pytest.raises(InputError, match=r"was trained on \d+ of these"):
            recalibrate(trained, DecisionConfig(data=config.data, **options), tmp_path / "other", split=split)
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_what_decides_anew_is_seen_from_then_on(trained, seen, tmp_path):
    draw_sample(tmp_path, count=20, size=64, seed=9)
    data = DecisionConfig(data=(str(tmp_path / "images"),))
    recalibrate(trained, data, tmp_path / "new", split="all")
    kept = load_checkpoint(tmp_path / "new").seen
    assert kept is not None
    assert len(kept.decided) == len(seen.decided) + 40
    with pytest.raises(InputError, match="decided by, 40 of these 40"):
        evaluate(str(tmp_path / "new"), data, split="all")


@pytest.mark.slow
def test_a_combination_asks_all_its_parts(trained, checkpoint, seen, config, tmp_path):
    decided = DecisionConfig(data=config.data, split_seed=1)
    with pytest.raises(InputError, match="model was trained on"):
        combine([str(checkpoint), trained], decided, tmp_path / "out")
    combine([trained], DecisionConfig(data=config.data), tmp_path / "flipped", flip=True)
    kept = load_checkpoint(tmp_path / "flipped").seen
    assert kept is not None
    np.testing.assert_array_equal(kept.trained, seen.trained)
