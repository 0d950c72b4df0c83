"""Which images a checkpoint was made with, so that none of them passes as unseen."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_deepfake.errors import InputError

SEEN_FILE = "seen_images.npz"
"""File of a checkpoint with the beginnings of the hashes of its images, 8 bytes each; no image can be got from them."""


@dataclass(frozen=True)
class Seen:
    """Images that had a part in a checkpoint, by the first 64 bits of the hashes of their pixels.

    Attributes:
        trained: uint64 (N,), sorted: those that the weights were fitted to.
        decided: uint64 (M,), sorted: those that chose the epoch, the temperature, the operating point or the band.
    """

    trained: NDArray[np.uint64]
    decided: NDArray[np.uint64]

    @staticmethod
    def of(trained: NDArray[np.bytes_], decided: NDArray[np.bytes_]) -> "Seen":
        """Take note of images.

        Args:
            trained: hashes S32 (N,), as `data.scan.scan` gives them.
            decided: hashes S32 (M,).

        Returns:
            The note.
        """
        return Seen(np.unique(_beginnings(trained)), np.unique(_beginnings(decided)))

    @staticmethod
    def together(parts: Iterable["Seen"]) -> "Seen":
        """What has a part in a checkpoint that is made of several."""
        trained, decided = zip(*((one.trained, one.decided) for one in parts), strict=True)
        return Seen(np.unique(np.concatenate(trained)), np.unique(np.concatenate(decided)))

    def among(self, hashes: NDArray[np.bytes_], *, trained_only: bool = False) -> NDArray[np.bool_]:
        """Which images had a part.

        Args:
            hashes: S32 (N,).
            trained_only: leave out those that only decided.

        Returns:
            bool (N,).
        """
        known = self.trained if trained_only else np.concatenate([self.trained, self.decided])
        return np.isin(_beginnings(hashes), known)

    def save(self, folder: Path) -> None:
        """Write the note into a checkpoint's folder."""
        np.savez(folder / SEEN_FILE, trained=self.trained, decided=self.decided)

    @staticmethod
    def load(folder: Path) -> "Seen | None":
        """Read the note of a checkpoint's folder; None where it has none.

        Args:
            folder: of the checkpoint.

        Returns:
            The note.

        Raises:
            InputError: it is damaged.
        """
        path = folder / SEEN_FILE
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return Seen(arrays["trained"].astype(np.uint64), arrays["decided"].astype(np.uint64))
        except Exception as error:  # a damaged zip raises nearly anything
            raise InputError(f"{path} is damaged ({error}); export or fetch the checkpoint again") from error


def _beginnings(hashes: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    """The first 64 bits of hexadecimal hashes, (N,); 0 for an image that has none, since it does not open any more."""
    return np.array([int(one[:16] or b"0", 16) for one in hashes.tolist()], np.uint64)
