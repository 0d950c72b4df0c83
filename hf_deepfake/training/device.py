"""The Accelerator: where a run computes, in which precision, with how many threads."""

import os
import re
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import ProjectConfiguration

from hf_deepfake.config import TrainConfig
from hf_deepfake.data.batch import share_cores
from hf_deepfake.errors import InputError

BF16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})
"""CPU flags with which bf16 trains faster than fp32; without either it is several times slower."""


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
    on_gpu = torch.cuda.is_available() and os.environ.get("ACCELERATE_USE_CPU", "false").lower() != "true"
    if wanted == "auto":
        wanted = launched if launched != "no" else best_precision(on_gpu, cpu_flags())
    if wanted == "fp16" and not on_gpu:
        raise InputError("fp16 needs a GPU and this run has none; use --mixed_precision auto or no")
    if config.tracker == "trackio":
        _need_package("trackio")
    if config.tracker == "tensorboard":
        _need_package("tensorboard")
    accelerator = Accelerator(
        mixed_precision=wanted,
        cpu=not on_gpu,
        log_with=None if config.tracker == "none" else config.tracker,
        project_config=ProjectConfiguration(logging_dir=str(Path(config.output_dir) / "trackers")),
    )
    if accelerator.device.type == "cpu":
        share_cores(accelerator.num_processes)
    return accelerator


def best_precision(on_gpu: bool, flags: frozenset[str]) -> str:
    """The fastest of "bf16" and "no" that is safe without loss scaling.

    Args:
        on_gpu: whether a CUDA GPU computes.
        flags: flags of the CPU, used when it does not.

    Returns:
        "bf16" or "no".
    """
    if on_gpu:
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "no"
    return "bf16" if flags & BF16_FLAGS else "no"


def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Instruction-set flags of the CPU as Linux names them; empty elsewhere."""
    return frozenset(_cpu_field("flags", path).split())


def cpu_name(path: Path = Path("/proc/cpuinfo")) -> str:
    """Model of the CPU as Linux names it; "unknown CPU" elsewhere."""
    return _cpu_field("model name", path) or "unknown CPU"


def _cpu_field(name: str, path: Path) -> str:
    """The first value of a field of /proc/cpuinfo, or nothing."""
    try:
        found = re.search(rf"^{name}\s*:\s*(.*)$", path.read_text(), re.MULTILINE)
    except OSError:
        return ""
    return found.group(1) if found else ""


def _need_package(name: str) -> None:
    """Fail with a sentence when an optional package is missing."""
    import importlib.util

    if importlib.util.find_spec(name) is None:
        raise InputError(f'tracker {name} is not installed; run pip install "hf-deepfake[track]"')
