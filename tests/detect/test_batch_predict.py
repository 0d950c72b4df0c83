import csv
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from clips import encode, numbered
from datasets import Dataset, Features, Value
from datasets import Image as Feature
from PIL import Image

from hf_deepfake.detect import units
from hf_deepfake.detect.batch_predict import COLUMNS, predict
from hf_deepfake.detect.detector import Detector
from hf_deepfake.detect.units import cut, find_units
from hf_deepfake.errors import InputError
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint

ROOT = Path(__file__).parents[2]


def checkpoint(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    model: Any = build_model("test_resnet", image_size=32, pretrained="off")
    return export_checkpoint(model, folder, image_size=32)


@pytest.fixture(scope="module")
def detector(tmp_path_factory) -> Detector:
    return Detector.from_pretrained(checkpoint(tmp_path_factory.mktemp("predict") / "c"), device="cpu")


@pytest.fixture
def inbox(tmp_path) -> Path:
    """Three images, one of them below a folder, a broken one and a text."""
    (tmp_path / "inbox" / "more").mkdir(parents=True)
    for number, name in enumerate(("b.png", "a.jpg", "more/c.PNG")):
        Image.new("RGB", (40, 40), (80 * number, 0, 0)).save(tmp_path / "inbox" / name, format="PNG")
    (tmp_path / "inbox" / "d.jpg").write_bytes(b"no image")
    (tmp_path / "inbox" / "notes.txt").write_text("no image either")
    return tmp_path / "inbox"


def find_images(words: list[str]) -> list[str]:
    return [file for unit in find_units(words) for file in unit.files]


@pytest.mark.parametrize("form", ["text", "json", "csv"])
def test_every_file_that_was_given_has_its_line(form, detector, tmp_path, caplog):
    (tmp_path / "broken.jpg").symlink_to("nowhere")
    (tmp_path / "clip.mp4").write_bytes(bytes(4) + b"ftypisom" + bytes(99))
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("text")
    (tmp_path / "scores.parquet").write_bytes(b"PAR1")
    os.mkfifo(tmp_path / "pipe.jpg")
    pq.write_table(pa.table({"score": [0.5]}), tmp_path / "scores.parquet")
    given = sorted(map(str, tmp_path.iterdir()))
    lines = list(predict(detector, find_units(given), form=form))[form == "csv" :]
    assert len(lines) == 6
    assert all(Path(file).name in line for file, line in zip(given, lines, strict=True))
    assert all(any(said in line for said in ("error", "check the path", "not a", "broken")) for line in lines)
    assert "clip.mp4 is truncated or broken" in "".join(lines)
    assert "videos are no images" not in caplog.text


@pytest.mark.parametrize("form", ["json", "csv"])
def test_names_that_are_not_utf8_are_escaped(form, detector, tmp_path):
    """Evaluated like any other, also after a stop and with an overlay; the error of a broken one is escaped, too."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in (b"a.png", b"caf\xe9.png", b"z.png"):
        Image.new("RGB", (40, 40)).save(folder / "new.png")
        (folder / "new.png").rename(folder / os.fsdecode(name))
    (folder / os.fsdecode(b"\xff.jpg")).touch()
    out, expected = tmp_path / "out", [f"{folder}/{name}" for name in ("a.png", "caf\\xe9.png", "z.png", "\\xff.jpg")]
    for _ in range(2):
        list(predict(detector, find_units([str(folder)]), form=form, out=out, explanations=tmp_path / "maps"))
        with out.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file)) if form == "csv" else [json.loads(line) for line in file]
        assert [row["file"] for row in rows] == expected
    assert "\\xff.jpg is not an image" in rows[3]["error"]
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["a.png.png", "caf\\xe9.png.png", "z.png.png"]


@pytest.mark.slow
def test_names_that_are_not_utf8_on_the_command_line(tmp_path):
    """As a process of its own, for its standard output is what must bear them."""
    folder = checkpoint(tmp_path / "c")
    Image.new("RGB", (40, 40)).save(tmp_path / "new.png")
    odd = (tmp_path / "new.png").rename(tmp_path / os.fsdecode(b"caf\xe9.png"))
    words = [sys.executable, "-m", "hf_deepfake.cli.main", "predict", odd, "--checkpoint", folder, "--device", "cpu"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=True)
    assert b"caf\\xe9.png" in done.stdout


def test_tars_and_saved_data_sets_are_read_as_they_are_evaluated(detector, inbox, tmp_path):
    files = [inbox / name for name in ("a.jpg", "b.png", "more/c.PNG")]
    with tarfile.open(tmp_path / "faces.tar", "w") as tar:
        for number, file in enumerate(files):
            tar.add(file, f"{number}.png")
    rows = [{"path": None, "bytes": file.read_bytes()} for file in files]
    Dataset.from_dict({"image": rows}, Features(image=Feature())).save_to_disk(str(tmp_path / "saved"))
    pq.write_table(pa.table({"jpeg": [row["bytes"] for row in rows]}), tmp_path / "raw.parquet")
    expected = [json.loads(line)["score"] for line in predict(detector, cut(map(str, files)), form="json")]
    for name in ("faces.tar", "saved", "raw.parquet"):
        units = find_units([str(tmp_path / name)])
        records = [json.loads(line) for line in predict(detector, units, form="json")]
        assert [record["score"] for record in records] == pytest.approx(expected, abs=1e-6)


def test_json_lines(detector, inbox):
    files = find_images([str(inbox)])
    records = [json.loads(line) for line in predict(detector, cut(files), form="json")]
    assert [record["file"] for record in records] == files
    assert [record["checkpoint"] for record in records] == [detector.fingerprint] * 4
    expected = detector(files[0])
    assert records[0]["label"] == expected.label
    assert records[0]["score"] == pytest.approx(expected.score, abs=1e-6)
    assert records[0]["reasons"] == []
    assert "is not an image" in records[2]["error"]


def test_csv_rows(detector, inbox):
    files = find_images([str(inbox)])
    rows = list(csv.DictReader(predict(detector, cut(files), form="csv")))
    assert tuple(rows[0]) == COLUMNS
    assert [row["file"] for row in rows] == files
    assert {rows[0]["unsure"], rows[0]["faces"]} == {"False", "0"}
    assert rows[2]["label"] == ""
    assert "is not an image" in rows[2]["error"]


def test_text_says_the_verdict_and_the_file(detector, inbox):
    files = find_images([str(inbox)])
    lines = list(predict(detector, cut(files)))
    assert lines[0] == f"{detector(files[0]).title}  {files[0]}"
    assert lines[2].startswith("error: ")


@pytest.mark.parametrize("form", ["json", "csv"])
def test_any_number_of_processes_write_the_same_file(form, detector, inbox, tmp_path, monkeypatch):
    monkeypatch.setattr(units, "UNIT_FILES", 1)
    found = find_units([str(inbox)])
    whole, shared = tmp_path / "new" / "whole", tmp_path / "shared"
    assert list(predict(detector, found, form=form, out=whole)) == []
    assert len(whole.read_text().splitlines()) == 4 + (form == "csv")
    for process in (2, 0, 1):
        assert not shared.exists()
        assert list(predict(detector, found, form=form, out=shared, process=process, processes=3)) == []
    assert shared.read_text() == whole.read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"new", "shared", "inbox"}
    list(predict(detector, found, form=form, out=shared, process=1, processes=2))
    assert shared.read_text() == whole.read_text()


def test_images_that_came_later_are_added(detector, inbox, tmp_path):
    out = tmp_path / "out"
    list(predict(detector, find_units([str(inbox)]), form="csv", out=out))
    before = out.read_text()
    Image.new("RGB", (40, 40)).save(inbox / "aa.png")
    list(predict(detector, find_units([str(inbox)]), form="csv", out=out))
    assert out.read_text().startswith(before)
    assert [row["file"] for row in csv.DictReader(out.open())][4:] == [str(inbox / "aa.png")]


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_killed_run_goes_on(form, detector, inbox, tmp_path, monkeypatch):
    found, whole, killed = find_units([str(inbox)]), tmp_path / "whole", tmp_path / "killed"
    list(predict(detector, found, form=form, out=whole))
    content = whole.read_text()
    judged = []
    stream = detector.stream

    def killed_at_the_third(images):
        for result in stream(images):
            if len(judged) == 2:
                raise KeyboardInterrupt
            judged.append(result)
            yield result

    monkeypatch.setattr(detector, "stream", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        list(predict(detector, found, form=form, out=killed))
    (started,) = (tmp_path / "killed.parts").iterdir()
    assert len(started.read_text().splitlines()) == 2
    started.write_text(started.read_text() + content[-20:-1])  # and a line that was cut off
    monkeypatch.setattr(detector, "stream", stream)
    list(predict(detector, found, form=form, out=killed))
    assert killed.read_text() == content


def test_a_name_of_two_lines_is_not_counted_twice(detector, tmp_path, monkeypatch):
    files = [str(tmp_path / name) for name in ("a\nb.png", "c.png", "d.png")]
    for number, file in enumerate(files):
        Image.new("RGB", (40, 40), (80 * number, 0, 0)).save(file)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    list(predict(detector, cut(files), form="csv", out=whole))
    with whole.open(newline="") as file:
        assert [row["file"] for row in csv.DictReader(file)] == files
    stream = detector.stream

    def killed_at_the_second(images):
        yield next(stream(images))
        raise KeyboardInterrupt

    monkeypatch.setattr(detector, "stream", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        list(predict(detector, cut(files), form="csv", out=killed))
    monkeypatch.setattr(detector, "stream", stream)
    list(predict(detector, cut(files), form="csv", out=killed))
    assert killed.read_text() == whole.read_text()


def test_several_processes_need_a_file(detector, inbox):
    with pytest.raises(InputError, match="3 processes need a place"):
        list(predict(detector, find_units([str(inbox)]), form="json", processes=3))


def test_shards_are_read_as_they_are_evaluated(detector, inbox, tmp_path):
    """Two shards of two images, one of them without a name of its own."""
    packed = tmp_path / "packed"
    packed.mkdir()
    files = [inbox / name for name in ("a.jpg", "b.png", "d.jpg", "more/c.PNG")]
    for shard in range(2):
        rows = [{"path": file.name, "bytes": file.read_bytes()} for file in files[2 * shard : 2 * shard + 2]]
        rows[0]["path"] = None if shard else rows[0]["path"]
        table = Dataset.from_dict({"image": rows, "label": [0, 1]}, Features(image=Feature(), label=Value("int8")))
        table.to_parquet(packed / f"train-{shard:05d}-of-00002.parquet")
    found = find_units([str(packed)])
    records = [json.loads(line) for line in predict(detector, found, form="json", explanations=tmp_path / "maps")]
    expected = [json.loads(line) for line in predict(detector, cut(map(str, files)), form="json")]
    assert [record["file"] for record in records] == [
        f"{packed}/all-00000/00000/a.jpg",
        f"{packed}/all-00000/00001/b.png",
        f"{packed}/all-00001/00000",
        f"{packed}/all-00001/00001/c.PNG",
    ]
    assert [record.get("score") for record in records] == [
        score and pytest.approx(score, abs=1e-6) for score in [record.get("score") for record in expected]
    ]
    assert "is not an image" in records[2]["error"]
    assert len(list((tmp_path / "maps").rglob("*.png"))) == 3
    assert [unit.name for unit in find_units([str(packed / "train-00001-of-00002.parquet")])] == [
        f"{packed}/train-00001-of-00002.parquet/all-00000"
    ]


def test_what_is_no_run_of_this_checkpoint_is_left_alone(detector, inbox, tmp_path):
    files, out = find_images([str(inbox)]), tmp_path / "out"
    list(predict(detector, cut(files), form="json", out=out))
    other = Detector.from_pretrained(checkpoint(tmp_path / "other", seed=1), device="cpu")
    before = out.read_text()
    with pytest.raises(InputError, match="verdicts of another checkpoint"):
        list(predict(other, cut(files), form="json", out=out))
    with pytest.raises(InputError, match="holds no verdicts as csv"):
        list(predict(detector, cut(files), form="csv", out=out))
    with pytest.raises(InputError, match="add --json or --csv"):
        list(predict(detector, cut(files), out=out))
    assert out.read_text() == before


def test_overlays_keep_the_folders(detector, inbox, tmp_path):
    files = find_images([str(inbox)])
    lines = list(predict(detector, cut(files), form="json", explanations=tmp_path / "maps"))
    assert len(lines) == 4
    saved = sorted(str(path.relative_to(tmp_path / "maps")) for path in (tmp_path / "maps").rglob("*.*"))
    assert saved == ["a.jpg.png", "b.png.png", "more/c.PNG.png"]
    with Image.open(tmp_path / "maps" / "a.jpg.png") as overlay:
        assert overlay.mode == "RGB"


@pytest.mark.slow
def test_launched_processes_write_what_one_writes(inbox, tmp_path):
    folder = checkpoint(tmp_path / "c")
    for number in range(1100):
        os.link(inbox / "a.jpg", inbox / f"{number:04d}.jpg")
    command = ["scripts/predict.py", inbox, "--checkpoint", folder, "--json", "--device", "cpu", "--out"]
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    plain = ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    subprocess.run([sys.executable, *command, tmp_path / "one"], check=True, cwd=ROOT)
    subprocess.run([*launcher, *plain, *command, tmp_path / "two"], check=True, cwd=ROOT)
    assert (tmp_path / "two").read_text() == (tmp_path / "one").read_text()
    assert len((tmp_path / "two").read_text().splitlines()) == 1104


@pytest.fixture
def mixed(inbox) -> Path:
    """A folder of two images, a broken one, and a clip of two seconds whose frames are all alike."""
    (inbox / "clip.mp4").write_bytes(encode([numbered(0)] * 50))
    return inbox


def test_videos_among_images_have_their_lines_in_order(mixed, detector, tmp_path):
    files = [str(mixed / name) for name in ("a.jpg", "clip.mp4", "d.jpg", "b.png")]
    lines = [json.loads(line) for line in predict(detector, find_units(files), form="json", sampling={"every": 0.5})]
    assert [line["file"] for line in lines] == files
    assert [set(line) >= {"label"} for line in lines] == [True, True, False, True]
    assert [frame["time"] for frame in lines[1]["frames"]] == [0, 0.48, 1, 1.48]
    whole = detector(numbered(0))
    assert lines[1]["fake_probability"] == pytest.approx(whole.fake_probability, abs=0.02)
    (row,) = csv.DictReader(predict(detector, find_units(files[1:2]), form="csv"))
    assert (row["faces"], row["label"], row["error"]) == ("1", whole.label, "")
    (text,) = predict(detector, find_units(files[1:2]))
    assert re.fullmatch(rf"{whole.label}, score 0\.\d\d \[.*\]  .*clip\.mp4", text)


def test_a_folder_s_videos_come_last_and_have_pages(mixed, detector, tmp_path, caplog):
    out = tmp_path / "verdicts.jsonl"
    for _ in range(2):
        list(predict(detector, find_units([str(mixed)]), form="json", out=out, explanations=tmp_path / "maps"))
    files = [Path(json.loads(line)["file"]).name for line in out.read_text().splitlines()]
    assert files == ["a.jpg", "b.png", "d.jpg", "c.PNG", "clip.mp4"]
    page = (tmp_path / "maps" / "clip.mp4.html").read_text()
    assert "<h1>clip.mp4</h1>" in page
    assert "What shines" in page
    assert ".mp4" not in caplog.text
