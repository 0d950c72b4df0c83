"""A run's folder: its record, its state to go on from, and its best weights."""

import dataclasses
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from hf_deepfake.config import TrainConfig
from hf_deepfake.errors import InputError
from hf_deepfake.files import replacing, try_folder, write_json

LOCAL_OPTIONS = frozenset(
    {
        *("data", "calibration_data", "output_dir", "cache_dir", "resume", "overwrite", "workers", "tracker"),
        *("push_to_hub", "hub_license", "hub_private", "push_every"),
    }
)
"""Options that say where and how to run and publish, not what to train: the report leaves them out."""

FREE_TO_CHANGE = LOCAL_OPTIONS | {"compile", "data_license", "gradient_checkpointing"}
"""Options that may differ when a run is resumed: they do not change what is learnt. Data may have moved: whether they
are the same images is told by their fingerprint."""

_STATE = {"stage", "order", "position", "model", "ema", "optimizer", "scaler", "group_dro"}

_RECORD = {"id": str, "status": str, "options": dict, "test_looks": int, "epochs": list}

PACKAGES = ("hf-deepfake", "torch", "torchvision", "timm", "transformers", "datasets", "accelerate", "numpy", "pillow")


@dataclasses.dataclass
class Position:
    """Where a run stands: `step` steps of `epoch` are done. Epochs count from 0 here, from 1 in the history."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    best_epoch: int | None = None
    best_value: float | None = None
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)


class RunFolder:
    """The files of one run: `run.json`, `state.pt`, `best.safetensors` and `checkpoint/`.

    `audit/` and `maps.jpg` show images of the data, so that they stay out of `checkpoint/`, which is published.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.record_file = folder / "run.json"
        self.state_file = folder / "state.pt"
        self.best_file = folder / "best.safetensors"
        self.checkpoint = folder / "checkpoint"
        self.adapter = folder / "adapter"
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
        for folder in (self.checkpoint, self.adapter, self.folder / "trackers", self.folder / "audit"):
            shutil.rmtree(folder, ignore_errors=True)

    def save_record(self) -> None:
        """Write `run.json`."""
        write_json(self.record_file, self.record)

    def save_state(self, state: dict[str, Any]) -> None:
        """Write the state to go on from: tensors, numbers and text in nested dictionaries and lists."""
        with replacing(self.state_file) as temporary:
            try:
                with temporary.open("wb") as handle:
                    torch.save(state, handle)
            except RuntimeError as error:  # torch's own, of what the file system refused
                raise error.__context__ if isinstance(error.__context__, OSError) else OSError(str(error)) from error

    def load_state(self) -> dict[str, Any] | None:
        """Read the state, on the CPU.

        Returns:
            What `save_state` got; None where the run stopped before it saved one.

        Raises:
            InputError: the file is damaged, or gone.
        """
        if not self.state_file.is_file():
            if self.record["epochs"]:
                raise self.damaged(self.state_file, FileNotFoundError("it is gone"))
            return None
        try:
            with zipfile.ZipFile(self.state_file) as parts:
                if bad := parts.testzip():  # torch does not look at the checksums that it writes
                    raise ValueError(f"{bad} is not what was written")
            state = torch.load(self.state_file, map_location="cpu", weights_only=True)
            if missing := _STATE - state.keys():
                raise ValueError(f"it has no {min(missing)}")
        except Exception as error:  # damaged files make torch raise nearly anything
            raise self.damaged(self.state_file, error) from error
        return state

    def restore(self, target: Any, state: dict[str, Any], file: Path | None = None) -> None:
        """Fill a model or an optimiser with what was saved of it.

        Args:
            target: has `load_state_dict`.
            state: of the same kind of model or optimiser.
            file: where it is from; the state to go on from by default.

        Raises:
            InputError: it does not fit.
        """
        try:
            target.load_state_dict(state)
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise self.damaged(file or self.state_file, error) from error

    def save_best(self, weights: dict[str, Tensor]) -> None:
        """Write the weights of the best epoch so far, with their digest."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        with replacing(self.best_file) as temporary:
            # save_file would leave it readable by its owner alone
            temporary.write_bytes(save(tensors, metadata={"digest": _digest(tensors)}))

    def load_best(self) -> dict[str, Tensor]:
        """Read the weights of the best epoch.

        Returns:
            Tensors by name, on the CPU.

        Raises:
            InputError: the file is damaged, or gone.
        """
        try:
            with safe_open(self.best_file, "pt") as file:
                digest = (file.metadata() or {}).get("digest")
            tensors = load_file(self.best_file)
        except (OSError, SafetensorError) as error:
            raise self.damaged(self.best_file, error) from error
        if _digest(tensors) != digest:
            raise self.damaged(self.best_file, ValueError("it does not hold what was written"))
        return tensors

    def damaged(self, file: Path, error: Exception) -> InputError:
        """Say that a file of the run cannot be used, and what to do.

        Args:
            file: of this folder.
            error: what reading it raised.

        Returns:
            The error to raise.
        """
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        kept = (
            f" ({self.best_file} has the best epoch so far)"
            if file != self.best_file and self.best_file.is_file()
            else ""
        )
        return InputError(
            f"{file} is damaged ({reason}), so that the run cannot go on; put back a whole copy, or start anew with "
            f"--overwrite or another --output_dir{kept}"
        )

    def failed(self, position: Position, saved: bool) -> InputError:
        """Record that the loss is no number any more, and say what can be done.

        Args:
            position: where this was seen.
            saved: write the record, as the main process does.

        Returns:
            The error to raise.
        """
        self.record["status"] = "failed"
        if saved:
            self.save_record()
        kept = (
            f"the best epoch so far ({position.best_epoch}) is kept in {self.best_file}"
            if position.best_epoch is not None
            else "no epoch was finished"
        )
        return InputError(
            f"the loss is not a number any more at step {position.step} of epoch {position.epoch + 1}; {kept}, "
            "so start anew with a lower --lr or --mixed_precision no"
        )

    def _read_record(self) -> dict[str, Any]:
        """The record on disk."""
        try:
            record = json.loads(self.record_file.read_text(encoding="utf-8"))
            for name, kind in _RECORD.items():
                if not isinstance(record, dict) or not isinstance(record.get(name), kind):
                    raise ValueError(f"it has no {name}")
        except (OSError, ValueError) as error:
            raise self.damaged(self.record_file, error) from error
        return record

    def _check_options(self, config: TrainConfig) -> None:
        """Refuse to resume with options that would make it another run; the others are those of now."""
        before, now = self.record["options"], json.loads(json.dumps(dataclasses.asdict(config)))
        for name, value in now.items():
            if name not in FREE_TO_CHANGE and before.get(name) != value:
                raise InputError(
                    f"the run in {self.folder} has {name} {before.get(name)!r}, not {value!r}; "
                    "resume with the same options or choose another --output_dir"
                )
        self.record["options"] = now


def _digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and values of tensors that are contiguous and on the CPU."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


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
    """Revision of the clone that this package runs from, with + where the package has changes; None elsewhere.

    Whatever other repository the command or the package's environment lies in is nobody's business.
    """
    package = Path(__file__).resolve().parents[1]
    # Git's own variables would lead it to another repository, as in a hook.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=package, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != package.parent:
            return None
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
