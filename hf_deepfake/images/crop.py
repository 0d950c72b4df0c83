"""The crop around a face, as the training images have it."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass

import numpy as np
from PIL import Image

from hf_deepfake.images.faces import Face, find_faces

MIN_FACE = 32
"""Shortest side of a face's box, px; what is smaller is too small to evaluate. Its crop would be enlarged four to
six times for a model of 224 px, and the detector misses more and more (8 of 100 faces 32 px high, 20 at 24 px)."""

ASPECT = 0.78
"""Width of a whole face's box over its height: median of 1,434 in images that leave room around it."""

CROP_SHARE = 0.6
"""Share of an image that the region around its face must cover for the image to be a crop already. Of the crops of
four data sets 97 to 100 in 100 pass by their own set's margin."""

SURELY = 0.75
"""The same share for faces of a first look (`images.faces.glance`), whose boxes are coarse."""

_DOMINANT = 0.5  # of the largest face's width: what is narrower is somebody in the background


@dataclass(frozen=True)
class Margin:
    """Where a face lies in the training crops: medians, as shares of the crop's sides.

    Attributes:
        width: width of the whole face.
        height: its height; above 1 where the crops cut forehead or chin.
        x: centre of the face's box, from the left.
        y: centre of the face's box, from the top.
    """

    width: float
    height: float
    x: float
    y: float


def measure_margin(images: Iterable[Image.Image]) -> Margin | None:
    """Measure how images were cropped around the face.

    Args:
        images: RGB; those without a face or with several say nothing.

    Returns:
        Medians over the images with exactly one face; None if these are fewer than half of the images, which
        then are no face crops.
    """
    count, shares = 0, []
    for image in images:
        count += 1
        faces = find_faces(image)
        if len(faces) == 1:
            left, top, right, bottom = faces[0].box
            whole = (*_whole(faces[0]), (left + right) / 2, (top + bottom) / 2)
            shares.append(np.array(whole) / (image.size * 2))
    return Margin(*np.median(shares, axis=0).tolist()) if shares and len(shares) >= count / 2 else None


def typical_margin(margins: Iterable[Margin | None]) -> Margin | None:
    """Find one margin for the crops of several sources, of which each counts once, whatever its size.

    One that is tighter than most of them would cut from loose crops what their model has always seen; the other way
    round, a tight crop is taken whole.

    Args:
        margins: of each source; None where it holds no face crops.

    Returns:
        Medians over the sources with face crops; None if these are fewer than half.
    """
    found = list(margins)
    known = [astuple(margin) for margin in found if margin is not None]
    return Margin(*np.median(known, axis=0).tolist()) if known and len(known) >= len(found) / 2 else None


def crop_region(face: Face, margin: Margin, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The region around a face in which it lies as in the training crops.

    Its scale follows the whole face, not the box: the box of a face turned aside is narrow, and a tight crop cuts it,
    while what is cropped around such faces is neither. So the region has the shape of the training crops, usually a
    square, whatever the shape of the box, and a model that squashes both to its input sees both undistorted alike.
    Training crops that were squashed before they were saved look no different to the detector: faces are then shown
    to the model as they are.

    Args:
        face: in an image.
        margin: of the training crops.
        size: width and height of the image, px.

    Returns:
        Left, top, right, bottom, px. A region that reaches over the image's border is moved inside, and cut where
        it is larger than the image.
    """
    left, top, right, bottom = face.box
    width, height = _whole(face)
    first, last = _place((left + right) / 2, width / margin.width, margin.x, size[0])
    upper, lower = _place((top + bottom) / 2, height / margin.height, margin.y, size[1])
    return first, upper, last, lower


def is_crop(faces: list[Face], margin: Margin, size: tuple[int, int], share: float = CROP_SHARE) -> bool:
    """Tell whether an image is a face crop already.

    Args:
        faces: all faces of the image, largest first.
        margin: of the training crops.
        size: width and height of the image, px.
        share: of the image that the region around its face must cover.

    Returns:
        Whether the region around the largest face covers that much of the image and every other face is less than
        half as wide.
    """
    if not faces:
        return False
    left, top, right, bottom = crop_region(faces[0], margin, size)
    largest, *others = (_whole(face)[0] for face in faces)
    covers = (right - left) * (bottom - top) >= share * size[0] * size[1]
    return covers and all(width < _DOMINANT * largest for width in others)


def _whole(face: Face) -> tuple[float, float]:
    """Width and height, px, that a face's box would have from the front and uncut by the image's border."""
    left, top, right, bottom = face.box
    width = max(right - left, ASPECT * (bottom - top))
    return width, width / ASPECT


def _place(centre: float, length: float, share: float, limit: int) -> tuple[int, int]:
    """Both ends of a region along one axis: `centre` at a `share` of its length, moved between 0 and `limit`."""
    whole = min(max(1, round(length)), limit)
    start = min(max(0, round(centre - share * length)), limit - whole)
    return start, start + whole
