"""Labels, splits and columns that tables give to images. No image is opened."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hf_deepfake.config import DataConfig
from hf_deepfake.data.index import list_folder, list_table
from hf_deepfake.data.names import class_names
from hf_deepfake.errors import InputError

CLASSES = class_names(DataConfig())
WORDS = {"1.png": "real", "2.png": "fake", "3.png": "real", "4.png": "fake"}


def make(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def listed(root, **options):
    return list_folder(root, class_names(DataConfig(**options)))


def said(listing):
    """(label, split) by file."""
    return dict(zip(listing.files, zip(listing.labels.tolist(), listing.splits.tolist(), strict=True), strict=True))


def labels(listing):
    return dict(zip(listing.files, listing.labels.tolist(), strict=True))


def table(path, rows):
    """Write rows in the format that the path's end says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(rows)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif path.suffix == ".json":
        frame.to_json(path, orient="records")
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")


@pytest.mark.parametrize(
    "name", ["metadata.csv", "metadata.jsonl", "metadata.parquet", "metadata.json", "labels.tsv", "x.csv", "x.parquet"]
)
@pytest.mark.parametrize(
    ("column", "target"), [("file_name", "label"), ("image_path", "Class"), ("filename", "target")]
)
def test_labels_and_groups_of_a_table(tmp_path, name, column, target):
    make(tmp_path, *(f"train/{file}" for file in WORDS))
    table(
        tmp_path / "train" / name, {column: list(WORDS), target: list(WORDS.values()), "group": ["a", "a", None, "b"]}
    )
    found = listed(tmp_path)
    assert said(found) == {f"train/{file}": (int(word == "fake"), 0) for file, word in WORDS.items()}
    assert found.columns == {"group": ["a", "a", None, "b"]}
    assert found.notes == (f"labels from train/{name}",)
    assert (found.unmatched, found.unlabelled) == (0, 0)


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("label", ["REAL", "Fake"], [0, 1]),
        ("y", ["original", "ai-generated"], [0, 1]),
        ("label", ["0_real", "1_fake"], [0, 1]),
        ("is_fake", [0, 1], [0, 1]),
        ("is_real", [0, 1], [1, 0]),
        ("fake", [1.0, 0.0], [1, 0]),
        ("real", ["1", "0"], [0, 1]),
        ("isFake", ["True", "False"], [1, 0]),
        ("is_real", [True, False], [0, 1]),
        ("deepfake", ["yes", "no"], [1, 0]),
    ],
)
@pytest.mark.parametrize("name", ["labels.csv", "labels.jsonl", "labels.parquet"])
def test_words_and_named_numbers(tmp_path, column, values, expected, name):
    make(tmp_path, "1.png", "2.png")
    table(tmp_path / name, {"path": ["1.png", "2.png"], column: values})
    assert labels(listed(tmp_path)) == {"1.png": expected[0], "2.png": expected[1]}


@pytest.mark.parametrize("values", [[0, 1], [0.0, 1.0], ["0", "1"], [False, True]])
@pytest.mark.parametrize("name", ["labels.csv", "labels.jsonl", "labels.parquet"])
def test_bare_numbers_and_bools_need_an_option(tmp_path, values, name):
    make(tmp_path, "1.png", "2.png")
    table(tmp_path / name, {"path": ["1.png", "2.png"], "label": values})
    with pytest.raises(InputError, match=rf"{name} has the labels .*--real_names and --fake_names"):
        listed(tmp_path)
    real, fake = ("False", "True") if isinstance(values[0], bool) else ("0", "1")
    assert labels(listed(tmp_path, real_names=(real,), fake_names=(fake,))) == {"1.png": 0, "2.png": 1}
    assert labels(listed(tmp_path, real_names=(fake,), fake_names=(real,))) == {"1.png": 1, "2.png": 0}


def test_names_of_classes_in_parquet(tmp_path):
    from datasets import ClassLabel, Dataset, Features, Value

    make(tmp_path, "1.png", "2.png")
    features = Features({"file_name": Value("string"), "label": ClassLabel(names=["fake", "real"])})
    Dataset.from_dict({"file_name": ["1.png", "2.png"], "label": [0, 1]}, features=features).to_parquet(
        tmp_path / "metadata.parquet"
    )
    assert labels(listed(tmp_path)) == {"1.png": 1, "2.png": 0}


