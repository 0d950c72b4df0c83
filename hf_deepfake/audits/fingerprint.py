"""Fingerprints of images that survive re-saving, resizing, mirroring and cropping: signs of cosine coefficients.

The code of an image is the signs of its 255 lowest frequencies, after Zauner, "Implementation and Benchmarking of
Perceptual Image Hash Functions" (2010), section 3.2.1, with zero for the median: mirroring an image then flips the
known bits `MIRROR` and no other. Cropping moves what the frequencies measure, so each image has a code of its own
for each of `CROPS`: a crop of it has nearly the code of one of these.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling
from scipy.fft import dctn

Codes = NDArray[np.uint64]
"""Codes, (..., 4): the first word holds the 63 coarsest coefficients, the others the 192 finer ones."""

CROPS = (
    (0, 0, 1, 1),
    (0.025, 0.025, 0.975, 0.975),
    (0.05, 0.05, 0.95, 0.95),
    (0.05, 0, 1, 1),
    (0, 0.05, 1, 1),
    (0, 0, 0.95, 1),
    (0, 0, 1, 0.95),
    (0.05, 0.05, 1, 1),
    (0, 0.05, 0.95, 1),
    (0.05, 0, 1, 0.95),
    (0, 0, 0.95, 0.95),
)
"""Left, top, right and bottom as shares of the image: whole, centre, each edge and each corner cut off by 5 %."""

COLOURS = 8
"""Side of the colour thumbnail, px."""

_THUMB = 128  # px; crops are cut from it, so that a large image is scaled down once
_SIDE = 32  # px; twice the highest frequency that is kept
_KEPT, _COARSE = 16, 8  # rows and columns of coefficients in the code, and in its first word


def _order() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the 255 coefficients, the 63 coarse ones first; the mean is left out."""
    row, column = np.divmod(np.arange(1, _KEPT**2), _KEPT)
    order = np.argsort((row >= _COARSE) | (column >= _COARSE), kind="stable")
    return row[order], column[order]


_ROWS, _COLUMNS = _order()


def _pack(signs: NDArray[np.bool_]) -> Codes:
    """Signs (..., 255) as codes (..., 4); bit 63 of the first word is 0."""
    words = np.insert(signs, _COARSE**2 - 1, False, axis=-1)
    octets = np.ascontiguousarray(np.packbits(words, axis=-1, bitorder="little"))
    return octets.view("<u8").astype(np.uint64)


MIRROR: Codes = _pack(_COLUMNS % 2 == 1)
"""The bits that mirroring left to right flips: the odd horizontal frequencies."""


def fingerprint(image: Image.Image) -> tuple[Codes, NDArray[np.uint8]]:
    """Compute the codes and the colour thumbnail of an image.

    Args:
        image: RGB.

    Returns:
        Codes of `CROPS`, uint64 (11, 4), and mean colours, uint8 (8, 8, 3).
    """
    grey = image.convert("L").resize((_THUMB, _THUMB), Resampling.BILINEAR)
    boxes = [(left * _THUMB, top * _THUMB, right * _THUMB, bottom * _THUMB) for left, top, right, bottom in CROPS]
    crops = np.stack([np.asarray(grey.resize((_SIDE, _SIDE), Resampling.BILINEAR, box=box)) for box in boxes])
    coefficients = dctn(crops.astype(np.float32), axes=(1, 2))
    # A flat image's coefficients are rounding errors, whose signs would say something.
    signs = coefficients[:, _ROWS, _COLUMNS] > 1e-2
    colours = np.asarray(image.resize((COLOURS, COLOURS), Resampling.BOX, reducing_gap=2.0))
    return _pack(signs), colours
