"""`train`, `recipes`, `data` and `pack` as commands; what they call has tests of its own."""

from dataclasses import replace
from pathlib import Path

import pytest

from hf_deepfake.cli.main import main
from hf_deepfake.cli.training import NOT_PUSHED
from hf_deepfake.recipe import read_recipe, recipe_names
from hf_deepfake.report.report import Report
from hf_deepfake.training import run
from hf_deepfake.training.signals import Stopped

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "--data", "sample"], "error: no output folder given; add --output_dir runs/NAME\n"),
        (["data", "nosuch/folder.zip"], "error: no such path"),
    ],
)
def test_errors_are_one_sentence_and_exit_with_2(words, sentence, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith(sentence)
    assert said.count("\n") == 1


def test_what_a_data_set_holds(faces, capsys):
    assert main(["data", str(faces)]) == 0
    said = capsys.readouterr().out
    assert "train" in said
    assert "real" in said


def answer(monkeypatch, result):
    """Let training give back or raise something; a list that fills with the configurations it is asked for."""
    asked = []

    def train(config):
        asked.append(config)
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(run, "train", train)
    return asked


@pytest.fixture
def result(tmp_path):
    """A run whose report is that of the bundled model."""
    report = Report.load(ROOT / "space" / "checkpoint" / "report.json")
    return run.TrainResult(tmp_path / "run", tmp_path / "run" / "checkpoint", report)


def test_what_is_given_replaces_the_recipe_s(result, monkeypatch, tmp_path, capsys):
    (tmp_path / "mine.yaml").write_text("model: resnet18\nlr: 0.25\nepochs: 3\n")
    asked = answer(monkeypatch, result)
    words = ["--recipe", str(tmp_path / "mine.yaml"), "--data", "x", "--output_dir", "y", "--epochs", "5"]
    assert main(["train", *words]) == 0
    (config,) = asked
    assert (config.model, config.lr, config.epochs, config.data) == ("resnet18", 0.25, 5, ("x",))
    said = capsys.readouterr().out
    assert said.startswith(result.report.summary())
    assert said.endswith(f"checkpoint  {result.checkpoint}\nreport      {result.checkpoint / 'report.json'}\n")


def test_where_it_was_pushed_or_why_not(result, monkeypatch, capsys):
    answer(monkeypatch, replace(result, url="https://hub/me/x"))
    assert main(["train", "--data", "x", "--output_dir", "y"]) == 0
    assert capsys.readouterr().out.endswith("pushed to   https://hub/me/x\n")
    answer(monkeypatch, replace(result, not_pushed="the Hub is away"))
    assert main(["train", "--data", "x", "--output_dir", "y"]) == NOT_PUSHED == 3
    said = capsys.readouterr()
    assert said.err == "error: the Hub is away\n"
    assert "pushed to" not in said.out


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_stopped_run_exits_as_the_signal_says_and_one_process_tells(rank, monkeypatch, capsys):
    monkeypatch.setenv("RANK", rank)
    answer(monkeypatch, Stopped(15, Path("y")))
    assert main(["train", "--data", "x", "--output_dir", "y"]) == 128 + 15
    said = capsys.readouterr().err
    assert said.count("stopped and saved; go on with --resume") == (rank == "0")


def test_recipes_are_listed_with_what_they_reported(capsys):
    assert main(["recipes"]) == 0
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if line and not line.startswith(" ")] == list(recipe_names())
    known = read_recipe("compact-cnn")
    listed = " ".join(said.split())
    assert f"compact-cnn {known.about} reported: {' '.join(known.reported.split())}" in listed
    assert max(map(len, (line for line in said.splitlines() if "reported:" in line))) <= 100


def test_packing_says_what_was_packed(faces, cache, tmp_path, capsys):
    assert main(["pack", str(faces), str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert said.endswith(f"\n\npacked  {tmp_path / 'out'}\n")
    assert "train" in said
    assert list((tmp_path / "out").rglob("*.parquet"))
