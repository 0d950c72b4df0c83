"""Folds for cross-validation: each image is in the test split of one of them."""

import re

import numpy as np
from numpy.typing import NDArray

from hf_deepfake.data.split import TEST, TRAIN, UNKNOWN, VALIDATION, connect, deal, describe_units, mix
from hf_deepfake.errors import InputError


def parse_fold(text: str) -> tuple[int, int]:
    """Read which fold is meant.

    Args:
        text: such as "2/5".

    Returns:
        Number of the fold, from 0, and how many there are.

    Raises:
        InputError: it is no fold.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text.replace(" ", ""))
    if not found or not 1 <= int(found[1]) <= int(found[2]) or int(found[2]) < 2:
        raise InputError(f"fold is {text!r}; write K/N, such as 2/5 for the second of five")
    return int(found[1]) - 1, int(found[2])


def fold_splits(
    fold: str,
    hashes: NDArray[np.bytes_],
    groups: NDArray[np.object_],
    labels: NDArray[np.int8],
    sources: NDArray[np.int64],
    validation_share: float,
    seed: int,
) -> NDArray[np.int8]:
    """Make the splits of one fold. Units (see `split.connect`) stay whole, and every stratum is dealt by itself.

    Args:
        fold: see `parse_fold`.
        hashes: S32 (N,).
        groups: str or None (N,).
        labels: int8 (N,), indices in `LABELS`.
        sources: int64 (N,), number of each image's source.
        validation_share: share of what is not tested that becomes validation, in (0, 1).
        seed: of the draw; the folds of one seed are disjoint and together all images.

    Returns:
        int8 (N,), indices in `SPLITS`.

    Raises:
        InputError: `fold` is none.
    """
    number, count = parse_fold(fold)
    units = connect(hashes, groups)
    each = describe_units(units, hashes, labels, sources, np.full(len(hashes), UNKNOWN, np.int8))
    dealt = np.empty(len(each), np.int8)
    for _, stratum in each.groupby(["source", "label", "last_label"]):
        mixed = mix(stratum, seed)
        folds = np.array(deal(mixed["size"].tolist(), dict.fromkeys(range(count), 1 / count)))
        rest = mixed[folds != number]
        shares = {TRAIN: 1 - validation_share, VALIDATION: validation_share}
        dealt[mixed.index[folds == number]] = TEST
        dealt[rest.index] = deal(rest["size"].tolist(), shares)
    return dealt[units]
