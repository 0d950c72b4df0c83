"""Whole runs on drawn images with models of some thousand parameters."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from scipy.special import expit, logit

from hf_deepfake.cli.main import main
from hf_deepfake.config import TrainConfig, build
from hf_deepfake.errors import InputError
from hf_deepfake.explain.error_sheets import TILE
from hf_deepfake.metrics.decision import abstention_band
from hf_deepfake.models.build import build_model
from hf_deepfake.training.run import train
from hf_deepfake.training.run_progress import RunProgress
from hf_deepfake.training.signals import Stopped

ROOT = Path(__file__).parents[2]
TINY = {"model": "test_convnext", "pretrained": "off", "image_size": 64, "batch_size": 16, "workers": 0}
TINY |= {"mixed_precision": "no", "lr": 1e-3, "explained": 0, "audit": "off"}


def options(faces, folder, **changes):
    return TINY | {"data": str(faces), "output_dir": str(folder), "epochs": 2, "steps_per_epoch": 3} | changes


def config(faces, folder, **changes):
    return build(TrainConfig, options(faces, folder, **changes))


def state(folder):
    return torch.load(folder / "state.pt", weights_only=True)


@pytest.fixture(scope="module")
def finished(faces, tmp_path_factory):
    """A run of two stages that nothing disturbed."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return train(config(faces, folder, head_epochs=1, model="test_resnet", explained=4))


def test_a_run_leaves_record_scores_and_checkpoint(finished):
    assert {path.name for path in finished.folder.iterdir()} == {
        "run.json", "state.pt", "best.safetensors", "checkpoint", "maps.jpg",
    }  # fmt: skip
    assert {path.name for path in finished.checkpoint.iterdir()} == {
        "config.json", "model.safetensors", "report.json", "README.md", "confusion.png", "roc.png", "reliability.png",
        "scores.png", "learning_curves.png", "scores.parquet", "report.html", "seen_images.npz",
    }  # fmt: skip
    record = json.loads((finished.folder / "run.json").read_text())
    assert record["status"] == "finished"
    assert [entry["stage"] for entry in record["epochs"]] == ["classifier", "main", "main"]
    assert [entry["epoch"] for entry in record["epochs"]] == [1, 2, 3]
    assert record["test_looks"] == 1
    assert record["data"]["fingerprint"] == json.loads((finished.checkpoint / "config.json").read_text())[
        "hf_deepfake"]["data_fingerprint"]  # fmt: skip


def test_the_report_tells_of_the_exported_folder(finished, faces):
    scores = pd.read_parquet(finished.checkpoint / "scores.parquet")
    test = scores[scores["split"] == "test"]
    result = finished.report.splits["test"]
    assert (result.n, result.n_fake, result.test_looks) == (len(test), int(test["label"].sum()), 1)
    from hf_deepfake.detect.detector import Detector

    verdicts = Detector.from_pretrained(finished.checkpoint)([faces / file for file in test["file"]])
    checkpoint = finished.report.checkpoint
    folded = expit(logit(test["score"]) - logit(checkpoint.operating_point))
    assert [verdict.fake_probability for verdict in verdicts] == pytest.approx(list(folded), abs=1e-5)
    right = (test["score"] >= checkpoint.operating_point) == test["label"]
    assert result.metrics["accuracy"].value == pytest.approx(right.mean())
    assert result.threshold == checkpoint.operating_point
    (explained,) = finished.report.explanations
    assert (explained.method, explained.n) == ("gradcam", 4)
    with Image.open(finished.folder / "maps.jpg") as sheet:  # twelve images, each beside its map
        assert sheet.width > 6 * TILE
        assert sheet.height > 4 * TILE


def test_the_decision_is_that_of_the_validation_scores(finished):
    scores = pd.read_parquet(finished.checkpoint / "scores.parquet")
    validation = scores[scores["split"] == "validation"]
    checkpoint = finished.report.checkpoint
    right = ((validation["score"] >= checkpoint.operating_point) == validation["label"]).mean()
    for other in validation["score"]:  # no other threshold is more accurate
        assert ((validation["score"] >= other) == validation["label"]).mean() <= right
    assert checkpoint.criterion == "accuracy"
    expected = abstention_band(validation["score"], validation["label"], checkpoint.operating_point, 0.05)
    assert checkpoint.abstention_band == pytest.approx(expected, abs=1e-5)


