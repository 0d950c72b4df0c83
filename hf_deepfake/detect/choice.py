"""Which runtime a detector computes on: the fastest here of those that are known to agree with torch."""

import contextlib
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from hf_deepfake.detect.backends import (
    NAMES,
    Backend,
    BackendName,
    OpenVinoBackend,
    TorchBackend,
    open_backend,
)
from hf_deepfake.detect.converted import FOLDER as CONVERTED
from hf_deepfake.detect.converted import convert
from hf_deepfake.errors import InputError
from hf_deepfake.files import cache_path, make_folder, write_json
from hf_deepfake.machine import BF16_FLAGS, cpu_flags, cpu_name, usable_cores
from hf_deepfake.models.checkpoint import LoadedCheckpoint
from hf_deepfake.runtimes.export import FOLDER
from hf_deepfake.runtimes.variants import PLAIN, Variant, agreeing

CHOICES = "choices.json"
"""In the cache: what was fastest, by model, machine and candidates."""

MEASURED = 0.5
"""Seconds in which all candidates together are measured, after each one's first call."""

_BATCH = 4


def choose(name: BackendName | Variant, loaded: LoadedCheckpoint, device: str) -> Backend:
    """Start the fastest backend that is known to agree with torch in float32.

    Candidates are what was exported beside the checkpoint, here or on the Hub, and found to agree
    (`detect.agreement`); without any, what `detect.converted` makes of it; and torch. They are measured once on each
    machine, and the choice is kept in the cache. bfloat16 is left out where this CPU does not compute in it.

    Args:
        name: a runtime, or "auto" for any; or a variant, to take it whether or not it agrees.
        loaded: the checkpoint.
        device: torch device.

    Returns:
        The backend. For "auto" that is torch in float32 where nothing else agrees, is installed and is faster, and on
        other devices than the CPU.

    Raises:
        InputError: the name is unknown, or a runtime was asked for that is not here or does not agree.
    """
    if isinstance(name, Variant):
        return open_backend(name, loaded, device)
    if name not in NAMES:
        raise InputError(f"there is no backend {name!r}; use one of {', '.join(NAMES)}")
    if name == "torch" or (name == "auto" and device != "cpu"):
        return TorchBackend(loaded.model)
    # Beside weights that have changed, the exported files hold the old ones.
    exported = [one for one in _exported(loaded) if name in {"auto", one.runtime}] if loaded.trusted else []
    if name != "auto" and exported:
        return open_backend(exported[0], loaded, device)
    if name == "auto":
        return _fastest(exported, loaded)
    raise InputError(
        f"the checkpoint has nothing for {name} that is known to agree with torch; "
        f"run hf-deepfake export {loaded.folder} --format {name} --data SOURCE"
    )


def speeds(backends: Sequence[Backend], side: int) -> list[float]:
    """Measure how many images each backend evaluates in a second, in turn, for `MEASURED` seconds in all.

    Args:
        backends: at least one.
        side: of the input, px.

    Returns:
        Images a second, of each one's fastest batch.
    """
    pixels = torch.zeros(_BATCH, 3, side, side)
    best = [float("inf")] * len(backends)
    for backend in backends:
        backend(pixels)  # the first call also compiles
    end = time.perf_counter() + MEASURED
    while time.perf_counter() < end or float("inf") in best:
        for number, backend in enumerate(backends):
            began = time.perf_counter()
            backend(pixels)
            best[number] = min(best[number], time.perf_counter() - began)
    return [_BATCH / seconds for seconds in best]


def _exported(loaded: LoadedCheckpoint) -> list[Variant]:
    """Variants that agree and that this CPU computes in; of a local checkpoint, none where nothing was exported."""
    if loaded.fetch is None and not (loaded.folder / FOLDER).is_dir():
        return []
    bf16 = bool(cpu_flags() & BF16_FLAGS)
    return [one for one in agreeing(loaded.folder) if bf16 or one.precision != "bf16"]


def _fastest(exported: Sequence[Variant], loaded: LoadedCheckpoint) -> Backend:
    """The fastest of what is there; measured, or known from before. torch's model is only built where it is needed."""
    file = None if exported else convert(loaded)
    candidates = [str(one) for one in exported] or ([f"converted {file}"] if file else [])
    if not candidates:
        return TorchBackend(loaded.model)
    kept, key = cache_path() / CONVERTED / CHOICES, _key(loaded, candidates)
    known = _read(kept).get(key)
    if known == str(PLAIN):
        return TorchBackend(loaded.model)
    backends: list[Backend] = []
    wanted = [one for one in exported if known in (None, str(one))]
    for variant in wanted:
        with contextlib.suppress(InputError):  # not pushed, or its runtime is not installed
            backends.append(open_backend(variant, loaded, "cpu"))
    if file:
        backends.append(OpenVinoBackend(file, "fp32"))
    if known is not None and backends:
        return backends[0]
    backends.append(TorchBackend(loaded.model))
    if len(backends) == 1:
        return backends[0]
    measured = speeds(backends, loaded.config["pretrained_cfg"]["input_size"][-1])
    chosen = backends[measured.index(max(measured))]
    with contextlib.suppress(InputError, OSError):  # a cache that cannot be written costs half a second each time
        make_folder(kept.parent)
        write_json(kept, {**_read(kept), key: str(chosen.variant)})
    return chosen


def _key(loaded: LoadedCheckpoint, candidates: Sequence[str]) -> str:
    """What a choice depends on, in a few letters."""
    parts = [loaded.digest, cpu_name(), usable_cores(), torch.__version__, *candidates]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def _read(file: Path) -> dict[str, str]:
    """Choices made before; none where the file is missing or damaged."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
