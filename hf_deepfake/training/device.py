"""The Accelerator: where a run computes, in which precision, with how many threads."""

import os
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, ProjectConfiguration

from hf_deepfake.config import TrainConfig
from hf_deepfake.errors import InputError
from hf_deepfake.machine import WAIT, best_device, best_precision, cpu_flags, share_cores


def make_accelerator(config: TrainConfig) -> Accelerator:
    """The Accelerator for a run; under `accelerate launch` its device, processes and precision are the launcher's.

    Args:
        config: the run; `mixed_precision` and `tracker` are used.

    Returns:
        An Accelerator whose trackers, if any, write to `output_dir/trackers`.

    Raises:
        InputError: the precision cannot be had on this device, or the tracker is not installed.
    """
    wanted = config.mixed_precision
    launched = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    on_cpu = os.environ.get("ACCELERATE_USE_CPU", "false").lower() == "true"
    device = "cpu" if on_cpu else best_device().type
    if wanted == "auto":
        wanted = launched if launched != "no" else best_precision(device, cpu_flags())
    if wanted == "fp16" and device != "cuda":
        raise InputError("fp16 needs a GPU of CUDA and this run has none; use --mixed_precision auto or no")
    if config.tracker == "trackio":
        _need_package("trackio")
    if config.tracker == "tensorboard":
        _need_package("tensorboard")
    accelerator = Accelerator(
        mixed_precision=wanted,
        cpu=device == "cpu",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=WAIT)],
        log_with=None if config.tracker == "none" else config.tracker,
        project_config=ProjectConfiguration(logging_dir=str(Path(config.output_dir) / "trackers")),
    )
    if accelerator.device.type == "cpu":
        share_cores(accelerator.num_processes)
    return accelerator


def _need_package(name: str) -> None:
    """Fail with a sentence when an optional package is missing."""
    import importlib.util

    if importlib.util.find_spec(name) is None:
        raise InputError(f'tracker {name} is not installed; run pip install "hf-deepfake[track]"')
