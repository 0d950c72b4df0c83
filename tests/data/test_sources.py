"""Every kind of source as one `Source`. Data sets of the Hub are handed in; nothing is fetched."""

import io
import json
import sys
import tarfile
import types
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value
from PIL import Image as PILImage

from hf_deepfake.config import DataConfig
from hf_deepfake.data import sources
from hf_deepfake.data.names import class_names
from hf_deepfake.data.sources import hold_source, open_source
from hf_deepfake.errors import InputError

CLASSES = class_names(DataConfig())


def image(value):
    return PILImage.fromarray(np.full((32, 32, 3), value, np.uint8))


def hub_data(labels, feature, column="label", **further):
    """A data set with embedded images whose grey values are their row numbers."""
    features = Features({"image": Image(), column: feature} | {name: Value("string") for name in further})
    rows = {"image": [image(row) for row in range(len(labels))], column: labels} | further
    return Dataset.from_dict(rows, features=features)


@pytest.fixture
def hub(monkeypatch):
    """Lets `open_source("owner/name")` find the data sets that the test puts here."""
    content = {}
    monkeypatch.setattr(sources, "load_dataset", lambda name: content[name])
    return content


def make_folder(root):
    for number, name in enumerate(("real/1.png", "fake/2.png")):
        (root / name).parent.mkdir(parents=True)
        image(number).save(root / name)
    (root / "groups.csv").write_text("file,group\nreal/1.png,g\nfake/3.png,g\n")
    return root


def test_folder(tmp_path):
    source = open_source(str(make_folder(tmp_path / "faces")), CLASSES, tmp_path)
    assert source.name == "faces"
    assert source.images.features == Features({"image": Image()})
    assert source.images[0]["image"].getpixel((0, 0)) == (1, 1, 1)
    assert (source.labels.tolist(), source.splits.tolist()) == ([1, 0], [-1, -1])
    assert (source.columns, source.unmatched) == ({"group": [None, "g"]}, 1)


def test_zip(tmp_path):
    folder = make_folder(tmp_path / "faces")
    with zipfile.ZipFile(tmp_path / "faces.v1.zip", "w") as file:
        for path in folder.rglob("*.*"):
            file.write(path, f"Set/{path.relative_to(folder)}")
    source = open_source(str(tmp_path / "faces.v1.zip"), CLASSES, tmp_path / "cache")
    assert (source.name, source.labels.tolist(), source.unmatched) == ("faces.v1", [1, 0], 1)


def test_sample_is_drawn_once(tmp_path, monkeypatch):
    drawn = []

    def draw(folder):
        drawn.append(folder)
        make_folder(folder / "images")

    monkeypatch.setattr(sources, "draw_sample", draw)
    for _ in range(2):
        assert open_source("sample", CLASSES, tmp_path).name == "sample"
    assert len(drawn) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_kaggle(tmp_path, monkeypatch):
    folder = make_folder(tmp_path / "download")
    module = types.ModuleType("kagglehub")
    monkeypatch.setattr(module, "dataset_download", lambda name: str(folder / name), raising=False)
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    (folder / "owner").mkdir()
    (folder / "owner/faces").symlink_to(folder)
    assert open_source("kaggle:owner/faces", CLASSES, tmp_path).name == "owner/faces"

    def fail(name):
        raise RuntimeError("403\nClient Error")

    monkeypatch.setattr(module, "dataset_download", fail)
    with pytest.raises(InputError, match=r"kaggle:owner/faces cannot be downloaded \(403 Client Error\)"):
        open_source("kaggle:owner/faces", CLASSES, tmp_path)


