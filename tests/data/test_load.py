"""From sources to splits, on small folders of drawn noise."""

import logging
import os
import shutil

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value
from PIL import Image as PILImage

from hf_deepfake.config import DataConfig
from hf_deepfake.data.load import load_images, prepare
from hf_deepfake.errors import InputError


def draw(path, seed):
    """An image of noise; the same seed gives the same image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    PILImage.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)


def folder(root, count=10, first=0, real="real", fake="fake"):
    """A folder without splits: `count` images of each class, all different."""
    for number in range(count):
        draw(root / real / f"{number}.png", [first, number])
        draw(root / fake / f"{number}.png", [first, number, 1])
    return root


def split_folder(root, count=4):
    for place, split in enumerate(("Train", "Validation", "Test")):
        folder(root / split, count, first=place + 1, real="Real", fake="Fake")
    return root


def prepared(tmp_path, *sources, **options):
    return prepare(DataConfig(data=tuple(map(str, sources)), cache_dir=str(tmp_path / "cache"), **options))


def pixels(data):
    """Pixels and label of each row."""
    return [(row["image"].tobytes(), row["label"]) for row in data]


def sizes(data):
    return {name: len(split) for name, split in data.items()}


def test_three_splits_with_the_same_columns(tmp_path):
    data, report = prepared(tmp_path, folder(tmp_path / "faces"))
    label, text = ClassLabel(names=["real", "fake"]), Value("string")
    features = Features({"image": Image(), "label": label, "source": text, "origin": text})
    assert [split.features for split in data.values()] == [features] * 3
    assert sizes(data) == {"train": 16, "validation": 2, "test": 2}
    assert report.counts["test"] == {"real": 1, "fake": 1}
    assert report.sources == {"faces": report.counts}
    assert report.made == {"faces": ("train", "validation", "test")}
    assert report.clean
    assert set(data["train"]["source"]) == {"faces"}
    assert data["train"][0]["image"].size == (32, 32)


def test_what_somebody_holds_is_a_source_like_any_other(tmp_path):
    """The same images as a folder, as a `Dataset`, as rows, and merged."""
    root, options = folder(tmp_path / "faces"), {"cache_dir": str(tmp_path / "cache")}
    files = [(str(file), file.parent.name) for file in sorted(root.rglob("*.png"))]
    expected = load_images(root, **options)
    table = Dataset.from_dict({"image": [file for file, _ in files], "label": [label for _, label in files]})
    rows = [{"image": file, "label": label} for file, label in files]
    for held in (table, table.cast_column("image", Image()), rows):
        found = load_images(held, **options)
        assert [pixels(found[name]) for name in found] == [pixels(expected[name]) for name in found]
        assert set(found["train"]["source"]) == {"memory"}
    merged = load_images(folder(tmp_path / "more", first=7), table, rows, **options)
    assert {name for split in merged.values() for name in split["source"]} == {"more", "memory", "memory-2"}


def test_what_is_left_out_is_said(tmp_path, caplog):
    root = folder(tmp_path / "faces")
    (root / "real/notes.txt").touch()
    (root / "real/clip.mp4").touch()
    (root / "fake/text.jpg").write_text("text")
    (root / "fake/empty.jpg").touch()
    (root / "fake" / os.fsdecode(b"caf\xe9.png")).touch()
    report = prepared(tmp_path, root)[1]
    assert report.left_out == {".txt": 1, ".mp4": 1, "not named in UTF-8": 1}
    assert not report.clean
    assert "3 files left out: 1 .mp4, 1 .txt, 1 not named in UTF-8; videos are no images" in report.summary()
    assert len(report.bad_files) == 2


def test_a_split_that_is_a_link_to_another_is_named(tmp_path):
    root = split_folder(tmp_path / "faces")
    shutil.rmtree(root / "Validation")
    (root / "Validation").symlink_to("Test")
    data, report = prepared(tmp_path, root)
    assert "Validation is a link to Test, so it lists no image again" in report.summary()
    assert report.made == {"faces": ("validation",)}
    assert len(data["test"]) == 8


def test_given_splits_are_kept(tmp_path):
    data, report = prepared(tmp_path, split_folder(tmp_path / "faces"))
    assert sizes(data) == {"train": 8, "validation": 8, "test": 8}
    assert report.made == {}
    assert report.listed == 24


def test_only_a_test_split(tmp_path):
    folder(tmp_path / "faces/test")
    data, report = prepared(tmp_path, tmp_path / "faces")
    assert sizes(data) == {"train": 0, "validation": 0, "test": 20}
    assert report.made == {}
    assert data["train"].features == data["test"].features


def test_names_and_places_change_nothing(tmp_path):
    one, first = prepared(tmp_path, folder(tmp_path / "one"))
    other, second = prepared(
        tmp_path,
        folder(tmp_path / "other/deep", real="zz_Original", fake="0_ai"),
        real_names=("zzoriginal",),
        fake_names=("0 AI",),
    )
    assert first.fingerprint == second.fingerprint
    for split in one:
        assert pixels(one[split]) == pixels(other[split])
    _, moved = prepared(tmp_path, tmp_path / "one", split_seed=1)
    assert moved.fingerprint != first.fingerprint


def test_columns_of_csv_files(tmp_path):
    root = folder(tmp_path / "faces")
    lines = [
        f"{name}/{number}.png,scene {number},{kind}"
        for name, kind in (("real", ""), ("fake", "swap"))
        for number in range(10)
    ]
    (root / "groups.csv").write_text("\n".join(["file,group,manipulation", *lines, "fake/77.png,x,y"]))
    data, report = prepared(tmp_path, root)
    assert report.unmatched_rows == 1
    assert data["train"].features["group"] == Value("string")
    assert set(zip(data["train"]["label"], data["train"]["manipulation"], strict=True)) == {(0, None), (1, "swap")}
    groups = [set(split["group"]) for split in data.values()]
    assert [len(names) for names in groups] == [8, 1, 1]
    assert not groups[0] & groups[1] | groups[1] & groups[2] | groups[0] & groups[2]


def test_frames_of_a_video_stay_together_where_no_group_is_known(tmp_path):
    root = folder(tmp_path / "faces")
    lines = [f"{name}/{number}.png,{name} {number // 2}" for name in ("real", "fake") for number in range(10)]
    (root / "attributes.csv").write_text("\n".join(["file,video", *lines]))
    data, _ = prepared(tmp_path, root)
    assert set(data["train"]["group"]) == set(data["train"]["video"])
    assert [len(set(split["group"])) * 2 for split in data.values()] == [len(split) for split in data.values()]


def test_several_sources(tmp_path):
    one, other = split_folder(tmp_path / "a/faces"), folder(tmp_path / "b/faces")
    for root, file in ((one, "Train/Real/0.png"), (other, "real/0.png")):
        (root / "groups.csv").write_text(f"file,group\n{file},person\n")
    (other / "attributes.csv").write_text("file,age\nfake/1.png,30\n")
    data, report = prepared(tmp_path, one, other)
    assert list(report.sources) == ["faces", "faces-2"]
    assert report.made == {"faces-2": ("train", "validation", "test")}
    assert sum(sizes(data).values()) == 44
    rows = [row for split in data.values() for row in split.remove_columns("image")]
    assert {row["group"] for row in rows} == {None, "faces/person", "faces-2/person"}
    assert {(row["source"], row["age"]) for row in rows if row["age"]} == {("faces-2", "30")}


def test_folders_and_embedded_images_merge(tmp_path):
    features = Features({"image": Image(), "label": ClassLabel(names=["fake", "real"])})
    drawn = [PILImage.fromarray(np.full((32, 32, 3), 10 * number, np.uint8)) for number in range(10)]
    Dataset.from_dict({"image": drawn, "label": [0, 1] * 5}, features=features).to_parquet(tmp_path / "more.parquet")
    data, report = prepared(tmp_path, folder(tmp_path / "faces"), tmp_path / "more.parquet")
    assert sum(sizes(data).values()) == 30
    assert {
        label for split in data.values() for row in split for label in [row["label"]] if row["source"] == "more"
    } == {0, 1}
    assert report.sources["more"]["train"] == {"real": 3, "fake": 3}


def test_leaks(tmp_path):
    root = split_folder(tmp_path / "faces")
    shutil.copy(root / "Test/Fake/0.png", root / "Train/Fake/0.png")  # the same image in train and test
    (root / "groups.csv").write_text("file,group\nTrain/Real/1.png,p\nValidation/Real/2.png,p\nTest/Real/3.png,q\n")
    data, report = prepared(tmp_path, root)
    assert sizes(data) == {"train": 6, "validation": 8, "test": 8}
    assert (report.leaked_groups, report.leaked_images, report.dropped) == (("p",), 1, 2)
    data, report = prepared(tmp_path, root, on_leak="keep")
    assert sizes(data) == {"train": 8, "validation": 8, "test": 8}
    assert (report.leaked_groups, report.leaked_images, report.dropped) == (("p",), 1, 0)
    with pytest.raises(InputError, match=r"1 groups and 1 images are in more than one split, such as .*Train/"):
        prepared(tmp_path, root, on_leak="error")


def test_an_image_never_lands_on_both_sides_of_a_made_split(tmp_path):
    root = folder(tmp_path / "faces")
    for number in range(10):
        shutil.copy(root / f"real/{number}.png", root / f"real/copy{number}.png")
    data, report = prepared(tmp_path, root)
    seen = [{image for image, _ in pixels(split)} for split in data.values()]
    assert not seen[0] & seen[1] | seen[1] & seen[2] | seen[0] & seen[2]
    assert report.duplicates == 10
    assert sum(sizes(data).values()) == 30


def test_the_same_image_in_both_classes_is_named(tmp_path):
    root = folder(tmp_path / "faces")
    shutil.copy(root / "real/3.png", root / "fake/also3.png")
    _, report = prepared(tmp_path, root)
    assert report.label_conflicts == (("real/3.png", "fake/also3.png"),)
    assert report.duplicates == 1


def test_files_that_do_not_open(tmp_path):
    root = folder(tmp_path / "faces")
    (root / "real/0.png").write_bytes((root / "real/0.png").read_bytes()[:99])
    (root / "fake/x.jpg").write_text("nothing")
    data, report = prepared(tmp_path, root)
    assert sum(sizes(data).values()) == 19
    assert report.listed == 21
    (name, reason), (other, _) = report.bad_files
    assert (name, other) == ("fake/x.jpg", "real/0.png")
    assert reason.startswith("fake/x.jpg is not an image")
    with pytest.raises(InputError, match=r"2 images do not open; the first is .*x\.jpg"):
        prepared(tmp_path, root, on_bad_file="error")


def test_the_log_warns_only_of_trouble(tmp_path, caplog):
    root = folder(tmp_path / "faces")
    with caplog.at_level(logging.INFO, "hf_deepfake"):
        load_images(root, cache_dir=str(tmp_path / "cache"))
        (root / "fake/x.jpg").write_text("nothing")
        load_images(root, cache_dir=str(tmp_path / "cache"))
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]
    assert "skipped 1 of 21" in caplog.records[1].getMessage()


def test_one_class_only(tmp_path):
    draw(tmp_path / "faces/fake/1.png", 0)
    with pytest.raises(InputError, match=r"there are no real images in .*faces"):
        prepared(tmp_path, tmp_path / "faces")


def test_one_class_in_each_of_two_sources(tmp_path):
    for number in range(5):
        draw(tmp_path / f"a/real/{number}.png", [0, number])
        draw(tmp_path / f"b/fake/{number}.png", [1, number])
    _, report = prepared(tmp_path, tmp_path / "a", tmp_path / "b")
    assert report.counts["test"] == {"real": 1, "fake": 1}


def test_a_class_with_fewer_images_than_splits(tmp_path):
    root = folder(tmp_path / "faces")
    for number in range(2, 10):
        (root / f"fake/{number}.png").unlink()
    with pytest.raises(InputError, match="faces has 2 fake images, which is too few"):
        prepared(tmp_path, root)


def test_one_group_cannot_be_split(tmp_path):
    root = folder(tmp_path / "faces", 5)
    lines = [f"real/{number}.png,one" for number in range(5)]
    (root / "groups.csv").write_text("\n".join(["file,group", *lines]))
    with pytest.raises(InputError, match="5 real images, which is too few"):
        prepared(tmp_path, root)


def test_bad_options_and_no_source(tmp_path):
    with pytest.raises(InputError, match="no data given"):
        prepare(DataConfig())
    with pytest.raises(InputError, match="unknown option 'validation_shar'"):
        load_images(tmp_path, validation_shar=0.2)
    with pytest.raises(InputError, match="no such path"):
        load_images(tmp_path / "none", cache_dir=str(tmp_path / "cache"))


def test_a_cache_that_cannot_be_made(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(InputError, match="cannot be made"):
        prepared(tmp_path, folder(tmp_path / "faces"))


@pytest.mark.parametrize("names", [("fake",), ("real", "fake")])
def test_a_class_of_which_nothing_opens(tmp_path, names):
    root = folder(tmp_path / "faces")
    for file in (file for name in names for file in (root / name).iterdir()):
        file.write_bytes(b"broken")
    with pytest.raises(InputError, match=f"there are no {names[0]} images in .*faces that open"):
        prepared(tmp_path, root)


def test_the_fingerprint_sees_pixels_and_labels(tmp_path):
    root = folder(tmp_path / "faces")
    first = prepared(tmp_path, root)[1].fingerprint
    draw(root / "real/0.png", 99)
    redrawn = prepared(tmp_path, root)[1].fingerprint
    (root / "real").rename(root / "aside")
    (root / "fake").rename(root / "real")
    (root / "aside").rename(root / "fake")
    assert len({first, redrawn, prepared(tmp_path, root)[1].fingerprint}) == 3


def test_without_validation_it_is_15_percent_of_train(tmp_path):
    root = folder(tmp_path / "faces/train", 20).parent
    folder(root / "test", 2, first=1)
    _, report = prepared(tmp_path, root)
    assert {split: list(count.values()) for split, count in report.counts.items()} == {
        "train": [17, 17],
        "validation": [3, 3],
        "test": [2, 2],
    }
    assert report.made == {"faces": ("validation",)}


def video_folders(root, count=8):
    for video in range(count):
        for frame in range(3):
            draw(root / f"real/{video:03}/{frame}.png", [0, video, frame])
            draw(root / f"fake/{video:03}_{video ^ 1:03}/{frame}.png", [1, video, frame])
    return root


def test_folders_of_videos_are_groups_that_no_split_divides(tmp_path):
    data, report = prepared(tmp_path, video_folders(tmp_path / "faces"))
    groups = [set(split["group"]) for split in data.values()]
    assert set().union(*groups) == {"000", "002", "004", "006"}
    assert sum(map(len, groups)) == 4
    (note,) = report.notes["faces"]
    assert note.startswith("4 groups inferred from folders and file names such as 000")
    assert f"faces: {note}" in report.summary().split("\n")
    assert report.clean


def test_groups_csv_comes_before_folders_and_the_option_before_both_is_off(tmp_path):
    root = video_folders(tmp_path / "faces")
    (root / "groups.csv").write_text("file,group\n" + "".join(f"real/000/{n}.png,mine\n" for n in range(3)))
    data, _ = prepared(tmp_path, root)
    rows = [row for split in data.values() for row in split.cast_column("image", Image(decode=False))]
    by_folder = {row["image"]["path"].split("/")[-2]: row["group"] for row in rows}
    assert (by_folder["000"], by_folder["001"], by_folder["000_001"]) == ("mine", "000", "000")
    data, report = prepared(tmp_path, root, groups="given")
    assert {row["group"] for split in data.values() for row in split.remove_columns("image")} == {"mine", None}
    assert report.notes == {}


def test_frames_of_a_video_in_two_given_splits_are_a_leak(tmp_path):
    root = tmp_path / "faces"
    for video in range(6):
        for frame in range(4):
            split = "test" if video < 3 and frame == 3 else "train"
            for label in ("real", "fake"):
                draw(root / f"{split}/{label}/clip{video}_frame{frame}.png", [ord(label[0]), video, frame])
    data, report = prepared(tmp_path, root)
    assert report.leaked_groups == ("clip0", "clip1", "clip2")
    assert report.dropped == 18
    assert len(data["test"]) == 6


def test_too_few_videos_name_the_option(tmp_path):
    with pytest.raises(InputError, match=r"too few .*; add some, or --groups given where folders and file names tell"):
        prepared(tmp_path, video_folders(tmp_path / "faces", 2))


def test_tables_say_labels_splits_and_what_is_missing(tmp_path):
    root = tmp_path / "faces"
    for number in range(12):
        draw(root / f"images/{number}.png", number)
    for place, split in enumerate(("train", "valid", "test")):
        rows = [f"{number}.png,{'fake' if number % 2 else 'real'}" for number in range(4 * place, 4 * place + 3)]
        (root / f"{split}.csv").write_text("\n".join(["image,label", *rows, f"{split}.png,real", ""]))
    data, report = prepared(tmp_path, root)
    assert sizes(data) == {"train": 3, "validation": 3, "test": 3}
    assert (report.unmatched_rows, report.unlabelled, report.listed) == (3, 3, 9)
    assert not report.clean
    lines = report.summary().split("\n")
    assert "faces: labels from test.csv, train.csv, valid.csv" in lines
    assert "3 rows of tables name no image that is here" in lines
    assert "3 images left out, for no table has a row with their label" in lines
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", root)
    assert prepared(tmp_path, packed)[1].fingerprint == report.fingerprint


def test_a_table_as_a_source(tmp_path):
    root = folder(tmp_path / "faces", real="a", fake="b")
    rows = [f"{name}/{number}.png,{label}" for name, label in (("a", 0), ("b", 1)) for number in range(10)]
    (root / "list.csv").write_text("\n".join(["path,is_fake", *rows]))
    data, report = prepared(tmp_path, root / "list.csv")
    assert sizes(data) == {"train": 16, "validation": 2, "test": 2}
    assert list(report.sources) == ["list"]


def test_parquet_without_images_beside_images(tmp_path):
    root = folder(tmp_path / "faces")
    Dataset.from_dict({"file_name": ["real/0.png"], "score": [0.5]}).to_parquet(root / "scores.parquet")
    Dataset.from_dict({"file_name": ["real/1.png"], "age": [7]}).to_parquet(root / "metadata.parquet")
    data, report = prepared(tmp_path, root)
    assert report.listed == 20
    ages = [age for split in data.values() for age in split["age"]]
    assert sorted(filter(None, ages)) == ["7"]