def test_figures_are_of_the_rounded_weights(faces, tmp_path):
    done = train(config(faces, tmp_path / "half", model="test_resnet", save_fp16=True))
    scores = pd.read_parquet(done.checkpoint / "scores.parquet")
    from hf_deepfake.detect.detector import Detector

    images = scores[scores["split"] == "validation"]
    verdicts = Detector.from_pretrained(done.checkpoint)([faces / file for file in images["file"]])
    folded = expit(logit(images["score"]) - logit(done.report.checkpoint.operating_point))
    assert [verdict.fake_probability for verdict in verdicts] == pytest.approx(list(folded), abs=1e-5)
    rounding = done.report.training["rounding"]
    assert rounding["images"] == len(images)
    assert 0 < rounding["largest"] < 0.01
    assert f"On {len(images)} validation images this moves" in (done.checkpoint / "README.md").read_text()


def test_a_finished_run_is_not_repeated(finished):
    before = {path: path.stat().st_mtime_ns for path in finished.folder.rglob("*") if path.is_file()}
    again = train(
        build(TrainConfig, json.loads((finished.folder / "run.json").read_text())["options"], {"resume": True})
    )
    assert again.report == finished.report
    assert {path: path.stat().st_mtime_ns for path in finished.folder.rglob("*") if path.is_file()} == before


def stop_at(monkeypatch, step, number=signal.SIGTERM):
    """Send this process a signal when a step of the run is done."""
    usual = RunProgress.step

    def stopping(self, epoch, done, batch_size):
        usual(self, epoch, done, batch_size)
        if done == step:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(RunProgress, "step", stopping)


@pytest.mark.parametrize(
    ("step", "changes"),
    [
        (2, {}),
        (4, {"workers": 2, "degrade": 0.5}),
        (3, {"ema": 0.9, "mixup": 0.2, "cutmix": 0.5, "model": "test_resnet"}),
        (2, {"initial_image_size": 32, "model": "test_resnet"}),
        (
            5,
            {
                "sampling": "paired",
                "gradient_accumulation_steps": 2,
                "drop_rate": 0.5,
                "optimizer": "sgd",
                "head_epochs": 1,
                "self_blend": 0.5,
            },
        ),
    ],
)
def test_a_resumed_run_ends_with_the_same_weights(faces, tmp_path, monkeypatch, step, changes):
    train(config(faces, tmp_path / "whole", **changes))
    with monkeypatch.context() as patch:
        stop_at(patch, step)
        with pytest.raises(Stopped):
            train(config(faces, tmp_path / "parts", **changes))
    assert json.loads((tmp_path / "parts" / "run.json").read_text())["status"] == "stopped"
    train(config(faces, tmp_path / "parts", resume=True, **changes))
    whole, parts = state(tmp_path / "whole"), state(tmp_path / "parts")
    for key in ("model", "ema"):
        for name in whole[key] or ():
            assert torch.equal(whole[key][name], parts[key][name]), name
    losses = [[entry["train_loss"] for entry in found["position"]["history"]] for found in (whole, parts)]
    assert losses[0] == losses[1]


def test_the_model_gets_images_that_grow(faces, tmp_path, monkeypatch):
    sides = []
    model = build_model("test_resnet", image_size=64, pretrained="off")
    model.register_forward_pre_hook(lambda model, given: sides.append(given[0].shape[-1]) if model.training else None)
    monkeypatch.setattr("hf_deepfake.training.run.build_model", lambda *_, **__: model)
    train(config(faces, tmp_path / "run", model="test_resnet", initial_image_size=32, epochs=3, steps_per_epoch=2))
    assert sides == [32, 32, 48, 48, 64, 64]


def test_a_model_of_one_size_is_refused(faces, tmp_path):
    with pytest.raises(InputError, match="vit_tiny_patch16_224 does not take images of 32 px beside 64 px"):
        train(config(faces, tmp_path / "run", model="vit_tiny_patch16_224", initial_image_size=32))


