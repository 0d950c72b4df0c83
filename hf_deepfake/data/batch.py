"""Images to batches: decoded to uint8 by worker processes, augmented and normalised on the device."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
import torch
from datasets import Dataset, Image
from PIL.Image import Resampling
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from hf_deepfake.config import TrainConfig
from hf_deepfake.images.degradations import REFERENCE
from hf_deepfake.images.open import open_image
from hf_deepfake.images.self_blend import self_blend
from hf_deepfake.machine import leave_signals_to_parent, signals_kept_waiting


@dataclass(frozen=True)
class Batch:
    """Images uint8 (B, 3, S, S), labels int64 (B,) and positions in the split int64 (B,).

    Where the backbone is frozen, features float (B, D) may stand in the place of images.
    """

    images: Tensor
    labels: Tensor
    positions: Tensor

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory, for an asynchronous copy to a GPU."""
        return Batch(self.images.pin_memory(), self.labels.pin_memory(), self.positions.pin_memory())


class DecodedImages(TorchDataset):
    """Decodes rows of a split to squares, as timm's evaluation transform with `crop_mode="squash"` does.

    Args:
        dataset: a split with columns image and label.
        data_config: timm's preprocessing; `input_size` and `interpolation` are used.
        reduced: decode a JPEG at reduced scale where it is at least twice as large as needed. Faster, but not to
            the bit what a reader of the checkpoint sees: for training images only.
        change: what to do to each image before it becomes a square, from the image and its index; larger ones
            are first shrunk to a shorter side of 224 px or the model's. An index counts on over epochs: its rest by the
            number of rows is the row, so that a change drawn from it differs between epochs.
        blend_seed: where the quotient of an index by the number of rows is odd, the image is blended with itself,
            as this seed and the index have it, and its label is fake. None: an odd quotient means nothing.
    """

    def __init__(
        self,
        dataset: Dataset,
        data_config: dict[str, Any],
        reduced: bool = False,
        change: Callable[[PIL.Image.Image, int], PIL.Image.Image] | None = None,
        blend_seed: int | None = None,
    ):
        self.rows = dataset.select_columns(["image", "label"]).cast_column("image", Image(decode=False))
        self.size: int = data_config["input_size"][-1]
        self.resample = Resampling[data_config["interpolation"].upper()]
        self.draft = self.size if reduced else None
        self.change, self.blend_seed = change, blend_seed

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Batch:
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> Batch:
        """Decode several rows into one batch."""
        positions = [index % len(self.rows) for index in indices]
        rows = self.rows[positions]
        labels = torch.tensor(rows["label"])
        images = np.empty((len(positions), self.size, self.size, 3), dtype=np.uint8)
        for place, (slot, image, index) in enumerate(zip(images, rows["image"], indices, strict=True)):
            opened = open_image(image["bytes"] or image["path"], draft=self.draft)
            if self.blend_seed is not None and index // len(self.rows) % 2:
                opened, _ = self_blend(
                    _shrunk(opened, self.size, self.resample), np.random.default_rng((self.blend_seed, index))
                )
                labels[place] = 1
            if self.change is not None:
                opened = self.change(_shrunk(opened, self.size, self.resample), index)
            slot[:] = opened.resize((self.size, self.size), self.resample)
        nchw = torch.from_numpy(images).permute(0, 3, 1, 2)  # in NHWC memory: what torch calls channels_last
        return Batch(nchw, labels, torch.tensor(positions))


@dataclass(frozen=True)
class OpenedBatch:
    """B images as a model of others takes them, and positions in the split int64 (B,)."""

    images: list[Any]
    positions: Tensor


class OpenedImages(TorchDataset):
    """Opens rows of a split as whole RGB images, for models that bring their own preprocessing.

    Args:
        dataset: a split with columns image and label.
        prepare: what to make of each image at last.
        change: as of `DecodedImages`.
        size: side of the model's input, px; 0 where it is not known.
    """

    def __init__(
        self,
        dataset: Dataset,
        prepare: Callable[[PIL.Image.Image], Any],
        change: Callable[[PIL.Image.Image, int], PIL.Image.Image] | None = None,
        size: int = 0,
    ):
        self.rows = dataset.select_columns(["image"]).cast_column("image", Image(decode=False))
        self.prepare, self.change, self.size = prepare, change, size

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, indices: list[int]) -> OpenedBatch:
        """Open several rows."""
        images = []
        for index, image in zip(indices, self.rows[indices]["image"], strict=True):
            opened = open_image(image["bytes"] or image["path"])
            if self.change is not None:
                opened = self.change(_shrunk(opened, self.size, Resampling.BICUBIC), index)
            images.append(self.prepare(opened))
        return OpenedBatch(images, torch.tensor(indices))


