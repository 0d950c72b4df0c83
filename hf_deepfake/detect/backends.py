"""What computes a detector's logits: torch, or an exported model on OpenVINO or ONNX Runtime."""

import contextlib
import ctypes
import os
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_deepfake.errors import InputError
from hf_deepfake.machine import submit, usable_cores
from hf_deepfake.models.checkpoint import LoadedCheckpoint
from hf_deepfake.runtimes.variants import Variant, variant_files

BackendName = Literal["auto", "torch", "openvino", "onnx"]
NAMES: tuple[BackendName, ...] = get_args(BackendName)


class Backend(Protocol):
    """Computes logits."""

    variant: Variant

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Evaluate pixels.

        Args:
            pixels: float32 (N, 3, S, S), normalised, on the backend's device.

        Returns:
            float32 (N, 2) logits; and (N, 2, h, w) maps of both as `runtimes.export` writes them, None where this
            backend has none.
        """
        ...

    def again(self) -> "Backend":
        """The same, started anew: in the child of a fork, where no thread of the parent is."""
        ...


class TorchBackend:
    """The model itself."""

    def __init__(self, model: torch.nn.Module, precision: str = "fp32") -> None:
        self.variant = Variant("torch", precision)
        self._model = model

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `Backend`."""
        reduced = self.variant.precision == "bf16"
        with torch.inference_mode(), torch.autocast(pixels.device.type, torch.bfloat16, enabled=reduced):
            return self._model(pixels).float(), None

    def again(self) -> "TorchBackend":
        """See `Backend`."""
        return TorchBackend(self._model, self.variant.precision)


class OpenVinoBackend:
    """An exported model on OpenVINO's CPU runtime, on all cores that this process may use.

    A compiled model sets a signal stack on the thread that compiles it and resets it on the one that drops it. Several
    on the main thread leave it with a stack that is gone, and the next signal, such as Ctrl-C, ends the process. Each
    therefore lives on a thread of its own from the first call to the last.
    """

    def __init__(self, file: Path, precision: str) -> None:
        import openvino

        self.variant, self._file = Variant("openvino", precision), file
        options = {
            # Left alone it would take bfloat16 wherever the CPU has it.
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "INFERENCE_NUM_THREADS": usable_cores(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._thread = ThreadPoolExecutor(1, "openvino")
        compiled = self._thread.submit(openvino.Core().compile_model, file, "CPU", options).result()
        self._requests = [compiled.create_infer_request()]
        _keep_in_children(self._requests[0])
        # Not at exit: by then no thread takes work any more, and nobody waits for the memory.
        weakref.finalize(self, _drop, self._thread, self._requests).atexit = False

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `Backend`."""
        values = submit(self._thread, self._infer, pixels.contiguous().numpy()).result()
        return torch.from_numpy(values[0]), torch.from_numpy(values[1]) if len(values) > 1 else None

    def again(self) -> "OpenVinoBackend":
        """See `Backend`."""
        return OpenVinoBackend(self._file, self.variant.precision)

    def _infer(self, pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Outputs of the model."""
        return [values.copy() for values in self._requests[0].infer([pixels], share_inputs=True).to_tuple()]


def _drop(thread: ThreadPoolExecutor, requests: list[Any]) -> None:
    """Drop a compiled model on its own thread; nothing where Python is about to end."""
    with contextlib.suppress(RuntimeError):
        thread.submit(requests.clear)


_ALIVE: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
"""What has threads of its own and would wait for them when it is destroyed."""


def _keep_in_children(native: Any) -> None:
    """Never destroy an object in a child of a fork, where its threads are not and waiting for them has no end."""
    _ALIVE[id(native)] = native


def _leak() -> None:
    """In the child of a fork: one reference to each of these objects that nobody gives back."""
    for native in list(_ALIVE.values()):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(native))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leak)


class OnnxBackend:
    """An exported model on ONNX Runtime, on all cores that this process may use."""

    def __init__(self, file: Path, precision: str) -> None:
        import onnxruntime

        self.variant, self._file = Variant("onnx", precision), file
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = usable_cores()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        _keep_in_children(self._session)

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `Backend`."""
        found: Any = self._session.run(None, {"pixels": pixels.contiguous().numpy()})
        return torch.from_numpy(found[0]), torch.from_numpy(found[1]) if len(found) > 1 else None

    def again(self) -> "OnnxBackend":
        """See `Backend`."""
        return OnnxBackend(self._file, self.variant.precision)


def open_backend(variant: Variant, loaded: LoadedCheckpoint, device: str) -> Backend:
    """Start a backend.

    Args:
        variant: which.
        loaded: the checkpoint.
        device: torch device; other runtimes compute on the CPU.

    Returns:
        The backend.

    Raises:
        InputError: the files or the runtime's package are not here nor on the Hub beside the checkpoint, or it cannot
            compute on this device.
    """
    if variant.runtime == "torch":
        return TorchBackend(loaded.model, variant.precision)
    form, files = variant.runtime, variant_files(loaded.folder, variant)
    if loaded.fetch is not None and not files[0].is_file():
        loaded.fetch([str(file.relative_to(loaded.folder)) for file in files])
    if not files[0].is_file():
        raise InputError(
            f"the checkpoint has no {variant} file; run hf-deepfake export with --format {form}"
            + (" --int8" if variant.precision == "int8" else "")
        )
    if device != "cpu":
        raise InputError(f"{variant.runtime} computes on the CPU, not on {device}; leave out the device or the backend")
    try:
        return (OpenVinoBackend if form == "openvino" else OnnxBackend)(files[0], variant.precision)
    except ImportError as error:
        raise InputError(f"{error.name} is not installed; run pip install 'hf-deepfake[{form}]'") from error