def make_140k(root, columns=True):
    """The 140k set: tables of which only one column of labels has words, beside folders that say the same."""
    for split in ("train", "valid", "test"):
        rows = []
        for label, name in ((1, "real"), (0, "fake")):
            for number in range(2):
                file = f"{split}/{name}/{split}{number}.jpg"
                make(root, f"real_vs_fake/real-vs-fake/{file}")
                rows.append((f"/kaggle/input/all/{split}{number}.jpg", f"{split}{number}", label, name, file))
        frame = pd.DataFrame(rows, columns=["original_path", "id", "label", "label_str", "path"])
        frame[list(frame) if columns else ["original_path", "id", "label", "path"]].to_csv(root / f"{split}.csv")
    return root


def test_tables_of_the_140k_set(tmp_path):
    found = listed(make_140k(tmp_path))
    assert len(found.files) == 12
    for file, (label, split) in said(found).items():
        assert (label, split) == (
            int("/fake/" in file),
            next(n for n, s in enumerate(("train", "valid", "test")) if f"/{s}/" in file),
        )
    assert found.columns == {}
    assert found.notes == ("labels from test.csv, train.csv, valid.csv",)


def test_bare_numbers_beside_class_folders_are_not_needed(tmp_path):
    found = listed(make_140k(tmp_path, columns=False))
    assert len(found.files) == 12
    assert all(label == ("/fake/" in file) for file, label in labels(found).items())
    assert "not used: train.csv has the labels 0, 1" in " ".join(found.notes)


@pytest.mark.parametrize(
    "write",
    [
        lambda file: file,
        lambda file: f"./{file}",
        lambda file: file.replace("/", "\\"),
        lambda file: f".\\{file}".replace("/", "\\"),
        lambda file: file.removeprefix("images/"),
        lambda file: file.upper(),
        lambda file: f"C:\\Users\\me\\set\\{file}".replace("/", "\\"),
        lambda file: f"/content/drive/set/{file}",
        lambda file: f"set/{file}",
        lambda file: file.rsplit("/", 1)[1],
        lambda file: file.rsplit("/", 1)[1].removesuffix(".png"),
        lambda file: f" {file} ",
    ],
    ids=[
        "plain",
        "dot",
        "windows",
        "windows-dot",
        "images-folder",
        "capitals",
        "drive",
        "elsewhere",
        "parent",
        "name",
        "stem",
        "blanks",
    ],
)
@pytest.mark.parametrize("place", ["", "images/", "tables/"])
def test_ways_to_write_a_path(tmp_path, write, place):
    files = [f"images/{'ab'[n % 2]}/face{n}.png" for n in range(6)]
    make(tmp_path, *files)
    table(tmp_path / f"{place}list.csv", {"image": list(map(write, files)), "label": ["real", "fake"] * 3})
    assert labels(listed(tmp_path)) == {file: int("/b/" in file) for file in files}


def test_absolute_paths(tmp_path):
    make(tmp_path, "a/1.png", "a/2.png")
    table(tmp_path / "t.csv", {"file": [str(tmp_path / f"a/{n}.png") for n in (1, 2)], "label": ["real", "fake"]})
    assert labels(listed(tmp_path)) == {"a/1.png": 0, "a/2.png": 1}


def test_missing_images_and_images_without_a_row(tmp_path):
    make(tmp_path, "a/1.png", "a/2.png", "a/8.png", "b/3.png", "b/9.png")
    rows = {
        "file": ["a/1.png", "a/2.png", "a/3.png", "c/4.png", "a/8.png"],
        "label": ["real", "fake", "real", "fake", ""],
    }
    table(tmp_path / "labels.csv", rows)
    found = listed(tmp_path)
    assert labels(found) == {"a/1.png": 0, "a/2.png": 1}
    assert (found.unmatched, found.unlabelled) == (2, 3)


