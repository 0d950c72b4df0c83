"""What every measurement of maps needs: the maps of many images, a random counterpart of each, and means."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from hf_deepfake.data.batch import DecodedImages, Normalise
from hf_deepfake.explain.cam import Maps, Method, explain
from hf_deepfake.explain.overlay import to_heatmap
from hf_deepfake.metrics.classification import Floats
from hf_deepfake.metrics.result import bootstrapped
from hf_deepfake.report.report import Mean

BATCH_SIZE = 16
"""Images that the model is given at once."""

Heat = NDArray[np.float32]


@dataclass(frozen=True)
class Probe:
    """Images as a model takes them, and the method that explains its verdicts.

    Attributes:
        images: uint8 (N, 3, S, S), on the CPU.
        normalise: from uint8 to the model's input, on the model's device.
        method: of `cam.METHODS`.
        fine: whether the finer map of the method is meant.
    """

    images: Tensor
    normalise: Normalise
    method: Method
    fine: bool

    @classmethod
    def open(
        cls, model: nn.Module, dataset: Dataset, data_config: dict[str, Any], method: Method, fine: bool
    ) -> "Probe":
        """Open all images of a data set.

        Args:
            model: the model, on its device.
            dataset: with columns image and label; not empty.
            data_config: timm's preprocessing.
            method: of `cam.METHODS`.
            fine: whether the finer map of the method is meant.

        Returns:
            The probe.

        Raises:
            ImageError: an image cannot be opened.
        """
        images = DecodedImages(dataset, data_config).__getitems__(list(range(len(dataset)))).images
        return cls(images, Normalise(data_config, next(model.parameters()).device), method, fine)

    @property
    def name(self) -> str:
        """What the maps are called: by their method, and "fine" if they are."""
        return f"{self.method}, fine" if self.fine else self.method

    @property
    def size(self) -> int:
        """Side S of the images, px."""
        return self.images.shape[-1]

    def maps(self, model: nn.Module, images: Tensor, targets: Tensor | None = None) -> Maps:
        """Explain images, batch by batch.

        Args:
            model: a model in eval mode.
            images: uint8 (N, 3, S, S).
            targets: int64 (N,), the classes to explain; the predicted ones if not given.

        Returns:
            The maps of all, on the CPU.
        """
        found = []
        for start in range(0, len(images), BATCH_SIZE):
            pixels = self.normalise(images[start : start + BATCH_SIZE].to(self.normalise.mean.device))
            chosen = None if targets is None else targets[start : start + BATCH_SIZE].to(pixels.device)
            found.append(explain(model, pixels, targets=chosen, method=self.method, fine=self.fine))
        logits, classes, values = (
            torch.cat([getattr(maps, name) for maps in found]).cpu() for name in ("logits", "targets", "values")
        )
        return Maps(logits, classes, values)

    def heat(self, values: Tensor) -> Heat:
        """Maps at the images' size, as they are drawn.

        Args:
            values: float32 (N, h, w), at least 0.

        Returns:
            float32 (N, S, S) in [0, 1].
        """
        return np.stack([to_heatmap(one, (self.size, self.size)) for one in values])


def moved(values: Tensor, generator: np.random.Generator) -> Tensor:
    """Maps that know nothing of their image and are as smooth, as large and as strong as these.

    Each map is moved by a random number of cells down and to the right; what leaves at one edge comes back at the
    other (the toroidal shift of Lotwick and Silverman 1982). White noise would be a
    weaker opponent: it is less smooth than a map.

    Args:
        values: (N, h, w).
        generator: source of the draws.

    Returns:
        (N, h, w), the same numbers in each map.
    """
    shifts = generator.integers(0, values.shape[1:], (len(values), 2)).tolist()
    return torch.stack([one.roll(shift, (0, 1)) for one, shift in zip(values, shifts, strict=True)])


def mean(values: Floats, groups: Sequence[Any] | None) -> Mean:
    """Mean of one number an image, with its bootstrap interval over groups.

    Args:
        values: float64 (N,); NaN where an image has no such number, which leaves the image out.
        groups: N group names, as in `bootstrap.intervals`.

    Returns:
        The mean, its interval and the number of images that have the number.
    """
    there = np.flatnonzero(~np.isnan(values))
    if not len(there):
        return Mean(None, reason="no image has it")
    known = values[there]
    found = bootstrapped(
        lambda weights: np.array([weights @ known / weights.sum()]),
        None if groups is None else [groups[row] for row in there],
        len(known),
        [""],
    )[0]
    return Mean(**asdict(found), n=len(known))
