"""Fakes made of real images alone: a face blended into itself.

After Shiohara and Yamasaki 2022, "Detecting Deepfakes with Self-Blended Images", arXiv:2204.08376, section 3. What such
a fake shows is the border and the statistics of a blend and nothing of any generator, so that a detector cannot learn
one generator's traces from it.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from hf_deepfake.images import degradations as changes
from hf_deepfake.images.faces import Face, find_faces

RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
"""How much of the source shows inside the mask; as in the paper, mostly all of it."""

_SHIFT, _SCALE = (0.03, 0.015), 0.05  # of the sides, and of the size: the paper's ranges

# Corners of a face as (landmark, x, y): offsets in units of the distance between the eyes, along and across them.
_EYE_LEFT, _EYE_RIGHT, _NOSE, _MOUTH_LEFT, _MOUTH_RIGHT = range(5)
_BROW = [(_EYE_LEFT, -0.45, -0.35), (_EYE_LEFT, 0.3, -0.6), (_EYE_RIGHT, -0.3, -0.6), (_EYE_RIGHT, 0.45, -0.35)]
_CHEEKS = [(_EYE_RIGHT, 0.5, 0.15), (_MOUTH_RIGHT, 0.35, 0.0)], [(_MOUTH_LEFT, -0.35, 0.0), (_EYE_LEFT, -0.5, 0.15)]
_CHIN = [(_MOUTH_RIGHT, 0.15, 0.5), (_MOUTH_LEFT, -0.15, 0.5)]
_MIDDLE = [(_NOSE, -0.55, 0.0), (_NOSE, 0.55, 0.0)]
HULLS = (
    [*_BROW, *_CHEEKS[0], *_CHIN, *_CHEEKS[1]],  # the face
    [*_BROW, *_CHEEKS[0][:1], _MIDDLE[1], _MIDDLE[0], *_CHEEKS[1][1:]],  # its upper half
    [_MIDDLE[0], _MIDDLE[1], _CHEEKS[0][1], *_CHIN, _CHEEKS[1][0]],  # its lower half
)
"""Outlines that a mask begins with: the whole face, the eyes' half, the mouth's half."""


def self_blend(image: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, NDArray[np.float32]]:
    """Make a fake of a real image.

    Of two copies one is changed a little in colour and sharpness; one is shifted and scaled a little and laid over the
    other through a soft, bent mask. The mask follows the landmarks of the largest face, or lies in the middle.

    Args:
        image: RGB, a face crop.
        rng: draws everything that is left to chance.

    Returns:
        The fake, and float32 (H, W) in [0, 1], how much of the laid-over copy shows in each pixel.
    """
    faces = find_faces(image)
    mask = _outline(image, faces[0] if faces else None, rng)
    mask = changes.elastic(mask, rng.uniform(1, 4), rng)
    for _ in range(2):
        mask = mask.filter(ImageFilter.GaussianBlur(changes.scaled(image, rng.uniform(1, 7))))
    copies = [image, _varied(image, rng)]
    rng.shuffle(copies)
    source, mask = _moved(copies[0], mask, rng)
    ratio = RATIOS[rng.integers(len(RATIOS))]
    shown = mask.point(lambda value: round(value * ratio))
    return Image.composite(source, copies[1], shown), (np.asarray(shown) / 255).astype(np.float32)


def _outline(image: Image.Image, face: Face | None, rng: np.random.Generator) -> Image.Image:
    """White on black: one of the hulls with its corners moved a little, or an ellipse in the middle."""
    if face is None:
        angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        middle, radius = np.array(image.size) / 2, np.array(image.size) * rng.uniform(0.2, 0.4, 2)
        corners = middle + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        corners += rng.normal(0, 0.03, corners.shape) * image.size
    else:
        points = np.array(face.landmarks)
        along = points[_EYE_RIGHT] - points[_EYE_LEFT]
        across = np.array([-along[1], along[0]])
        hull = HULLS[rng.integers(len(HULLS))]
        corners = np.array([points[at] + x * along + y * across for at, x, y in hull])
        corners += rng.normal(0, 0.08, corners.shape) * np.hypot(*along)
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in corners], fill=255)
    return mask


def _varied(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Another rendering of the same image: colours a little off, softer or sharper."""
    offsets = rng.integers(-20, 21, 3)
    image = Image.merge("RGB", [_offset(band, int(by)) for band, by in zip(image.split(), offsets, strict=True)])
    image = changes.hue(image, rng.uniform(0, 10), rng)
    image = changes.saturation(image, rng.uniform(1, 1.3), rng)
    image = changes.brightness(image, rng.uniform(1, 1.1), rng)
    image = changes.contrast(image, rng.uniform(1, 1.1), rng)
    if rng.random() < 0.5:
        return changes.sharpen(image, rng.uniform(0.2, 1), rng)
    return changes.resize(image, changes.REFERENCE / rng.uniform(1.5, 4), rng)


def _offset(band: Image.Image, by: int) -> Image.Image:
    """A band brighter by some levels, or darker."""
    level = Image.new("L", band.size, abs(by))
    return ImageChops.add(band, level) if by > 0 else ImageChops.subtract(band, level)


def _moved(image: Image.Image, mask: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """Image and mask shifted and scaled alike; nothing is laid over where the image does not reach."""
    scale = rng.uniform(1 - _SCALE, 1 / (1 - _SCALE), 2)
    shift = rng.uniform(-1, 1, 2) * _SHIFT * image.size + (1 - scale) * np.array(image.size) / 2
    matrix = (float(scale[0]), 0.0, float(shift[0]), 0.0, float(scale[1]), float(shift[1]))
    kind, kernel = Image.Transform.AFFINE, Image.Resampling.BILINEAR
    return image.transform(image.size, kind, matrix, kernel), mask.transform(image.size, kind, matrix, kernel)
