"""Whole runs on drawn images with models of some thousand parameters: their options, and what becomes of them."""

import json
import os
import signal
import subprocess
import sys

import torch

from hf_deepfake.config import TrainConfig, build
from hf_deepfake.training.run_progress import RunProgress

TINY = {"model": "test_convnext", "pretrained": "off", "image_size": 64, "batch_size": 16, "workers": 0}
TINY |= {"mixed_precision": "no", "lr": 1e-3, "explained": 0, "audit": "off", "epochs": 2, "steps_per_epoch": 3}


def options(faces, folder, **changes):
    """Options of a run of two epochs of three steps, without audit and maps."""
    return TINY | {"data": str(faces), "output_dir": str(folder)} | changes


def config(faces, folder, **changes):
    """The same as a configuration."""
    return build(TrainConfig, options(faces, folder, **changes))


def words(given):
    """Options as the command line takes them."""
    named = [word for name, value in given.items() if value is not True for word in (f"--{name}", str(value))]
    return named + [f"--{name}" for name, value in given.items() if value is True]


def record(folder):
    """What a run wrote down of itself."""
    return json.loads((folder / "run.json").read_text())


def state(folder):
    """What a run saved to go on from."""
    return torch.load(folder / "state.pt", weights_only=True)


def stop_at(monkeypatch, step, number=signal.SIGTERM):
    """Send this process a signal when a step of the run is done."""
    usual = RunProgress.step

    def stopping(self, epoch, done, batch_size):
        usual(self, epoch, done, batch_size)
        if done == step:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(RunProgress, "step", stopping)


def launch(script, *given, **environment):
    """Run a script under `accelerate launch` with two processes, in a process group of their own.

    Its --cpu would want mpirun; with --multi_gpu it serves CPUs too.
    """
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launcher += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    return subprocess.run(
        [*launcher, str(script), *map(str, given)],
        env=os.environ | environment, capture_output=True, text=True, check=False, timeout=400, start_new_session=True,
    )  # fmt: skip