def test_a_short_name_of_several_images(tmp_path):
    make(tmp_path, "a/1.png", "b/1.png", "b/2.png")
    table(tmp_path / "labels.csv", {"file": ["1.png", "2.png"], "label": ["real", "fake"]})
    with pytest.raises(InputError, match=r"labels\.csv names 1\.png, which could be a/1\.png or b/1\.png; write whole"):
        listed(tmp_path)


def test_short_names_of_the_split_that_the_tables_name(tmp_path):
    make(tmp_path, *(f"{split}/{n}.png" for split in ("train", "test") for n in (1, 2)))
    table(tmp_path / "train.csv", {"id": [1, 2], "label": ["real", "fake"]})
    table(tmp_path / "test.csv", {"id": [1, 2], "label": ["fake", "real"]})
    assert said(listed(tmp_path)) == {
        "test/1.png": (1, 2), "test/2.png": (0, 2), "train/1.png": (0, 0), "train/2.png": (1, 0)
    }  # fmt: skip


def test_splits_of_columns_of_tables_names_and_of_folders(tmp_path):
    make(tmp_path, *(f"images/{n}.png" for n in range(6)))
    for split, first in (("train", 0), ("val", 2), ("test", 4)):
        table(
            tmp_path / f"labels_{split}.csv", {"file": [f"{first}.png", f"{first + 1}.png"], "label": ["real", "fake"]}
        )
    assert [split for _, split in said(listed(tmp_path)).values()] == [0, 0, 1, 1, 2, 2]
    for name in ("train", "val", "test"):
        (tmp_path / f"labels_{name}.csv").unlink()
    rows = {
        "file": [f"{n}.png" for n in range(4)],
        "label": ["real", "fake"] * 2,
        "split": ["train", "train", "test", "test"],
    }
    table(tmp_path / "all.csv", rows)
    found = listed(tmp_path)
    assert [split for _, split in said(found).values()] == [0, 0, 2, 2]
    assert (found.unlabelled, found.columns) == (2, {})
    table(tmp_path / "all.csv", rows | {"split": ["train", "train", "test", ""]})
    with pytest.raises(InputError, match=r"has splits, but 1 images such as images/3\.png are in none"):
        listed(tmp_path)


def test_dfdc(tmp_path):
    make(tmp_path, "part_0/aa/0.png", "part_0/aa/1.png", "part_0/bb_0.png", "part_0/bb_1.png", "part_1/cc.png")
    (tmp_path / "part_0/metadata.json").write_text(json.dumps({
        "aa.mp4": {"label": "FAKE", "split": "train", "original": "bb.mp4"},
        "bb.mp4": {"label": "REAL", "split": "train", "original": None},
        "zz.mp4": {"label": "REAL", "split": "train"},
    }))  # fmt: skip
    (tmp_path / "part_1/metadata.json").write_text(json.dumps({"cc.mp4": {"label": "REAL", "split": "train"}}))
    found = listed(tmp_path)
    assert labels(found) == {
        "part_0/aa/0.png": 1, "part_0/aa/1.png": 1, "part_0/bb_0.png": 0, "part_0/bb_1.png": 0, "part_1/cc.png": 0
    }  # fmt: skip
    assert set(found.splits) == {0}
    by_file = dict(zip(found.files, found.columns["group"], strict=True))
    assert by_file == dict.fromkeys(found.files, "bb") | {"part_1/cc.png": None}
    assert found.unmatched == 1


@pytest.mark.parametrize("above", ["", "Celeb-DF-v2/"])
@pytest.mark.parametrize("between", ["", "frames/"])
def test_the_test_videos_of_celeb_df(tmp_path, above, between):
    videos = ("Celeb-real/id0_0000", "Celeb-real/id1_0000", "YouTube-real/00001", "Celeb-synthesis/id0_id1_0000")
    make(tmp_path, *(f"{above}{video.replace('/', f'/{between}')}/{n}.png" for video in videos for n in range(2)))
    (tmp_path / f"{above}List_of_testing_videos.txt").write_text(
        "1 Celeb-real/id1_0000.mp4\n0 Celeb-synthesis/id0_id1_0000.mp4\n1 YouTube-real/00099.mp4\n"
    )
    found = listed(tmp_path)
    assert {file.split("/")[-2]: pair for file, pair in said(found).items()} == {
        "id0_0000": (0, 0), "id1_0000": (0, 2), "00001": (0, 0), "id0_id1_0000": (1, 2)
    }  # fmt: skip
    assert found.unmatched == 1