def _shrunk(image: PIL.Image.Image, size: int, resample: Resampling) -> PIL.Image.Image:
    """The image no larger than a change needs it: its cost grows with the pixels."""
    times = max(size, REFERENCE) / min(image.size)
    if times >= 1:
        return image
    return image.resize((round(image.width * times), round(image.height * times)), resample)


class Loader(DataLoader):
    """A DataLoader whose workers a signal to the whole process group does not end, not even while they start."""

    def __iter__(self) -> Any:
        """Batches, in order; the workers start here."""
        with signals_kept_waiting():
            return super().__iter__()


def make_loader(
    images: DecodedImages | OpenedImages, batches: Iterable[list[int]], workers: int, pin_memory: bool
) -> Loader:
    """A loader whose `workers` processes decode the given batches of positions, in order."""
    return Loader(
        images,
        batch_sampler=batches,
        collate_fn=_as_is,
        num_workers=workers,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        worker_init_fn=leave_signals_to_parent,
    )


class Normalise:
    """uint8 images in [0, 255] to what the model takes: (x / 255 - mean) / std, float32, channels_last."""

    def __init__(self, data_config: dict[str, Any], device: torch.device):
        self.mean = torch.tensor(data_config["mean"], device=device).view(1, 3, 1, 1)
        self.std = torch.tensor(data_config["std"], device=device).view(1, 3, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise uint8 (B, 3, S, S)."""
        return self.unit(images.float() / 255)

    def unit(self, images: Tensor) -> Tensor:
        """The same from floats in [0, 1]."""
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)


class Augment:
    """Flip, crop, rotation and colour, each image with its own draw, the whole batch at once on its device.

    What is drawn is apart from what is done with it, so that several processes can draw for the whole batch and
    each apply its own rows: the result does not depend on how many share the work.
    """

    def __init__(self, config: TrainConfig, normalise: Normalise):
        self.config, self.normalise = config, normalise
        self.moves = config.crop_scale < 1 or config.rotate > 0

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Numbers for `count` images: uniform float32 (count, 8) in [0, 1)."""
        return torch.rand(count, 8, generator=generator)

    def __call__(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Change and normalise images.

        Args:
            images: uint8 (B, 3, S, S) on the device.
            drawn: float32 (B, 8), rows of `draw`.

        Returns:
            float32 (B, 3, S, S), normalised, channels_last.
        """
        drawn = drawn.to(images.device, non_blocking=True)
        flipped = drawn[:, 0] < self.config.flip
        unit = images.float() / 255
        if self.moves:
            unit = self._move(unit, flipped, drawn)
        else:
            unit = torch.where(flipped.view(-1, 1, 1, 1), unit.flip(3), unit)
        if self.config.colour > 0:
            unit = self._colour(unit, drawn)
        return self.normalise.unit(unit)

    def _move(self, unit: Tensor, flipped: Tensor, drawn: Tensor) -> Tensor:
        """Crop, rotation and flip as one resampling; what comes from outside the image is mirrored."""
        side = (self.config.crop_scale + (1 - self.config.crop_scale) * drawn[:, 1]).sqrt()
        angle = (2 * drawn[:, 2] - 1) * math.radians(self.config.rotate)
        cosine, sine = side * angle.cos(), side * angle.sin()
        mirror = 1 - 2 * flipped.float()
        shift_x, shift_y = ((2 * drawn[:, column] - 1) * (1 - side) for column in (3, 4))
        matrix = torch.stack([cosine * mirror, -sine, shift_x, sine * mirror, cosine, shift_y], dim=1).view(-1, 2, 3)
        grid = functional.affine_grid(matrix, list(unit.shape), align_corners=False)
        return functional.grid_sample(unit, grid, padding_mode="reflection", align_corners=False)

    def _colour(self, unit: Tensor, drawn: Tensor) -> Tensor:
        """Brightness, contrast about the image's mean grey, and saturation."""
        factors = 1 + self.config.colour * (2 * drawn[:, 5:8] - 1)
        brightness, contrast, saturation = factors.T.reshape(3, -1, 1, 1, 1)
        weights = unit.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
        unit = unit * brightness
        grey = (unit * weights).sum(1, keepdim=True)
        unit = grey + saturation * (unit - grey)
        middle = grey.mean(dim=(2, 3), keepdim=True)
        return (middle + contrast * (unit - middle)).clamp(0, 1)


def _as_is(batch: Any) -> Any:
    """`Images` makes whole batches already."""
    return batch
