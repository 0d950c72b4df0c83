"""Judge pictures with an exported checkpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

import numpy as np
import torch
from PIL.Image import Image

from hf_deepfake.models.checkpoint import LoadedCheckpoint, load_checkpoint
from hf_deepfake.pictures.open import open_picture

Picture = str | Path | bytes | Image | np.ndarray

BATCH_SIZE = 32
"""Pictures judged at once: enough to keep a GPU busy, little enough for a laptop's memory at 224 px."""


@dataclass(frozen=True)
class Verdict:
    """What the net says about one picture; the same as transformers' pipeline reports for it.

    Attributes:
        label: "real" or "fake".
        score: softmax of that label, in [.5, 1]; temperature and operating point are folded in, so that .5 is
            the operating point itself.
        fake_probability: softmax of "fake", in [0, 1], folded likewise.
    """

    label: Literal["real", "fake"]
    score: float
    fake_probability: float


class Detector:
    """A checkpoint on a device, called with pictures.

    Args:
        checkpoint: what `load_checkpoint` returned.
        device: torch device, such as "cuda:1"; by default the GPU where there is one, else the CPU.
    """

    def __init__(self, checkpoint: LoadedCheckpoint, device: str | None = None) -> None:
        self.checkpoint = checkpoint
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._model = checkpoint.model.to(self.device).to(memory_format=torch.channels_last)

    @classmethod
    def from_pretrained(
        cls, folder_or_repo: str | Path, revision: str | None = None, device: str | None = None
    ) -> "Detector":
        """Load a detector.

        Args:
            folder_or_repo: a checkpoint folder, or the Hub's "owner/name".
            revision: branch, tag or commit on the Hub.
            device: torch device; by default the GPU where there is one, else the CPU.

        Returns:
            The detector.

        Raises:
            InputError: there is no such checkpoint, or it is damaged.
        """
        return cls(load_checkpoint(folder_or_repo, revision), device)

    @overload
    def __call__(self, pictures: Picture) -> Verdict: ...
    @overload
    def __call__(self, pictures: Sequence[Picture]) -> list[Verdict]: ...
    def __call__(self, pictures: Picture | Sequence[Picture]) -> Verdict | list[Verdict]:
        """Judge a picture, or each of several.

        Args:
            pictures: what `open_picture` takes: a path, bytes, a PIL image, a uint8 array; or a list of such.

        Returns:
            One verdict, or one per picture in their order.

        Raises:
            PictureError: a picture cannot be opened.
        """
        if isinstance(pictures, Picture):
            return self([pictures])[0]
        starts = range(0, len(pictures), BATCH_SIZE)
        return [verdict for start in starts for verdict in self._judge(pictures[start : start + BATCH_SIZE])]

    @torch.inference_mode()
    def _judge(self, pictures: Sequence[Picture]) -> list[Verdict]:
        """Verdicts on one batch."""
        pixels = torch.stack([self.checkpoint.transform(open_picture(picture)) for picture in pictures])
        pixels = pixels.to(self.device, memory_format=torch.channels_last)
        probabilities = self._model(pixels).softmax(dim=1).tolist()
        return [Verdict("fake" if fake > real else "real", max(real, fake), fake) for real, fake in probabilities]