def test_kaggle_without_kagglehub(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(InputError, match=r'pip install "hf-deepfake\[kaggle\]"'):
        open_source("kaggle:owner/faces", CLASSES, tmp_path)


@pytest.mark.parametrize(
    ("feature", "labels", "column"),
    [
        (ClassLabel(names=["Fake", "Real"]), [0, 1, 0], "label"),
        (ClassLabel(names=["original", "ai-generated"]), [1, 0, 1], "labels"),
        (Value("string"), ["FAKE", "genuine", "synthetic"], "class"),
        (Value("bool"), [True, False, True], "is_fake"),
        (Value("float32"), [1.0, 0.0, 1.0], "fake"),
        (Value("bool"), [False, True, False], "is_real"),
    ],
)
def test_labels_of_the_hub(hub, tmp_path, feature, labels, column):
    hub["o/n"] = DatasetDict({"train": hub_data(labels, feature, column, group=["a", None, "b"], source=["x"] * 3)})
    source = open_source("o/n", CLASSES, tmp_path)
    assert source.name == "o/n"
    assert source.labels.tolist() == [1, 0, 1]
    assert source.splits.tolist() == [0, 0, 0]
    assert source.columns == {"group": ["a", None, "b"]}
    assert source.images.features == Features({"image": Image()})


def test_numbers_as_labels_need_names(hub, tmp_path):
    hub["o/n"] = DatasetDict({"train": hub_data([0, 1, 1], Value("int64"))})
    with pytest.raises(InputError, match="o/n has the labels 0, 1"):
        open_source("o/n", CLASSES, tmp_path)
    classes = class_names(DataConfig(real_names=("1",), fake_names=("0",)))
    assert open_source("o/n", classes, tmp_path).labels.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("names", "splits"),
    [(("train", "valid", "test"), [0, 1, 2]), (("test",), [2]), (("all",), [-1])],
)
def test_splits_of_the_hub(hub, tmp_path, names, splits):
    hub["o/n"] = DatasetDict({name: hub_data([0], ClassLabel(names=["real", "fake"])) for name in names})
    assert open_source("o/n", CLASSES, tmp_path).splits.tolist() == splits


def other_column(name, feature, value):
    data = hub_data([0], ClassLabel(names=["real", "fake"]))
    return data.add_column(name, [value], feature=feature)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"train": hub_data([0], ClassLabel(names=["cat", "dog"]))}, "has the labels cat, of which"),
        ({"train": hub_data(["real", None], Value("string"))}, "images without a label"),
        ({"train": hub_data([-1], ClassLabel(names=["real", "fake"]))}, "images without a label"),
        ({"train": hub_data(["real"], Value("string"), "verdict")}, "no label column; it has image, verdict"),
        ({"train": Dataset.from_dict({"label": ["real"]})}, "has 0 image columns"),
        ({name: hub_data(["real"], Value("string")) for name in ("train", "odd")}, "train, odd, of which odd"),
        (
            {"train": hub_data(["real"], Value("string")), "test": hub_data([True], Value("bool"))},
            "different columns",
        ),
    ],
)
def test_unusable_data_sets(hub, tmp_path, content, message):
    hub["o/n"] = DatasetDict(content)
    with pytest.raises(InputError, match=message):
        open_source("o/n", CLASSES, tmp_path)


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"), [0, 0, 2, 2]),
        (("Validation/a.parquet", "train/b.parquet"), [0, 0, 1, 1]),
        (("faces.parquet",), [-1, -1]),
    ],
)
def test_parquet_folders(tmp_path, files, splits):
    for file in files:
        (tmp_path / "set" / file).parent.mkdir(parents=True, exist_ok=True)
        hub_data([1, 0], ClassLabel(names=["real", "fake"]), group=["a", "b"]).to_parquet(tmp_path / "set" / file)
    source = open_source(str(tmp_path / "set"), CLASSES, tmp_path / "cache")
    assert sorted(source.splits.tolist()) == splits
    assert source.labels.tolist() == [1, 0] * len(files)
    assert source.columns == {"group": ["a", "b"] * len(files)}
    assert source.images[1]["image"].getpixel((0, 0)) == (1, 1, 1)


def test_parquet_file(tmp_path):
    hub_data([1, 0], ClassLabel(names=["real", "fake"])).to_parquet(tmp_path / "test-0.parquet")
    assert open_source(str(tmp_path / "test-0.parquet"), CLASSES, tmp_path / "cache").splits.tolist() == [2, 2]


def test_parquet_files_with_and_without_a_split(tmp_path):
    for name in ("train-0.parquet", "other.parquet"):
        hub_data([1, 0], ClassLabel(names=["real", "fake"])).to_parquet(tmp_path / name)
    with pytest.raises(InputError, match=r"other\.parquet names no split"):
        open_source(str(tmp_path), CLASSES, tmp_path / "cache")


