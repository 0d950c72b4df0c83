import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from hf_deepfake.cli.main import main
from hf_deepfake.detect.detector import Detector
from hf_deepfake.detect.predict import COLUMNS, find_pictures, predict
from hf_deepfake.errors import InputError
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint


def checkpoint(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    model: Any = build_model("test_resnet", image_size=32, pretrained="off")
    return export_checkpoint(model, folder, image_size=32)


@pytest.fixture(scope="module")
def detector(tmp_path_factory) -> Detector:
    return Detector.from_pretrained(checkpoint(tmp_path_factory.mktemp("predict") / "c"), device="cpu")


@pytest.fixture
def inbox(tmp_path) -> Path:
    """Three pictures, one of them below a folder, a broken one and a text."""
    (tmp_path / "inbox" / "more").mkdir(parents=True)
    for number, name in enumerate(("b.png", "a.jpg", "more/c.PNG")):
        Image.new("RGB", (40, 40), (80 * number, 0, 0)).save(tmp_path / "inbox" / name, format="PNG")
    (tmp_path / "inbox" / "d.jpg").write_bytes(b"no picture")
    (tmp_path / "inbox" / "notes.txt").write_text("no picture either")
    return tmp_path / "inbox"


def names(paths: list[str], root: Path) -> list[str]:
    return [str(Path(path).relative_to(root)) for path in paths]


def test_files_folders_and_patterns(inbox):
    assert names(find_pictures([str(inbox)]), inbox) == ["a.jpg", "b.png", "d.jpg", "more/c.PNG"]
    assert names(find_pictures([str(inbox / "*.png"), str(inbox)]), inbox)[0] == "b.png"
    assert names(find_pictures([str(inbox / "**" / "*.PNG")]), inbox) == ["more/c.PNG"]
    assert names(find_pictures([str(inbox / "notes.txt")]), inbox) == ["notes.txt"]  # a file is judged as told


@pytest.mark.parametrize("word", ["nosuch.jpg", "nosuch/*.jpg"])
def test_a_word_that_names_nothing_is_an_error(word):
    with pytest.raises(InputError, match=r"names no picture; give files, folders"):
        find_pictures([word])


def test_a_pattern_in_a_file_name_is_the_file(tmp_path):
    odd = tmp_path / "a[1].png"
    Image.new("RGB", (40, 40)).save(odd)
    assert find_pictures([str(odd)]) == [str(odd)]


def test_json_lines(detector, inbox):
    files = find_pictures([str(inbox)])
    records = [json.loads(line) for line in predict(detector, files, form="json")]
    assert [record["file"] for record in records] == files
    assert [record["checkpoint"] for record in records] == [detector.fingerprint] * 4
    expected = detector(files[0])
    assert records[0]["label"] == expected.label
    assert records[0]["score"] == pytest.approx(expected.score, abs=1e-6)
    assert records[0]["reasons"] == []
    assert "is not a picture" in records[2]["error"]


def test_csv_rows(detector, inbox):
    files = find_pictures([str(inbox)])
    rows = list(csv.DictReader(predict(detector, files, form="csv")))
    assert tuple(rows[0]) == COLUMNS
    assert [row["file"] for row in rows] == files
    assert {rows[0]["unsure"], rows[0]["faces"]} == {"False", "0"}
    assert rows[2]["label"] == ""
    assert "is not a picture" in rows[2]["error"]


def test_text_says_the_verdict_and_the_file(detector, inbox):
    files = find_pictures([str(inbox)])
    lines = list(predict(detector, files))
    assert lines[0] == f"{detector(files[0]).title}  {files[0]}"
    assert lines[2].startswith("error: ")


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_stopped_run_goes_on(form, detector, inbox, tmp_path):
    files = find_pictures([str(inbox)])
    whole, stopped = tmp_path / "new" / "whole", tmp_path / "stopped"
    assert list(predict(detector, files, form=form, out=whole)) == []
    content = whole.read_text()
    stopped.write_text(content[: content.index(files[2]) + 3])  # killed while it wrote the third line
    list(predict(detector, files, form=form, out=stopped))
    assert stopped.read_text() == content
    list(predict(detector, files, form=form, out=stopped))
    assert stopped.read_text() == content


def test_what_is_no_run_of_this_checkpoint_is_left_alone(detector, inbox, tmp_path):
    files, out = find_pictures([str(inbox)]), tmp_path / "out"
    list(predict(detector, files, form="json", out=out))
    other = Detector.from_pretrained(checkpoint(tmp_path / "other", seed=1), device="cpu")
    before = out.read_text()
    with pytest.raises(InputError, match="verdicts of another checkpoint"):
        list(predict(other, files, form="json", out=out))
    with pytest.raises(InputError, match="holds no verdicts as csv"):
        list(predict(detector, files, form="csv", out=out))
    with pytest.raises(InputError, match="add --json or --csv"):
        list(predict(detector, files, out=out))
    assert out.read_text() == before


def test_overlays_keep_the_folders(detector, inbox, tmp_path):
    files = find_pictures([str(inbox)])
    lines = list(predict(detector, files, form="json", explanations=tmp_path / "maps"))
    assert len(lines) == 4
    saved = sorted(str(path.relative_to(tmp_path / "maps")) for path in (tmp_path / "maps").rglob("*.*"))
    assert saved == ["a.jpg.png", "b.png.png", "more/c.PNG.png"]
    with Image.open(tmp_path / "maps" / "a.jpg.png") as overlay:
        assert overlay.mode == "RGB"


def test_the_command(inbox, tmp_path, capsys):
    folder = checkpoint(tmp_path / "c")
    assert main(["predict", str(inbox), "--checkpoint", str(folder), "--json", "--device", "cpu"]) == 0
    assert [set(json.loads(line)) >= {"file", "checkpoint"} for line in capsys.readouterr().out.splitlines()] == [
        True
    ] * 4
    assert main(["predict", str(inbox), "--checkpoint", str(folder), "--json", "--csv"]) == 2
    assert "not allowed with" in capsys.readouterr().err


def test_the_command_needs_a_checkpoint(inbox, monkeypatch, capsys):
    monkeypatch.delenv("HF_DEEPFAKE_CHECKPOINT", raising=False)
    assert main(["predict", str(inbox)]) == 2
    assert capsys.readouterr().err.startswith("error: no checkpoint given; add --checkpoint")