def test_a_stopped_command_says_how_to_go_on(faces, tmp_path, monkeypatch, capsys):
    stop_at(monkeypatch, 1, signal.SIGINT)
    words = [word for name, value in options(faces, tmp_path / "run").items() for word in (f"--{name}", str(value))]
    assert main(["train", *words]) == 128 + signal.SIGINT
    assert "go on with --resume" in capsys.readouterr().err


def test_accumulation_changes_memory_not_weights(faces, tmp_path):
    train(config(faces, tmp_path / "one"))
    train(config(faces, tmp_path / "four", gradient_accumulation_steps=4))
    one, four = state(tmp_path / "one")["model"], state(tmp_path / "four")["model"]
    for name in one:
        torch.testing.assert_close(one[name], four[name], atol=1e-4, rtol=1e-3)


def test_names_and_order_of_folders_change_no_verdict(faces, tmp_path):
    scores = {}
    for number, (real, fake) in enumerate([("real", "fake"), ("Original", "AI_generated")]):
        folder = tmp_path / f"set{number}" / "faces"
        shutil.copytree(faces / "real", folder / real)
        shutil.copytree(faces / "fake", folder / fake)
        result = train(config(folder, tmp_path / f"run{number}"))
        table = pd.read_parquet(result.checkpoint / "scores.parquet")
        names = [f"{label} {Path(file).name}" for label, file in zip(table["label"], table["file"], strict=True)]
        scores[number] = dict(zip(names, table["score"], strict=True))
    assert scores[0] == scores[1]


def test_patience_ends_a_run_that_gains_nothing(faces, tmp_path):
    result = train(config(faces, tmp_path / "run", epochs=9, lr=0.0, patience=2))
    assert len(result.report.training["epochs"]) == 3
    assert result.report.training["best_epoch"] == 1


def stall(monkeypatch):
    """Let every epoch measure the same."""
    from hf_deepfake.training import loop

    measured = loop.compute_metrics
    monkeypatch.setattr(loop, "compute_metrics", lambda *given: measured(*given) | {"auc": 0.5})


def test_a_stalled_stage_ends_and_the_next_has_patience_of_its_own(faces, tmp_path, monkeypatch):
    stall(monkeypatch)
    result = train(config(faces, tmp_path / "run", head_epochs=4, epochs=4, patience=2, steps_per_epoch=1))
    epochs = result.report.training["epochs"]
    assert [(entry["stage"], entry["epoch"]) for entry in epochs] == [
        *(("classifier", epoch) for epoch in (1, 2, 3)),
        *(("main", epoch) for epoch in (5, 6, 7)),
    ]


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("constant", [1, 1, 1, 1]),
        ("plateau", [1, 1, 0.5, 0.25]),
        ("cosine", [1, 0.853553, 0.5, 0.146447]),  # (1 + cos(k pi / 4)) / 2
    ],
)
def test_the_rates_of_each_schedule_where_nothing_is_gained(faces, tmp_path, monkeypatch, schedule, shares):
    stall(monkeypatch)
    changes = {"schedule": schedule, "plateau_patience": 1, "warmup_steps": 0, "steps_per_epoch": 1}
    done = train(config(faces, tmp_path / "run", head_epochs=3, head_lr=0.01, epochs=4, lr=0.002, **changes))
    rates = [entry["rate"] for entry in done.report.training["epochs"]]
    assert rates == pytest.approx([0.01] * 3 + [0.002 * share for share in shares], rel=1e-5)


def test_frozen_batchnorm_keeps_its_statistics(faces, tmp_path):
    result = train(config(faces, tmp_path / "run", model="test_resnet", freeze_batchnorm=True))
    trained = load_file(result.folder / "best.safetensors")
    fresh = build_model("test_resnet", image_size=64, pretrained="off").state_dict()
    means = [name for name in trained if name.endswith("running_mean")]
    assert means
    assert all(torch.equal(trained[name], fresh[name]) for name in means)


