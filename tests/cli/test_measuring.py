import json
import shutil

import pytest
import torch

from hf_deepfake.cli.main import main
from hf_deepfake.images.degrade import conditions
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint
from hf_deepfake.report.report import Report


@pytest.fixture
def checkpoint(tmp_path):
    """An untrained model."""
    torch.manual_seed(0)
    return export_checkpoint(
        build_model("test_resnet", image_size=64, pretrained="off"), tmp_path / "model", image_size=64
    )


def run(*words):
    return main([str(word) for word in words])


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.slow
def test_from_recalibration_to_card_and_back(checkpoint, faces, tmp_path, capsys):
    new, out = tmp_path / "new", tmp_path / "out"
    assert run("recalibrate", checkpoint, faces, "--split", "all", "--criterion", "recall>=.9", "--out", new) == 0
    assert "Recall of fake" in capsys.readouterr().out
    assert load_checkpoint(new).criterion == "recall>=.9"
    figures = {"confusion.png", "roc.png", "reliability.png", "scores.png"}
    written = figures | {"report.json", "report.html", "scores.parquet"}
    assert written | {"config.json", "model.safetensors", "README.md"} <= names(new)

    assert run("evaluate", new, "sample", "--foreign", "--out", out, "--into_card") == 0
    assert "mean of 1" in capsys.readouterr().out
    assert written <= names(out)
    assert "README.md" not in names(out)
    report = Report.load(new / "report.json")
    found = Report.load(out / "report.json")
    assert list(report.foreign.origins) == ["sample"]
    assert report.foreign.origins["sample"].metrics == found.splits["all"].metrics
    assert (report.foreign.mean, report.roles) == (found.foreign.mean, {"calibration": ["images"]})
    assert "Sources it never saw" in (out / "report.html").read_text()
    for folder in (new, out):
        assert "risk_coverage.png" in names(folder)
    assert run("evaluate", new, faces, "--foreign") == 2
    assert "images has the role calibration for" in capsys.readouterr().err

    for folder in (new, out):
        before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        for name in figures:
            (folder / name).unlink()
        assert run("report", folder) == 0
        assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


@pytest.mark.slow
def test_robustness_is_measured(checkpoint, faces, tmp_path, capsys):
    new, out = tmp_path / "new", tmp_path / "out"
    assert run("recalibrate", checkpoint, faces, "--out", new) == 0
    assert run("evaluate", new, faces, "--robustness", "mild", "--out", out) == 0
    report = Report.load(out / "report.json")
    assert [(one.family, one.severity) for one in report.robustness] == [("clean", 0), *conditions("mild")]
    assert len(report.robustness) == 16
    assert "Degraded images" in (out / "report.html").read_text()
    assert (out / "robustness.png").is_file()


@pytest.mark.slow
def test_compare_two_folders(checkpoint, faces, tmp_path, capsys):
    other = tmp_path / "other"
    assert run("recalibrate", checkpoint, faces, "--split", "all", "--out", other) == 0
    for folder, name in ((checkpoint, "a"), (other, "b")):
        assert run("evaluate", folder, faces, "--split", "all", "--out", tmp_path / name) == 0
    capsys.readouterr()
    assert run("compare", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "found") == 0
    printed = capsys.readouterr().out
    # The same ranking, so that there is no difference in AUC.
    assert "no difference shown" in next(line for line in printed.splitlines() if "AUC" in line and "0.000" in line)
    assert json.loads((tmp_path / "found" / "comparison.json").read_text())["differences"][0]["metric"] == "auc"
    assert (tmp_path / "found" / "comparison.png").is_file()
    assert run("compare", tmp_path / "a", tmp_path / "b", "--against", "c") == 2
    assert "no detector here is called c; name one of a, b" in capsys.readouterr().err
    assert run("evaluate", other, faces, "--out", tmp_path / "few") == 0
    assert run("compare", tmp_path / "a", tmp_path / "few") == 2
    assert "evaluate both on the same data" in capsys.readouterr().err


def test_without_out_nothing_is_written(checkpoint, faces, capsys):
    before = names(checkpoint)
    assert run("evaluate", checkpoint, faces) == 0
    assert "test" in capsys.readouterr().out
    assert names(checkpoint) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "owner/name", "{faces}", "--into_card"], "is no folder here"),
        (["evaluate", "{checkpoint}", "{faces}", "--into_card"], "cannot read"),
        (["recalibrate", "{checkpoint}", "{faces}", "--criterion", "best", "--out", "x"], "unknown criterion 'best'"),
        (["recalibrate", "{checkpoint}", "{faces}"], "required: --out"),
        (["report", "{faces}"], "cannot read"),
        (["report", "{checkpoint}", "--notes", "{faces}/none.md"], "cannot be read"),
    ],
)
def test_errors_are_one_sentence(checkpoint, faces, capsys, words, message):
    assert run(*(word.format(checkpoint=checkpoint, faces=faces) for word in words)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_notes_stand_in_the_card(checkpoint, faces, tmp_path):
    out = tmp_path / "evaluation"
    assert run("evaluate", checkpoint, faces, "--out", out) == 0
    for name in ("report.json", "scores.parquet"):
        shutil.copy(out / name, checkpoint / name)
    (tmp_path / "notes.md").write_text("### What it cost\n\nTwo hours.\n")
    assert run("report", checkpoint, "--notes", tmp_path / "notes.md") == 0
    assert run("report", checkpoint) == 0  # which leaves the notes as they are
    assert Report.load(checkpoint / "report.json").notes == "### What it cost\n\nTwo hours."
    card = (checkpoint / "README.md").read_text()
    assert "\n## Notes\n\n### What it cost\n\nTwo hours.\n\n## Limits\n" in card
    (tmp_path / "notes.md").write_text("")
    assert run("report", checkpoint, "--notes", tmp_path / "notes.md") == 0
    assert "## Notes" not in (checkpoint / "README.md").read_text()


def test_a_damaged_report(checkpoint, tmp_path, capsys):
    (tmp_path / "report.json").write_text(json.dumps({"format_version": 1}))
    assert run("report", tmp_path) == 2
    assert "is not a whole report" in capsys.readouterr().err


@pytest.mark.slow
def test_errors_are_grouped_and_shown(checkpoint, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("evaluate", checkpoint, "sample", "--errors") == 2
    assert "add --out" in capsys.readouterr().err
    assert run("evaluate", checkpoint, "sample", "--errors", "--out", out) == 0
    assert "sheet   " in capsys.readouterr().out
    assert Report.load(out / "report.json").errors
    assert "Where it errs" in (out / "report.html").read_text(encoding="utf-8")
    assert {"errors_false_alarms.jpg", "errors_misses.jpg"} & names(out)