def encoded(value, form="PNG"):
    buffer = io.BytesIO()
    image(value).save(buffer, form)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "kind", [pa.binary(), pa.large_binary(), pa.struct({"bytes": pa.binary(), "path": pa.string()})]
)
@pytest.mark.parametrize("column", ["image", "jpeg"])
def test_parquet_as_anybody_writes_it(tmp_path, kind, column):
    """Bytes as pandas and polars write them, and structs without the metadata of `datasets`."""
    rows = [encoded(0), encoded(1)]
    values = [{"bytes": row, "path": "a.png"} for row in rows] if pa.types.is_struct(kind) else rows
    table = pa.table({column: pa.array(values, kind), "label": ["fake", "real"], "group": ["a", None]})
    pq.write_table(table, tmp_path / "faces.parquet")
    source = open_source(str(tmp_path / "faces.parquet"), CLASSES, tmp_path / "cache")
    assert (source.labels.tolist(), source.splits.tolist()) == ([1, 0], [-1, -1])
    assert source.columns == {"group": ["a", None]}
    assert source.images[1]["image"].getpixel((0, 0)) == (1, 1, 1)


def test_folders_above_the_given_one_say_no_split(tmp_path):
    folder = tmp_path / "test" / "set"
    folder.mkdir(parents=True)
    hub_data([1, 0], ClassLabel(names=["real", "fake"])).to_parquet(folder / "faces.parquet")
    for text in (folder, folder / "faces.parquet"):
        assert open_source(str(text), CLASSES, tmp_path / "cache").splits.tolist() == [-1, -1]


def test_images_beside_shards_are_said_to_be_left_out(tmp_path):
    hub_data([1, 0], ClassLabel(names=["real", "fake"])).to_parquet(tmp_path / "train-0.parquet")
    image(0).save(tmp_path / "logo.png")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x.parquet").write_bytes(b"damaged")
    source = open_source(str(tmp_path), CLASSES, tmp_path / "cache")
    assert (len(source.images), dict(source.left_out)) == (2, {".png": 1})


def test_parquet_files_without_images_are_tables(tmp_path):
    folder = make_folder(tmp_path / "faces")
    pq.write_table(pa.table({"file_name": ["real/1.png"], "embedding": [b"\0\1\2"]}), folder / "embeddings.parquet")
    assert open_source(str(folder), CLASSES, tmp_path / "cache").labels.tolist() == [1, 0]


def test_what_save_to_disk_wrote(tmp_path):
    names = ClassLabel(names=["Fake", "Real"])
    parts = {"train": hub_data([0, 1], names), "test": hub_data([1], names)}
    DatasetDict(parts).save_to_disk(str(tmp_path / "both"))
    source = open_source(str(tmp_path / "both"), CLASSES, tmp_path / "cache")
    assert (source.name, source.labels.tolist(), source.splits.tolist()) == ("both", [1, 0, 0], [0, 0, 2])
    parts["train"].save_to_disk(str(tmp_path / "one"))
    source = open_source(str(tmp_path / "one"), CLASSES, tmp_path / "cache")
    assert (source.labels.tolist(), source.splits.tolist()) == ([1, 0], [-1, -1])
    assert source.images[1]["image"].getpixel((0, 0)) == (1, 1, 1)
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as file:
        for path in (tmp_path / "one").iterdir():
            file.write(path, path.name)
    assert open_source(str(tmp_path / "one.zip"), CLASSES, tmp_path / "cache").labels.tolist() == [1, 0]
    (tmp_path / "two").mkdir()
    (tmp_path / "both").rename(tmp_path / "two" / "both")
    with pytest.raises(InputError, match="what save_to_disk wrote in both; give that folder"):
        open_source(str(tmp_path / "two"), CLASSES, tmp_path / "cache")


