"""Tables as text, in all the formats that people write."""

import json

import pytest
from datasets import Dataset, Features, Image, Value
from PIL import Image as PILImage

from hf_deepfake.data.tables import holds_images, is_table, read_table
from hf_deepfake.errors import InputError

ROWS = {"file": ["1.png", "2.png"], "label": ["real", "fake"]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "file,label\n1.png,real\n2.png,fake\n"),
        ("a.csv", "\ufefffile;label\r\n1.png;real\r\n\r\n2.png;fake"),
        ("a.tsv", "file\tlabel\n1.png\treal\n2.png\tfake\n"),
        ("a.csv", '"file","label"\n" 1.png","real"\n"2.png"," fake"\n'),
        ("a.csv", "1.png,real\n2.png,fake\n"),
        ("a.jsonl", '{"file": "1.png", "label": "real"}\n\n{"file": "2.png", "label": "fake"}\n'),
        ("a.json", json.dumps([{"file": "1.png", "label": "real"}, {"file": "2.png", "label": "fake"}])),
        ("a.json", json.dumps({"data": [{"file": "1.png", "label": "real"}, {"file": "2.png", "label": "fake"}]})),
        ("a.json", json.dumps({"1.png": {"label": "real"}, "2.png": {"label": "fake"}})),
        ("a.json", json.dumps({"1.png": "real", "2.png": "fake"})),
        ("a.json", json.dumps({"real": ["1.png"], "fake": ["2.png"]})),
    ],
)
def test_formats(tmp_path, name, content):
    (tmp_path / name).write_bytes(content.encode())
    table = read_table(tmp_path, name)
    assert (table.path, table.columns) == (name, ROWS)


def test_a_line_without_names_needs_two_columns(tmp_path):
    (tmp_path / "a.csv").write_text("1.png,real,x\n2.png,fake,y\n")
    assert list(read_table(tmp_path, "a.csv").columns) == ["1.png", "real", "x"]


def test_the_list_of_test_videos(tmp_path):
    (tmp_path / "List_of_testing_videos.txt").write_text(
        "1 YouTube-real/00170.mp4\n0 Celeb-synthesis/id0_id1_0000.mp4\n"
    )
    assert read_table(tmp_path, "List_of_testing_videos.txt").columns == {
        "file": ["YouTube-real/00170.mp4", "Celeb-synthesis/id0_id1_0000.mp4"],
        "split": ["test", "test"],
    }


def test_missing_cells_are_empty(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"file": "1.png", "n": 1, "x": null}\n{"file": "2.png", "box": [1], "ok": true}\n'
    )
    assert read_table(tmp_path, "a.jsonl").columns == {
        "file": ["1.png", "2.png"], "n": ["1", ""], "x": ["", ""], "box": ["", ""], "ok": ["", "True"]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b"\xff\xff"),
        ("a.csv", b"a,b\n1,2,3\n"),
        ("a.json", b"{"),
        ("a.json", b"[]"),
        ("a.json", b'{"seed": [1, 2]}'),
        ("a.jsonl", b"1\n2\n"),
        ("a.parquet", b"PAR1 and then nothing"),
    ],
)
def test_what_is_no_table(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name} is not a readable .* file \(.*\); mend it"):
        read_table(tmp_path, name)


def test_names_of_tables():
    assert all(map(is_table, ("a.CSV", "metadata.jsonl", "x.parquet", "List_of_testing_videos.txt")))
    assert not any(map(is_table, ("a.txt", "csv", "1.png")))


def test_columns_that_may_name_images(tmp_path):
    (tmp_path / "a.csv").write_text("id,original_path,path,face,n,label\na,/x/1.jpg,1.jpg,f.png,3,real\n")
    assert read_table(tmp_path, "a.csv").path_columns() == ["path", "id", "original_path", "face"]


def test_parquet_with_and_without_images(tmp_path):
    Dataset.from_dict({"file_name": ["a.png"], "score": [0.5]}).to_parquet(tmp_path / "table.parquet")
    drawn = Dataset.from_dict({"image": [PILImage.new("RGB", (32, 32))]}, features=Features({"image": Image()}))
    drawn.to_parquet(tmp_path / "images.parquet")
    encoded = Dataset.from_dict({"content": [b"\x89PNG"]}, features=Features({"content": Value("binary")}))
    encoded.to_parquet(tmp_path / "bytes.parquet")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1")
    found = {path.stem: holds_images(path) for path in tmp_path.iterdir()}
    assert found == {"table": False, "images": True, "bytes": True, "damaged": True}
