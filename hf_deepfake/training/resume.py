"""A run's folder: its record, its state to go on from, its best weights, and stopping in an orderly way."""

import dataclasses
import json
import secrets
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any, Self

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from hf_deepfake.config import TrainConfig
from hf_deepfake.errors import InputError
from hf_deepfake.files import replacing, try_folder, write_json

LOCAL_OPTIONS = frozenset(
    {
        *("data", "output_dir", "cache_dir", "resume", "overwrite", "workers", "tracker"),
        *("push_to_hub", "hub_license", "hub_private", "push_every"),
    }
)
"""Options that say where and how to run and publish, not what to train: the report leaves them out."""

FREE_TO_CHANGE = LOCAL_OPTIONS - {"data"} | {"compile", "data_license"}
"""Options that may differ when a run is resumed: they do not change what is learnt."""

PACKAGES = ("hf-deepfake", "torch", "torchvision", "timm", "transformers", "datasets", "accelerate", "numpy", "pillow")


class Stopped(Exception):
    """A run was asked to stop by a signal and has saved its state."""

    def __init__(self, signal_number: int, folder: Path):
        super().__init__(f"stopped and saved; go on with --resume and the same options (output_dir {folder})")
        self.signal_number = signal_number


class RunFolder:
    """The files of one run: `run.json`, `state.pt`, `best.safetensors` and `checkpoint/`.

    `audit/` and `maps.jpg` show pictures of the data, so that they stay out of `checkpoint/`, which is published.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.record_file = folder / "run.json"
        self.state_file = folder / "state.pt"
        self.best_file = folder / "best.safetensors"
        self.checkpoint = folder / "checkpoint"
        self.record: dict[str, Any] = {}

    @classmethod
    def open(cls, config: TrainConfig) -> Self:
        """Start a run in a new folder, or take up the one that is there.

        Args:
            config: the run; `resume` and `overwrite` say what to do with an earlier one.

        Returns:
            The folder, with its record in memory; nothing is written or removed yet.

        Raises:
            InputError: there is a run and neither option is given, none to resume, a run of other options, or
                a folder that holds something else.
        """
        run = cls(try_folder(config.output_dir))
        there = run.record_file.is_file()
        if not there and run.folder.exists() and (not run.folder.is_dir() or any(run.folder.iterdir())):
            raise InputError(f"{run.folder} exists and is not a run of this package; choose another --output_dir")
        if config.resume:
            if not there:
                raise InputError(f"there is no run to resume in {run.folder}; leave out --resume to start one")
            run.record = run._read_record()
            run._check_options(config)
        elif there and not config.overwrite:
            raise InputError(
                f"{run.folder} holds another run; give --resume to go on with it or --overwrite to drop it"
            )
        else:
            run.record = _new_record(config)
        return run

    def clear(self) -> None:
        """Make the folder and remove what an earlier run left in it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for item in (self.state_file, self.best_file, self.record_file, self.folder / "maps.jpg"):
            item.unlink(missing_ok=True)
        for folder in (self.checkpoint, self.folder / "trackers", self.folder / "audit"):
            shutil.rmtree(folder, ignore_errors=True)

    def save_record(self) -> None:
        """Write `run.json`."""
        write_json(self.record_file, self.record)

    def save_state(self, state: dict[str, Any]) -> None:
        """Write the state to go on from: tensors, numbers and text in nested dictionaries and lists."""
        with replacing(self.state_file) as temporary:
            try:
                torch.save(state, temporary)
            except RuntimeError as error:  # what torch makes of a full disk
                raise OSError(str(error)) from error

    def load_state(self) -> dict[str, Any] | None:
        """Read the state, on the CPU; None where the run stopped before it saved one."""
        if not self.state_file.is_file():
            return None
        return torch.load(self.state_file, map_location="cpu", weights_only=True)

    def save_best(self, weights: dict[str, Tensor]) -> None:
        """Write the weights of the best epoch so far."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        with replacing(self.best_file) as temporary:
            temporary.write_bytes(save(tensors))  # save_file would leave it readable by its owner alone

    def load_best(self) -> dict[str, Tensor]:
        """Read the weights of the best epoch."""
        return load_file(self.best_file)

    def _read_record(self) -> dict[str, Any]:
        """The record on disk."""
        try:
            return json.loads(self.record_file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{self.record_file} is damaged; start anew with --overwrite") from error

    def _check_options(self, config: TrainConfig) -> None:
        """Refuse to resume with options that would make it another run."""
        before = self.record["options"]
        for name, value in json.loads(json.dumps(dataclasses.asdict(config))).items():
            if name not in FREE_TO_CHANGE and before.get(name) != value:
                raise InputError(
                    f"the run in {self.folder} has {name} {before.get(name)!r}, not {value!r}; "
                    "resume with the same options or choose another --output_dir"
                )


class StopSignals:
    """While entered, SIGTERM and SIGINT only set `received`; the run stops at its next step's end."""

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        """Remember the signal; a second one interrupts at once."""
        if self.received:
            raise KeyboardInterrupt
        self.received = number


def _new_record(config: TrainConfig) -> dict[str, Any]:
    """What is known of a run before it starts."""
    now = datetime.now(UTC)
    return {
        "id": f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        "status": "running",
        "started": now.isoformat(timespec="seconds"),
        "options": json.loads(json.dumps(dataclasses.asdict(config))),
        "versions": {"python": sys.version.split()[0]} | {name: metadata.version(name) for name in PACKAGES},
        "git_revision": _git_revision(),
        "test_looks": 0,
        "epochs": [],
    }


def _git_revision() -> str | None:
    """Revision of the checkout the command runs in, with + where it has changes; None outside one."""
    try:
        revision = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return revision.stdout.strip() + ("+" if changes.stdout.strip() else "")