def tar(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def test_webdataset_shards_with_classes(tmp_path):
    for split in ("train", "test"):
        tar(
            tmp_path / "set" / f"{split}-000.tar",
            {"a/1.jpg": encoded(0, "JPEG"), "a/1.cls": b"1", "a/2.jpg": encoded(255, "JPEG"), "a/2.cls": b"0\n"},
        )
    classes = class_names(DataConfig(real_names=("0",), fake_names=("1",)))
    source = open_source(str(tmp_path / "set"), classes, tmp_path / "cache")
    assert (source.labels.tolist(), sorted(source.splits.tolist()), source.columns) == ([1, 0, 1, 0], [0, 0, 2, 2], {})
    assert source.images[1]["image"].getpixel((0, 0)) == (255, 255, 255)
    with pytest.raises(InputError, match="--real_names"):
        open_source(str(tmp_path / "set"), CLASSES, tmp_path / "cache")


def test_webdataset_shards_with_json(tmp_path):
    members = {}
    for number, label in enumerate(("fake", "real")):
        members[f"{number}.PNG"] = encoded(number)
        members[f"{number}.json"] = json.dumps({"label": label, "group": f"g{number}"}).encode()
    path = tar(tmp_path / "faces.tar", members)
    source = open_source(str(path), CLASSES, tmp_path / "cache")
    assert (source.labels.tolist(), source.splits.tolist()) == ([1, 0], [-1, -1])
    assert source.columns == {"group": ["g0", "g1"]}
    assert source.images[1]["image"].getpixel((0, 0)) == (1, 1, 1)


def test_other_tars_are_to_be_unpacked(tmp_path):
    path = tar(tmp_path / "faces.tar", {"real/1.jpg": b"1", "fake/2.jpg": b"2"})
    with pytest.raises(InputError, match=r"nor a WebDataset shard.*unpack archives yourself, and give the folder"):
        open_source(str(path), CLASSES, tmp_path)
    for name in ("faces.tar.gz", "faces.rar", "faces.7z"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(InputError, match="unpack archives yourself, and give the folder"):
            open_source(str(tmp_path / name), CLASSES, tmp_path)
    (tmp_path / "videos" / "real").mkdir(parents=True)
    (tmp_path / "videos" / "real" / "1.MP4").touch()
    with pytest.raises(InputError, match=r"1 \.mp4; videos are no images, so crop the faces of their frames"):
        open_source(str(tmp_path / "videos"), CLASSES, tmp_path)


def test_what_somebody_holds(tmp_path):
    names = ClassLabel(names=["fake", "real"])
    one = hub_data([0, 1], names)
    assert hold_source(one, CLASSES).labels.tolist() == [1, 0]
    both = hold_source(DatasetDict({"train": one, "test": one}), CLASSES)
    assert (both.name, both.splits.tolist()) == ("memory", [0, 0, 2, 2])
    image(7).save(tmp_path / "a.png")
    rows = [
        {"image": tmp_path / "a.png", "label": "real", "group": "g"},
        {"image": encoded(7), "label": "fake"},
        {"image": image(7), "label": "fake"},
        {"image": np.full((32, 32, 3), 7, np.uint8), "label": "fake"},
        {"image": {"bytes": encoded(7), "path": None}, "label": "fake"},
    ]
    source = hold_source(rows, CLASSES)
    assert (source.labels.tolist(), source.splits.tolist()) == ([0, 1, 1, 1, 1], [-1] * 5)
    assert source.columns == {"group": ["g", None, None, None, None]}
    assert {row["image"].convert("RGB").getpixel((0, 0)) for row in source.images} == {(7, 7, 7)}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "list is no source of images; give a path"),
        (["a.jpg"], "list is no source"),
        ({"image": []}, "dict is no source"),
        ((one for one in ()), "generator is no source"),
        ([{"photo": "a.jpg", "label": "real"}], "the rows have no image; they have photo, label"),
        ([{"image": 3, "label": "real"}], "the rows are no table"),
        ([{"image": "a.jpg"}], "no label column"),
    ],
)
def test_what_cannot_be_held(data, message):
    with pytest.raises(InputError, match=message):
        hold_source(data, CLASSES)


def test_damaged_parquet(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match="parquet files of a cannot be read"):
        open_source(str(tmp_path / "a.parquet"), CLASSES, tmp_path / "cache")


def test_what_is_no_source(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    for text, message in (
        (str(tmp_path / "none"), "no such path"),
        ("faces.zip", r"no such path faces\.zip; give a folder"),
        (str(tmp_path / "notes.txt"), "neither a zip nor a parquet"),
        ("owner/nothing", r"no such path owner/nothing here, and .* by that name: HF_HUB_OFFLINE keeps"),
    ):
        with pytest.raises(InputError, match=message):
            open_source(text, CLASSES, tmp_path)
