"""Logits of a split: each image once, whatever the number of processes."""

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

from hf_deepfake.data.batch import DecodedImages, Normalise, make_loader
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
    mine = range(state.process_index, len(dataset), state.num_processes)
    batches = [list(mine[start : start + BATCH_SIZE]) for start in range(0, len(mine), BATCH_SIZE)]
    loader = make_loader(
        DecodedImages(dataset, data_config, change=change), batches, workers, pin_memory=device.type == "cuda"
    )
    normalise = Normalise(data_config, device)
    model.eval()
    positions, rows = [], []
    progress = Progress(
        title,
        len(mine),
        "images" if state.num_processes == 1 else "images of this process",
        shown=bool(title) and state.is_main_process,
    )
    with torch.inference_mode(), progress:
        for batch in loader:
            # Around the model alone: workers inherit what is in force when they start, and would degrade in bfloat16.
            with autocast(device, precision):
                logits = model(normalise(batch.images.to(device, non_blocking=True)))
            rows.append(logits.float().cpu().numpy())
            positions.append(batch.positions.numpy())
            progress.update(len(batch.positions))
            if asked_to_stop():
                break
    if any(gather_object([bool(asked_to_stop())])):
        raise Interrupted
    logits = np.empty((len(dataset), 2))
    for where, values in gather_object(list(zip(positions, rows, strict=True))):
        logits[where] = values
    return logits


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
