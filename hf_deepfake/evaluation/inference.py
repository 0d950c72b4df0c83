"""Values of all images of a split: each image once, whatever the number of processes."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn

from hf_deepfake.data.batch import Batch, DecodedImages, Normalise, OpenedImages, make_loader
from hf_deepfake.errors import Interrupted
from hf_deepfake.progress import Progress

BATCH_SIZE = 64
"""Images per forward pass: large enough for any device, small enough for a laptop's memory."""


def predict_logits(
    model: nn.Module,
    dataset: Dataset,
    data_config: dict[str, Any],
    workers: int,
    precision: str = "no",
    change: Callable[[PIL.Image.Image, int], PIL.Image.Image] | None = None,
    title: str = "",
    asked_to_stop: Callable[[], int | bool] = bool,
) -> NDArray[np.float64]:
    """Logits of every image, computed by all processes together.

    Buffers (BatchNorm statistics) are first taken from the main process: others may have seen other batches.

    Args:
        model: a model with logits (real, fake), on its device; left in eval mode.
        dataset: a split with columns image and label.
        data_config: timm's preprocessing, as of `models.build.data_config`.
        workers: decoding processes for each process.
        precision: "bf16" or "fp16" for autocast, "no" for float32.
        change: what to do to each image first; see `data.batch.DecodedImages`.
        title: what progress is called; none is shown without.
        asked_to_stop: looked at after each batch; where it is true in any process, all stop together.

    Returns:
        float64 (N, 2), in the split's order, the same on every process.

    Raises:
        ImageError: an image cannot be opened.
        Interrupted: some process was asked to stop.
    """
    state = PartialState()
    device = next(model.parameters()).device
    if state.num_processes > 1:
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, src=0)
    decoded = DecodedImages(dataset, data_config, change=change)
    normalise = Normalise(data_config, device)
    model.eval()

    def compute(batch: Batch) -> NDArray:
        """Logits of a batch."""
        # Around the model alone: workers inherit what is in force when they start, and would degrade in bfloat16.
        with autocast(device, precision):
            logits = model(normalise(batch.images.to(device, non_blocking=True)))
        return logits.float().cpu().numpy()

    return by_all_processes(
        compute, decoded, workers, BATCH_SIZE, (2,), title, device.type == "cuda", asked_to_stop=asked_to_stop
    )


def by_all_processes(
    compute: Callable[[Any], NDArray],
    images: DecodedImages | OpenedImages,
    workers: int,
    batch_size: int,
    shape: tuple[int, ...],
    title: str = "",
    pin_memory: bool = False,
    asked_to_stop: Callable[[], int | bool] = bool,
) -> NDArray[np.float64]:
    """Values of every image, each computed once by one of the processes.

    Args:
        compute: values (B, *shape) of a batch of B images.
        images: N images, of which `batch_size` at most make a batch.
        workers: decoding processes for each process.
        batch_size: B at most.
        shape: of the values of one image.
        title: what progress is called; none is shown without.
        pin_memory: keep batches in page-locked memory, for a GPU.
        asked_to_stop: looked at after each batch; where it is true in any process, all stop together.

    Returns:
        float64 (N, *shape), in the order of the images, the same on every process.

    Raises:
        ImageError: an image cannot be opened.
        Interrupted: some process was asked to stop.
    """
    state = PartialState()
    mine = range(state.process_index, len(images), state.num_processes)
    batches = [list(mine[start : start + batch_size]) for start in range(0, len(mine), batch_size)]
    loader = make_loader(images, batches, workers, pin_memory=pin_memory)
    positions, rows = [], []
    progress = Progress(
        title,
        len(mine),
        "images" if state.num_processes == 1 else "images of this process",
        shown=bool(title) and state.is_main_process,
    )
    with torch.inference_mode(), progress:
        for batch in loader:
            rows.append(compute(batch))
            positions.append(batch.positions.numpy())
            progress.update(len(batch.positions))
            if asked_to_stop():
                break
    if any(gather_object([bool(asked_to_stop())])):
        raise Interrupted
    found = np.empty((len(images), *shape))
    for where, values in gather_object(list(zip(positions, rows, strict=True))):
        found[where] = values
    return found


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Compute in a reduced precision, or in float32.

    Args:
        device: of the model.
        precision: "bf16", "fp16", or "no" for float32.

    Returns:
        A context to run the model in.
    """
    if precision == "no":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)
