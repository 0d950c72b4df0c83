"""Whether images that shall evaluate a checkpoint had a part in making it: decided image by image."""

from pathlib import Path

import numpy as np
from accelerate import PartialState
from datasets import Dataset

from hf_deepfake.config import DataConfig
from hf_deepfake.data.load import hash_images
from hf_deepfake.errors import InputError
from hf_deepfake.models.seen import Seen

FEW = 0.05
"""Share of evaluated images up to which known ones are but named: foreign sets share some photographs by chance, and so
few hardly move a figure."""


def count_seen(
    checkpoint: str | Path, seen: Seen | None, images: Dataset, config: DataConfig, *, trained_only: bool = False
) -> int | None:
    """Count the images that had a part in a checkpoint, and refuse to go on with more than a few.

    Args:
        checkpoint: name of the checkpoint, for the error.
        seen: its note; None where it has none.
        images: N rows with the column image, to be evaluated or to decide.
        config: what the images were loaded with; its cache knows their hashes.
        trained_only: images that chose the epoch or the operating point are allowed, as for deciding anew.

    Returns:
        How many were seen, at most `FEW` of N; None where the checkpoint does not say what it has seen.

    Raises:
        InputError: there are more.
    """
    if seen is None:
        return None
    with PartialState().main_process_first():
        known = seen.among(hash_images(images, config), trained_only=trained_only)
    count = int(np.count_nonzero(known))
    if count > FEW * len(images):
        part = "trained on" if trained_only else "trained on, or decided by,"
        raise InputError(
            f"{checkpoint} was {part} {count:,} of these {len(images):,} images, so that they tell nothing; leave "
            "them out, or give the very data of the training with its --split_seed and without --split all"
        )
    return count
