"""Near duplicates between the images of two roles, where a split of one data set is no boundary."""

import numpy as np
from datasets import Dataset, concatenate_datasets
from numpy.typing import NDArray

from hf_deepfake.audits.alike import connect, find_alike
from hf_deepfake.audits.measurements import Wanted, measure


def near_duplicates(images: Dataset, earlier: Dataset) -> NDArray[np.bool_]:
    """Find images that are near duplicates of others, directly or through further ones.

    Args:
        images: N rows with the column image.
        earlier: M rows with the column image.

    Returns:
        bool (N,), which of the first are near duplicates (see `alike.NEAR_LIMIT`) of one of the second.

    Raises:
        ImageError: an image cannot be opened.
    """
    both = concatenate_datasets([one.select_columns(["image"]) for one in (images, earlier)])
    measured = measure(both, [Wanted(True, False, False)] * len(both))
    unit = connect(len(both), find_alike(measured.codes, measured.colours).near)
    return np.isin(unit[: len(images)], unit[len(images) :])
