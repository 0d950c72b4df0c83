"""Signals at any time of a run: it stops with one message, and goes on to what an undisturbed run ends with."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict

import pytest
import torch

from hf_deepfake.config import TrainConfig
from hf_deepfake.errors import InputError
from hf_deepfake.report.report import Report
from hf_deepfake.training import finish, loop, run
from hf_deepfake.training.run import train
from hf_deepfake.training.signals import Stopped


def config(faces, folder, **changes):
    return TrainConfig(
        **{
            "data": (str(faces),), "output_dir": str(folder), "model": "test_resnet", "pretrained": "off",
            "image_size": 64, "batch_size": 16, "workers": 0, "mixed_precision": "no", "lr": 1e-3, "epochs": 1,
            "head_epochs": 1, "steps_per_epoch": 2, "explained": 2, "audit": "off",
        } | changes
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def no_figures():
    """Figures cost seconds, and tell nothing here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "render", lambda folder: None)
        yield


@pytest.fixture(scope="module")
def whole(no_figures, faces, tmp_path_factory):
    """A run that nothing disturbed."""
    return train(config(faces, tmp_path_factory.mktemp("whole") / "run"))


def interrupt(monkeypatch, module, name, call=1):
    """Send this process a signal when a function is called for the `call`th time."""
    usual, calls = getattr(module, name), []

    def interrupted(*given, **named):
        calls.append(name)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGTERM)
        return usual(*given, **named)

    monkeypatch.setattr(module, name, interrupted)


