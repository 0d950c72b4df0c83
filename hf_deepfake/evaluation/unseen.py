"""Whether images that shall evaluate a checkpoint had a part in making it: decided by origin, and image by image."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from accelerate import PartialState
from datasets import Dataset

from hf_deepfake.config import DataConfig
from hf_deepfake.data.load import hash_images
from hf_deepfake.errors import InputError
from hf_deepfake.models.seen import Seen

logger = logging.getLogger(__name__)

FEW = 0.05
"""Share of evaluated images up to which known ones are but named: foreign sets share some photographs by chance, and so
few hardly move a figure."""


def check_foreign(checkpoint: str | Path, roles: Mapping[str, Sequence[str]], origins: Iterable[str]) -> None:
    """Refuse origins that a checkpoint was trained on or calibrated with.

    Args:
        checkpoint: its name, for the error.
        roles: `Report.roles`; empty where they are not known, which is said in the log.
        origins: of the images that shall be foreign to it.

    Raises:
        InputError: an origin has a role already.
    """
    if not roles:
        logger.warning(
            "%s does not say which origins it was trained on, so that foreign is your word alone", checkpoint
        )
    for role, known in roles.items():
        if both := sorted(set(known) & set(origins)):
            raise InputError(
                f"{', '.join(both)} has the role {role} for {checkpoint}, so that it is not foreign; leave it out, or, "
                "where another source has only the same name, give --origins SOURCE=ORIGIN"
            )


def without_seen(images: Dataset, seen: Seen | None, config: DataConfig) -> Dataset:
    """Leave out images that had a part in a checkpoint, and the groups that they belong to.

    Args:
        images: N rows with the columns image, source and, where groups are known, group.
        seen: the checkpoint's note; None where it has none, and nothing can be left out.
        config: what the images were loaded with.

    Returns:
        The others. How many were left out goes to the log.

    Raises:
        InputError: none is left.
    """
    if seen is None:
        return images
    with PartialState().main_process_first():
        known = seen.among(hash_images(images, config))
    groups = pd.Series(images["group"] if "group" in images.column_names else None, range(len(images)), dtype=object)
    leaked = known | groups.isin(groups[known].dropna()).to_numpy()
    if leaked.all():
        raise InputError("every one of these images, or of their groups, had a part in making the checkpoint")
    if leaked.any() and PartialState().is_main_process:
        logger.warning(
            "%d images left out: %d had a part in making the checkpoint, the others are of their groups",
            leaked.sum(),
            known.sum(),
        )
    return images.select(np.flatnonzero(~leaked)) if leaked.any() else images


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