def test_groups_csv_wins(tmp_path):
    make(tmp_path, *WORDS)
    table(tmp_path / "metadata.csv", {"file_name": list(WORDS), "label": list(WORDS.values()), "group": ["m"] * 4})
    (tmp_path / "groups.csv").write_text("file,group\n1.png,g\n2.png,\n")
    assert listed(tmp_path).columns == {"group": ["g", "m", "m", "m"]}


def test_a_table_that_is_not_understood_is_named(tmp_path):
    make(tmp_path, "1.png", "2.png")
    (tmp_path / "notes.csv").write_text("who,what\nme,x\n")
    (tmp_path / "odd.jsonl").write_text("nothing\n")
    with pytest.raises(
        InputError, match=r"no table says what they are \(notes\.csv names no image .* who, what; odd\.jsonl"
    ):
        listed(tmp_path)
    table(tmp_path / "labels.csv", {"file": ["1.png", "2.png"], "label": ["cat", "dog"]})
    with pytest.raises(
        InputError, match=r"labels\.csv has the labels cat, dog, of which cat, dog could mean real or fake"
    ):
        listed(tmp_path)


def test_other_tables_beside_class_folders_are_passed_over(tmp_path):
    make(tmp_path, "real/1.png", "fake/2.png")
    for name in ("scores.csv", "scores.parquet", "predictions.jsonl"):
        table(tmp_path / name, {"file": ["real/1.png", "fake/2.png"], "label": ["fake", "real"], "score": [0.9, 0.1]})
    (tmp_path / "real/1.json").write_text("{}")  # about one image
    (tmp_path / "run.json").write_text('{"seed": 0}')
    found = listed(tmp_path)
    assert labels(found) == {"fake/2.png": 1, "real/1.png": 0}
    assert found.columns == {}


def test_a_table_that_contradicts_the_folders(tmp_path):
    make(tmp_path, "real/1.png", "fake/2.png")
    table(tmp_path / "labels.csv", {"file": ["real/1.png", "fake/2.png"], "label": ["fake", "fake"]})
    with pytest.raises(
        InputError, match=r"labels\.csv calls real/1\.png fake, unlike the folder that it lies in \(1 such"
    ):
        listed(tmp_path)


def test_all_in_one_folder_whose_name_is_a_class(tmp_path):
    make(tmp_path, "deepfake/1.png", "deepfake/2.png", "deepfake/3.png")
    table(tmp_path / "labels.csv", {"file": ["1.png", "2.png"], "label": ["real", "fake"]})
    found = listed(tmp_path)
    assert labels(found) == {"deepfake/1.png": 0, "deepfake/2.png": 1}
    assert found.unlabelled == 1


def test_rows_that_contradict_each_other(tmp_path):
    make(tmp_path, "1.png", "2.png")
    table(tmp_path / "a.csv", {"file": ["1.png", "2.png"], "label": ["real", "fake"]})
    table(tmp_path / "b.csv", {"file": ["1.png", "2.png"], "label": ["real", "real"]})
    with pytest.raises(InputError, match=r"b\.csv calls 2\.png real, which another row calls fake"):
        listed(tmp_path)


def test_metadata_without_labels_adds_its_columns(tmp_path):
    make(tmp_path, "real/1.png", "fake/2.png")
    pq.write_table(pa.table({"file_name": ["real/1.png"], "age": [30], "box": [[1, 2]]}), tmp_path / "metadata.parquet")
    assert listed(tmp_path).columns == {"age": [None, "30"], "box": [None, None]}