@pytest.mark.parametrize(
    ("module", "name", "call", "changes"),
    [
        (run, "write_audit", 1, {"audit": "basic"}),
        (loop, "predict_logits", 1, {}),  # validation after the last epoch of the first stage
        (finish, "predict_logits", 3, {}),  # test
        pytest.param(loop, "predict_logits", 2, {}, marks=pytest.mark.slow),
        pytest.param(finish, "predict_logits", 1, {}, marks=pytest.mark.slow),  # calibration
        pytest.param(finish, "measure_faithfulness", 1, {}, marks=pytest.mark.slow),
        (finish, "draw_sheet", 1, {}),
        pytest.param(finish, "measure", 1, {}, marks=pytest.mark.slow),
    ],
)
def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    faces, whole, tmp_path, monkeypatch, module, name, call, changes
):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        interrupt(patch, module, name, call)
        with pytest.raises(Stopped, match="stopped and saved; go on with --resume"):
            train(config(faces, folder, **changes))
    assert json.loads((folder / "run.json").read_text())["status"] == "stopped"
    resumed = train(config(faces, folder, resume=True, **changes))
    assert resumed.report.splits == whole.report.splits
    assert resumed.report.explanations == whole.report.explanations
    assert bool(resumed.report.audit) == bool(changes)
    assert resumed.report.training["test_looks"] == 1
    losses = [[entry["train_loss"] for entry in one.report.training["epochs"]] for one in (resumed, whole)]
    assert losses[0] == losses[1]
    states = [torch.load(one.folder / "state.pt", weights_only=True)["model"] for one in (resumed, whole)]
    assert all(torch.equal(states[0][tensor], states[1][tensor]) for tensor in states[1])
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_before_there_is_anything_to_save(faces, tmp_path, monkeypatch):
    interrupt(monkeypatch, run, "prepare")
    with pytest.raises(Stopped, match="start again with the same command"):
        train(config(faces, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_stage_that_was_just_done_leaves_its_optimiser_to_nobody(faces, whole, tmp_path, monkeypatch):
    """A crash between two stages: the state is that of the first one's end."""

    def crash(*_):
        raise RuntimeError("the power is gone")

    with monkeypatch.context() as patch:
        prepare, stages = loop.Loop._prepare, []

        def second(self, stage):
            stages.append(stage)
            return crash() if len(stages) == 2 else prepare(self, stage)

        patch.setattr(loop.Loop, "_prepare", second)
        with pytest.raises(RuntimeError, match="the power is gone"):
            train(config(faces, tmp_path / "run"))
    resumed = train(config(faces, tmp_path / "run", resume=True))
    assert resumed.report.splits == whole.report.splits


def test_data_that_moved_are_the_same_data(faces, whole, tmp_path, monkeypatch):
    first, second = tmp_path / "first" / "faces", tmp_path / "second" / "images"
    for place in (first, second):
        place.parent.mkdir()
    first.symlink_to(faces)
    with monkeypatch.context() as patch:
        interrupt(patch, loop, "predict_logits")
        with pytest.raises(Stopped):
            train(config(first, tmp_path / "run", sampling="paired"))
    second.mkdir()
    for name in ("real", "fake"):
        (second / name).symlink_to(faces / name)
    with pytest.raises(InputError, match=r"(groups or origins|images) (of the images )?are not those"):
        train(config(second, tmp_path / "run", sampling="paired", resume=True))
    (second / "groups.csv").write_bytes((faces / "groups.csv").read_bytes())
    done = train(config(second, tmp_path / "run", sampling="paired", resume=True))
    assert list(done.report.data["sources"]) == ["images"]
    assert done.report.training["options"].keys() == whole.report.training["options"].keys()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["options"]["data"] == [str(second)]


SIGNALLING = """\
import os, signal, sys
from hf_deepfake.cli.main import main
from hf_deepfake.report.report import Report
from hf_deepfake.training import finish, loop, run
from hf_deepfake.training.run_progress import RunProgress
module, name, call = os.environ["INTERRUPTED"].split() if os.environ.get("INTERRUPTED") else ("", "", 0)
module = {"run": run, "loop": loop, "finish": finish, "steps": RunProgress}.get(module)
calls = []
if module:
    usual = getattr(module, name)
    def interrupted(*given, **named):
        calls.append(name)
        if len(calls) == int(call) and os.environ["RANK"] == "0":
            os.killpg(os.getpgid(os.getppid()), signal.SIGTERM)
        return usual(*given, **named)
    setattr(module, name, interrupted)
sys.exit(main(["train", *sys.argv[1:]]))
"""


def launch(script, faces, folder, interrupted="", *more):
    """Run under `accelerate launch` with two processes, in a process group of their own."""
    options = asdict(config(faces, folder, workers=1, steps_per_epoch=8, batch_size=4, explained=2, audit="basic"))
    chosen = {name: value for name, value in options.items() if value != getattr(TrainConfig, name, None) and value}
    words = [word for name, value in chosen.items() for word in (f"--{name}", *(value if name == "data" else [value]))]
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    return subprocess.run(
        [*launcher, "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", str(script)]
        + [str(word) for word in words] + list(more),
        env=os.environ | {"INTERRUPTED": interrupted}, capture_output=True, text=True, check=False, timeout=400,
        start_new_session=True,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "interrupted",
    ["steps step 5", "loop predict_logits 1", "run write_audit 1", "finish predict_logits 2", "finish draw_sheet 1"],
)
def test_a_signal_to_all_of_two_processes(faces, tmp_path, interrupted):
    script = tmp_path / "signalling.py"
    script.write_text(SIGNALLING)
    whole = launch(script, faces, tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    stopped = launch(script, faces, tmp_path / "parts", interrupted)
    assert stopped.returncode != 0
    assert stopped.stderr.count("stopped and saved; go on with --resume") == 1, stopped.stderr
    assert "KeyboardInterrupt" not in stopped.stderr
    assert "DataLoader worker" not in stopped.stderr
    assert json.loads((tmp_path / "parts" / "run.json").read_text())["status"] == "stopped"
    resumed = launch(script, faces, tmp_path / "parts", "", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    states = [torch.load(tmp_path / name / "state.pt", weights_only=True)["model"] for name in ("whole", "parts")]
    assert all(torch.equal(states[0][tensor], states[1][tensor]) for tensor in states[0])
    reports = [Report.load(tmp_path / name / "checkpoint" / "report.json") for name in ("whole", "parts")]
    assert reports[0].splits == reports[1].splits
