"""Images inside files and in memory: what is taken for such, and which splits and columns they have."""

import io
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, NamedSplit, Value
from PIL import Image as PILImage

from hf_deepfake.data.packed import (
    UNSPLIT,
    as_splits,
    image_column,
    is_parquet,
    is_saved,
    is_shard,
    read_files,
    read_saved,
)
from hf_deepfake.errors import InputError


@pytest.fixture(scope="module")
def png():
    buffer = io.BytesIO()
    PILImage.new("RGB", (40, 40), (200, 100, 50)).save(buffer, "PNG")
    return buffer.getvalue()


def shard(path, members):
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_parquet_with_images_and_without(tmp_path, png):
    for name, columns in {
        "image": {"image": [{"bytes": png, "path": None}]},
        "raw": {"jpeg": [png]},
        "vectors": {"embedding": [b"0123456789abcdef"]},
        "scores": {"score": [0.5]},
    }.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    assert [is_parquet(tmp_path / f"{name}.parquet") for name in ("image", "raw", "vectors", "scores")] == [
        True, True, False, False,
    ]  # fmt: skip
    assert not is_parquet(tmp_path / "none.parquet")
    assert not is_parquet(tmp_path)


def test_tars_with_images_and_with_labels(tmp_path, png):
    labelled = shard(tmp_path / "a.tar", {"0.png": png, "0.cls": b"1"})
    alone = shard(tmp_path / "b.tar", {"0.png": png, "1.cls": b"1"})
    texts = shard(tmp_path / "c.tar", {"0.txt": b"text", "0.cls": b"1"})
    assert [is_shard(path) for path in (labelled, alone, texts)] == [True, False, False]
    assert [is_shard(path, labelled=False) for path in (labelled, alone, texts)] == [True, True, False]
    (tmp_path / "damaged.tar").write_bytes(b"no tar")
    assert is_shard(tmp_path / "damaged.tar")  # so that its reader says so
    assert not is_shard(tmp_path / "none.tar")


def test_a_web_data_set_has_plain_columns(tmp_path, png):
    members = {}
    for number, label in enumerate((0, 1)):
        members |= {f"{number}.png": png, f"{number}.cls": str(label).encode()}
        members[f"{number}.json"] = json.dumps({"person": f"p{number}"}).encode()
    file = shard(tmp_path / "train-000.tar", members)
    parts = read_files("webdataset", "set", [file], tmp_path / "cache")
    assert set(parts) == {"train"}
    assert set(parts["train"].column_names) == {"png", "label", "person"}
    assert parts["train"]["label"] == [0, 1]
    assert parts["train"]["person"] == ["p0", "p1"]


def test_names_of_files_or_folders_say_the_split(tmp_path, png):
    table = pa.table({"image": [{"bytes": png, "path": None}], "label": [1]})
    for name in ("train-0.parquet", "train-1.parquet", "val.parquet"):
        pq.write_table(table, tmp_path / name)
    files = sorted(tmp_path.glob("*.parquet"))
    parts = read_files("parquet", "set", files, tmp_path / "cache")
    assert {split: len(part) for split, part in parts.items()} == {"train": 2, "validation": 1}
    pq.write_table(table, tmp_path / "more.parquet")
    with pytest.raises(InputError, match=r"more\.parquet names no split, unlike the files beside it"):
        read_files("parquet", "set", [*files, tmp_path / "more.parquet"], tmp_path / "cache")
    alone = read_files("parquet", "set", [tmp_path / "more.parquet"], tmp_path / "cache")
    assert list(alone) == [UNSPLIT]


def test_what_was_saved_to_disk(tmp_path):
    data = Dataset.from_dict({"label": [0, 1]})
    data.save_to_disk(str(tmp_path / "one"))
    DatasetDict({"train": data, "test": data}).save_to_disk(str(tmp_path / "two"))
    assert is_saved(tmp_path / "one")
    assert is_saved(tmp_path / "two")
    assert not is_saved(tmp_path)
    assert list(read_saved("one", tmp_path / "one")) == [UNSPLIT]
    assert list(read_saved("two", tmp_path / "two")) == ["train", "test"]
    with pytest.raises(InputError, match=r"^three cannot be read .*; save it to disk anew$"):
        read_saved("three", tmp_path / "three")


def test_data_sets_in_memory_keep_the_split_that_they_name():
    plain = Dataset.from_dict({"label": [0]})
    named = Dataset.from_dict({"label": [0]}, split=NamedSplit("test"))
    odd = Dataset.from_dict({"label": [0]}, split=NamedSplit("everything"))
    assert [list(as_splits(one)) for one in (plain, named, odd)] == [[UNSPLIT], ["test"], [UNSPLIT]]
    both = DatasetDict({"train": plain})
    assert as_splits(both) is both


def test_rows_in_memory(png, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(png)
    rows = [{"image": "a.png", "label": "real"}, {"image": png, "label": "fake", "group": "g"}]
    data = as_splits(rows)[UNSPLIT]
    assert data.features["image"] == Image()
    plain = data.cast_column("image", Image(decode=False))
    assert plain["image"][0]["path"] == str(tmp_path / "a.png")  # holds wherever the program goes
    assert plain["image"][1]["bytes"] == png
    assert (data["label"][:], data["group"][:]) == (["real", "fake"], [None, "g"])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (7, "int is no source of images; give a path, a datasets"),
        ([], "list is no source of images"),
        ([{"picture": "a.png"}], "the rows have no image; they have picture, so rename one to image"),
        ([{"image": "a.png", "label": 1}, {"image": "b.png", "label": "fake"}], "the rows are no table"),
    ],
)
def test_what_is_no_source(given, sentence):
    with pytest.raises(InputError, match=sentence):
        as_splits(given)


@pytest.mark.parametrize(
    ("features", "column"),
    [
        ({"image": Image(), "mask": Image()}, "image"),
        ({"picture": Image(), "raw": Value("binary"), "label": ClassLabel(2)}, "picture"),
        ({"face": {"bytes": Value("binary"), "path": Value("string")}, "raw": Value("binary")}, "face"),
        ({"raw": Value("binary"), "name": Value("string")}, "raw"),
        ({"image": Value("string"), "label": Value("int8")}, "image"),
    ],
)
def test_the_column_of_the_images(features, column):
    assert image_column("set", Features(features)) == column


def test_none_or_two_columns_of_images_are_refused():
    with pytest.raises(InputError, match=r"^set has 2 image columns; one is needed among a, b$"):
        image_column("set", Features({"a": Image(), "b": Image()}))
    with pytest.raises(InputError, match=r"^set has 0 image columns"):
        image_column("set", Features({"name": Value("string")}))
