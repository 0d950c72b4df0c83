"""Where a video changes to another scene, told from two of its frames by their colours."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CUT = 0.25
"""Share of colours that two frames must not have in common for a cut to lie between them. Measured on photographs in
place of frames (docs/video.md): of 1,080 pairs of different ones 94 in 100 are told, and of as many pairs of one and
the same, moved, zoomed by up to a quarter and lit by up to a tenth otherwise, 1 in 100 is mistaken."""

_SIDE = 64  # px to which a frame is scaled down
_SHADES = 5  # of each colour, evenly from dark to light


def colours(image: Image.Image) -> NDArray[np.float64]:
    """How much of an image has each colour; what lies between two shades counts for both, by its distance.

    Args:
        image: RGB.

    Returns:
        (125,) shares, which sum to 1.
    """
    pixels = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX)).reshape(-1, 3) * ((_SHADES - 1) / 255)
    below = np.minimum(pixels.astype(np.intp), _SHADES - 2)
    near = pixels - below
    shares = np.zeros(_SHADES**3)
    for step in np.ndindex(2, 2, 2):
        codes = (below + step) @ (_SHADES**2, _SHADES, 1)
        weights = np.where(step, near, 1 - near).prod(axis=1)
        shares += np.bincount(codes, weights, minlength=_SHADES**3)
    return shares / len(pixels)


def is_cut(before: NDArray[np.float64], after: NDArray[np.float64]) -> bool:
    """Whether two frames are of different scenes (histogram intersection; Swain and Ballard 1991, "Color indexing").

    Args:
        before: colours of one frame.
        after: colours of the next one that was sampled.

    Returns:
        Whether a cut lies between them. A change between shots of one room may be missed.
    """
    return bool(1 - np.minimum(before, after).sum() > CUT)