def test_a_tracker_gets_the_metrics(faces, tmp_path):
    train(config(faces, tmp_path / "run", tracker="tensorboard"))
    assert list((tmp_path / "run" / "trackers").rglob("events.out.tfevents.*"))
    written = b"".join(path.read_bytes() for path in (tmp_path / "run" / "trackers").rglob("*") if path.is_file())
    assert b"test_convnext" in written
    assert not [path for path in (faces, tmp_path) if str(path).encode() in written]


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_best_epoch(faces, tmp_path, monkeypatch):
    from hf_deepfake.training import loss

    usual = loss.soft_cross_entropy
    calls = []

    def failing(*arguments):
        calls.append(1)
        return usual(*arguments) * (float("nan") if len(calls) > 4 else 1)

    monkeypatch.setattr(loss, "soft_cross_entropy", failing)
    with pytest.raises(InputError, match=r"not a number any more at step 2 of epoch 2; the best epoch so far \(1\)"):
        train(config(faces, tmp_path / "run"))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"
    assert all(tensor.isfinite().all() for tensor in load_file(tmp_path / "run" / "best.safetensors").values())


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


@pytest.mark.slow
def test_a_compiled_run_learns_the_same(faces, tmp_path):
    plain = train(config(faces, tmp_path / "plain", epochs=1))
    compiled = train(config(faces, tmp_path / "compiled", epochs=1, compile=True))
    losses = [result.report.training["epochs"][0]["train_loss"] for result in (plain, compiled)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert (
        load_file(compiled.checkpoint / "model.safetensors").keys()
        == load_file(plain.checkpoint / "model.safetensors").keys()
    )


STOPPING = """\
import os, signal, sys
from hf_deepfake.cli.main import main
from hf_deepfake.training.run_progress import RunProgress
usual, step = RunProgress.step, int(os.environ.get("STOP_AT", "0"))
def stopping(self, epoch, done, batch_size):
    usual(self, epoch, done, batch_size)
    if done == step and self.shown:
        os.kill(os.getpid(), signal.SIGTERM)
RunProgress.step = stopping
sys.exit(main(["train", *sys.argv[1:]]))
"""


def launch(processes, script, faces, folder, stop=0, **changes):
    """Run a script under `accelerate launch`, whose --cpu would want mpirun; with --multi_gpu it serves CPUs too."""
    given = options(faces, folder, **changes)
    words = [word for name, value in given.items() for word in (f"--{name}", str(value)) if value is not True]
    words += [f"--{name}" for name, value in given.items() if value is True]
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(processes)]
    return subprocess.run(
        [*launcher, "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", str(script), *words],
        env=os.environ | {"STOP_AT": str(stop)}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.mark.slow
def test_two_processes_learn_and_measure_as_one(faces, tmp_path):
    one = train(config(faces, tmp_path / "one", sampling="paired"))
    done = launch(2, ROOT / "scripts" / "train.py", faces, tmp_path / "two", sampling="paired", workers=1)
    assert done.returncode == 0, done.stderr
    records = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("one", "two")]
    assert records[1]["machine"]["processes"] == 2
    for mine, theirs in zip(*(record["epochs"] for record in records), strict=True):
        assert mine["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-4)
        assert mine["log_loss"] == pytest.approx(theirs["log_loss"], rel=1e-3)
    scores = [pd.read_parquet(tmp_path / name / "checkpoint" / "scores.parquet") for name in ("one", "two")]
    assert scores[0]["file"].tolist() == scores[1]["file"].tolist()
    assert scores[0]["score"].tolist() == pytest.approx(scores[1]["score"].tolist(), abs=1e-3)
    assert one.report.splits["test"].n == len(scores[1][scores[1]["split"] == "test"])


@pytest.mark.slow
def test_two_processes_resume_to_the_same_weights(faces, tmp_path):
    script = tmp_path / "stopping.py"
    script.write_text(STOPPING)
    changes = {"model": "test_resnet", "workers": 1, "steps_per_epoch": 30, "batch_size": 2}
    whole = launch(2, script, faces, tmp_path / "whole", **changes)
    assert whole.returncode == 0, whole.stderr
    stopped = launch(2, script, faces, tmp_path / "parts", stop=12, **changes)
    assert stopped.returncode != 0
    assert state(tmp_path / "parts")["position"]["step"] in (12, 13)  # where both know of it
    resumed = launch(2, script, faces, tmp_path / "parts", resume=True, **changes)
    assert resumed.returncode == 0, resumed.stderr
    models = [state(tmp_path / name)["model"] for name in ("whole", "parts")]
    for name in models[0]:
        assert torch.equal(models[0][name], models[1][name]), name