def test_one_table_as_a_source(tmp_path):
    make(tmp_path, "data/a/1.png", "data/a/2.png", "data/a/3.png", "other/4.png")
    table(tmp_path / "data/val.csv", {"file": ["a/1.png", "a/2.png", "a/none.png"], "label": ["real", "fake", "fake"]})
    root, found = list_table(tmp_path / "data/val.csv", CLASSES)
    assert (root, said(found)) == (tmp_path / "data", {"a/1.png": (0, 1), "a/2.png": (1, 1)})
    assert (found.unmatched, found.unlabelled) == (1, 0)
    table(tmp_path / "data/list.csv", {"file": ["../other/4.png", "a/1.png"], "label": ["real", "fake"]})
    root, found = list_table(tmp_path / "data/list.csv", CLASSES)
    assert (root, labels(found)) == (tmp_path, {"data/a/1.png": 1, "other/4.png": 0})
    table(tmp_path / "data/list.csv", {"file": ["2.png", "3.png"], "label": ["real", "fake"]})
    root, found = list_table(tmp_path / "data/list.csv", CLASSES)
    assert (labels(found), found.unlabelled) == ({"a/2.png": 0, "a/3.png": 1}, 0)


def test_a_table_that_is_of_no_use_may_have_short_names(tmp_path):
    make(tmp_path, "real/1.png", "fake/1.png")
    table(tmp_path / "landmarks.csv", {"file": ["1.png"], "x": [3]})
    (tmp_path / "metadata.json").write_text('{"licence": "free", "size": {"n": 2}}')
    found = listed(tmp_path)
    assert labels(found) == {"fake/1.png": 1, "real/1.png": 0}
    assert "not used: landmarks.csv has no label column" in " ".join(found.notes)
    assert "not used: metadata.json is not a readable JSON file" in " ".join(found.notes)


def test_short_names_of_the_class_that_the_row_names(tmp_path):
    make(tmp_path, "real/1.png", "fake/1.png")
    table(tmp_path / "t.csv", {"file": ["1.png", "1.png"], "label": ["real", "fake"], "who": ["a", "b"]})
    assert listed(tmp_path).columns == {"who": ["b", "a"]}


@pytest.mark.parametrize("column", ["group", "Group_ID", "video", "video_name", "person", "subject_id"])
def test_columns_that_give_groups(tmp_path, column):
    make(tmp_path, "1.png", "2.png")
    table(tmp_path / "t.csv", {"path": ["1.png", "2.png"], "label": ["real", "fake"], column: ["v1", "v1"]})
    videos = {"video": ["v1", "v1"]} if column.startswith("video") else {}
    assert listed(tmp_path).columns == {"group": ["v1", "v1"]} | videos


def test_pairs_of_faceforensics_say_the_split(tmp_path):
    folder = "c23/frames"
    videos = [f"original_sequences/youtube/{folder}/{video}" for video in ("000", "003", "010", "011")]
    videos += [f"manipulated_sequences/FaceSwap/{folder}/{video}" for video in ("000_003", "011_010")]
    make(tmp_path, *(f"{video}/{frame}.png" for video in videos for frame in ("003", "010")))
    for name, pair in (("train", ["003", "000"]), ("val", ["010", "011"])):
        (tmp_path / f"{name}.json").write_text(json.dumps([pair]))
    found = listed(tmp_path)
    by_video = {file.split("/")[-2]: split for file, (_, split) in said(found).items()}
    assert by_video == {"000": 0, "003": 0, "000_003": 0, "010": 1, "011": 1, "011_010": 1}
    assert labels(found)["manipulated_sequences/FaceSwap/c23/frames/000_003/003.png"] == 1
    assert set(found.columns["manipulation"]) == {None, "FaceSwap"}
    assert found.from_tables
    assert found.notes == ("splits from the lists of pairs train.json, val.json",)


def test_videos_of_frames_that_dfdc_names(tmp_path):
    make(tmp_path, "aaa/1.png", "bbb/1.png", "bbb/2.png")
    rows = {"aaa.mp4": {"label": "REAL"}, "bbb.mp4": {"label": "FAKE", "original": "aaa.mp4"}}
    (tmp_path / "metadata.json").write_text(json.dumps(rows))
    assert listed(tmp_path).columns == {"group": ["aaa"] * 3, "video": ["aaa", "bbb", "bbb"]}
