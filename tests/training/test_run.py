"""Whole runs: what they refuse, what they leave, and what changes nothing."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tiny_runs import config, options, record, stop_at, words

from hf_deepfake.cli.main import main
from hf_deepfake.config import TrainConfig, build
from hf_deepfake.errors import InputError
from hf_deepfake.training.run import train
from hf_deepfake.training.signals import Stopped


@pytest.mark.slow
def test_a_run_leaves_record_scores_and_checkpoint(finished):
    assert {path.name for path in finished.folder.iterdir()} == {
        "run.json", "state.pt", "best.safetensors", "checkpoint", "maps.jpg",
    }  # fmt: skip
    assert {path.name for path in finished.checkpoint.iterdir()} == {
        "config.json", "model.safetensors", "report.json", "README.md", "confusion.png", "roc.png", "reliability.png",
        "scores.png", "learning_curves.png", "scores.parquet", "report.html", "seen_images.npz",
    }  # fmt: skip
    noted = record(finished.folder)
    assert noted["status"] == "finished"
    assert [entry["stage"] for entry in noted["epochs"]] == ["classifier", "main", "main"]
    assert [entry["epoch"] for entry in noted["epochs"]] == [1, 2, 3]
    assert noted["test_looks"] == 1
    assert noted["data"]["fingerprint"] == json.loads((finished.checkpoint / "config.json").read_text())[
        "hf_deepfake"]["data_fingerprint"]  # fmt: skip


@pytest.mark.slow
def test_a_run_imports_what_audits_and_adapts_where_it_is_asked_to():
    later = "peft", "transformers", "sklearn"
    code = f"import hf_deepfake.training.run, sys; print([name for name in {later} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_finished_run_is_not_repeated(finished):
    before = {path: path.stat().st_mtime_ns for path in finished.folder.rglob("*") if path.is_file()}
    again = train(build(TrainConfig, record(finished.folder)["options"], {"resume": True}))
    assert again.report == finished.report
    assert {path: path.stat().st_mtime_ns for path in finished.folder.rglob("*") if path.is_file()} == before


def test_a_stopped_command_says_how_to_go_on(faces, tmp_path, monkeypatch, capsys):
    stop_at(monkeypatch, 1, signal.SIGINT)
    assert main(["train", *words(options(faces, tmp_path / "run"))]) == 128 + signal.SIGINT
    assert "go on with --resume" in capsys.readouterr().err


@pytest.mark.slow
def test_names_and_order_of_folders_change_no_verdict(faces, tmp_path):
    scores = {}
    for number, (real, fake) in enumerate([("real", "fake"), ("Original", "AI_generated")]):
        folder = tmp_path / f"set{number}" / "faces"
        shutil.copytree(faces / "real", folder / real)
        shutil.copytree(faces / "fake", folder / fake)
        result = train(config(folder, tmp_path / f"run{number}", epochs=1))
        table = pd.read_parquet(result.checkpoint / "scores.parquet")
        names = [f"{label} {Path(file).name}" for label, file in zip(table["label"], table["file"], strict=True)]
        scores[number] = dict(zip(names, table["score"], strict=True))
    assert scores[0] == scores[1]


def test_a_tracker_gets_the_metrics(weights_only, faces, tmp_path):
    train(config(faces, tmp_path / "run", tracker="tensorboard", epochs=1))
    assert list((tmp_path / "run" / "trackers").rglob("events.out.tfevents.*"))
    written = b"".join(path.read_bytes() for path in (tmp_path / "run" / "trackers").rglob("*") if path.is_file())
    assert b"test_convnext" in written
    assert not [path for path in (faces, tmp_path) if str(path).encode() in written]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"batch_size": 300}, "batch_size 300 is more than the 96 images"),
        ({"batch_size": 6, "gradient_accumulation_steps": 2, "sampling": "paired"}, "an even number for each"),
        ({"model": "resnet5O"}, "unknown model 'resnet5O'; nearest names: "),
        ({"pretrained": "hub"}, "--pretrained FILE"),
        ({"last_blocks": 99}, "last_blocks is 99"),
    ],
)
def test_what_cannot_be_trained_is_said_before_anything_is_written(faces, tmp_path, changes, sentence):
    with pytest.raises(InputError) as caught:
        train(config(faces, tmp_path / "run", **changes))
    assert sentence in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_other_images_are_not_taken_for_the_same_run(faces, tmp_path, monkeypatch):
    images = shutil.copytree(faces, tmp_path / "faces")
    with monkeypatch.context() as patch:
        stop_at(patch, 1)
        with pytest.raises(Stopped):
            train(config(images, tmp_path / "run"))
    next(iter(sorted((images / "real").iterdir()))).unlink()
    with pytest.raises(InputError, match="the images are not those"):
        train(config(images, tmp_path / "run", resume=True))
