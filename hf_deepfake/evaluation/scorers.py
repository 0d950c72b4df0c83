"""What gives P(fake) for images, behind one abstraction: our checkpoints here, others in `others` and `functions`."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import PIL.Image
import torch
from accelerate import PartialState
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn

from hf_deepfake.evaluation.inference import predict_logits
from hf_deepfake.machine import best_precision, cpu_flags, default_workers, share_cores
from hf_deepfake.metrics.calibration import fake_probability
from hf_deepfake.metrics.classification import Floats
from hf_deepfake.models.checkpoint import LoadedCheckpoint, checkpoint_name
from hf_deepfake.report.report import CheckpointInfo

Change = Callable[[PIL.Image.Image, int], PIL.Image.Image]
"""What to do to an image first, from the image and its index."""


BATCH_SIZE = 16
"""Images that a model of others gets at once: they are whole, and may be large."""

UNDECIDED = (
    "It states no decision, so verdicts are by P(fake) of .5 at temperature 1, and none is unsure.",
    "What needs the inside of the model was not made: maps of what it looked at. What it has seen is not known.",
)
"""What a report says of every model of others."""


class Scorer(ABC):
    """Something that is evaluated.

    Attributes:
        name: what it is called in reports and errors; no path of this machine.
        loaded: our checkpoint, whose inside is known; None for models of others.
        label_names: labels of a model of others; empty where it has none.
    """

    name: str
    loaded: LoadedCheckpoint | None = None
    label_names: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What a comparison calls it."""
        return self.name

    @abstractmethod
    def describe(self) -> CheckpointInfo:
        """What a report says of it."""

    @abstractmethod
    def score(self, images: Dataset, *, change: Change | None = None, fast: bool = False, title: str = "") -> Floats:
        """Score images, by all processes together.

        Args:
            images: N rows with columns image and label.
            change: what to do to each image first.
            fast: compute in bfloat16 where that is faster and the model can.
            title: what progress is called; none is shown without.

        Returns:
            float64 (N,), P(fake) before the operating point, in the order of the rows, the same on every process.

        Raises:
            ImageError: an image cannot be opened.
            InputError: the model fails on an image, or gives what is no probability.
        """


class CheckpointScorer(Scorer):
    """A checkpoint of ours.

    Args:
        name: its folder or repository.
        loaded: the checkpoint.
    """

    def __init__(self, name: str, loaded: LoadedCheckpoint) -> None:
        self.name, self.loaded, self.checkpoint = name, loaded, loaded

    @property
    def title(self) -> str:
        """What a comparison calls it."""
        return checkpoint_name(self.name)

    def describe(self) -> CheckpointInfo:
        """What a report says of it."""
        return describe(self.checkpoint)

    def score(self, images: Dataset, *, change: Change | None = None, fast: bool = False, title: str = "") -> Floats:
        """Score images; see `Scorer.score`."""
        loaded = self.checkpoint
        precision = best_precision(process_device().type, cpu_flags()) if fast else "no"
        logits = score_model(loaded.model, loaded.config["pretrained_cfg"], images, precision, change, title)
        return fake_probability(logits, folded_point=loaded.operating_point)


def score(loaded: LoadedCheckpoint, images: Dataset) -> NDArray:
    """Logits of a checkpoint's model; see `score_model`.

    Args:
        loaded: the checkpoint.
        images: with columns image and label.

    Returns:
        float64 (N, 2), real and fake, the same on every process.
    """
    return score_model(loaded.model, loaded.config["pretrained_cfg"], images)


def score_model(
    model: nn.Module,
    preprocessing: dict[str, Any],
    images: Dataset,
    precision: str = "no",
    change: Change | None = None,
    title: str = "scores",
) -> NDArray:
    """Logits of a model, on the GPU where there is one, by all processes together.

    Args:
        model: with logits (real, fake).
        preprocessing: timm's, as of `models.build.data_config`.
        images: with columns image and label.
        precision: "bf16" or "fp16" for autocast, "no" for float32.
        change: what to do to each image first.
        title: what progress is called; none is shown without.

    Returns:
        float64 (N, 2), real and fake, the same on every process.
    """
    model = model.to(process_device()).to(memory_format=torch.channels_last)
    workers = default_workers(PartialState().num_processes)
    return predict_logits(model, images, preprocessing, workers, precision, change, title)


def process_device() -> torch.device:
    """The device of this process; on a CPU its share of the cores is taken too."""
    state = PartialState()
    device = torch.device(state.device or "cpu")
    if device.type == "cpu":
        share_cores(state.num_processes)
    return device


def describe(loaded: LoadedCheckpoint) -> CheckpointInfo:
    """What a report says of a checkpoint.

    Args:
        loaded: the checkpoint.

    Returns:
        The description.
    """
    return CheckpointInfo(
        model=loaded.config["architecture"],
        image_size=loaded.config["pretrained_cfg"]["input_size"][-1],
        parameters=sum(parameter.numel() for parameter in loaded.model.parameters()),
        temperature=loaded.temperature,
        operating_point=loaded.operating_point,
        criterion=loaded.criterion,
        abstention_band=loaded.abstention_band,
        confident_error=loaded.confident_error,
    )


def said(error: BaseException) -> str:
    """Kind and text of an error, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
