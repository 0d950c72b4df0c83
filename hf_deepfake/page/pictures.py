"""The pictures in the page, as addresses that hold them: nothing of a result lies on the server's disk."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from hf_deepfake.explain.overlay import OPACITY, viridis
from hf_deepfake.report.html import inline

SIDE = 800
"""Longer side of the evaluated image, px: sharp on a phone and on half a screen, and quick to send."""

CROP = 200
"""Side of a face's crop, px."""

THUMBNAIL = 72
"""Side of an image in a list, px."""

STRONG = 0.15
"""A map that is nowhere stronger than this, of 1, is said to be nowhere strong."""


@dataclass(frozen=True)
class Picture:
    """An image, and the map to lay over it.

    Attributes:
        source: data URL.
        width: px.
        height: px.
        map: data URL of an image of the same proportions, transparent where nothing speaks for the verdict.
    """

    source: str
    width: int
    height: int
    map: str


def picture(image: Image.Image, heatmap: NDArray[np.float32]) -> Picture:
    """Scale an image and its map for the page.

    Args:
        image: RGB.
        heatmap: (height, width) of the image, in [0, 1].

    Returns:
        Both.
    """
    return _both(ImageOps.contain(image, (SIDE, SIDE)), heatmap)


def crop_face(
    image: Image.Image, heatmap: NDArray[np.float32], box: tuple[float, float, float, float]
) -> tuple[Picture, NDArray[np.float32]]:
    """Cut a face out of an image, with a little around it.

    Args:
        image: RGB.
        heatmap: (height, width) of the image, in [0, 1].
        box: of the face, (left, top, right, bottom) in px.

    Returns:
        The face as a square, and the part of the map that lies there.
    """
    left, top, right, bottom = box
    side = min(round(1.3 * max(right - left, bottom - top)), *image.size)
    x = round(min(max((left + right - side) / 2, 0), image.width - side))
    y = round(min(max((top + bottom - side) / 2, 0), image.height - side))
    part = heatmap[y : y + side, x : x + side]
    return _both(image.crop((x, y, x + side, y + side)).resize((CROP, CROP), Image.Resampling.BICUBIC), part), part


def thumbnail(image: Image.Image) -> str:
    """Make a small square of an image for a list.

    Args:
        image: RGB.

    Returns:
        Data URL.
    """
    return encode(ImageOps.fit(image, (THUMBNAIL, THUMBNAIL)))


def encode(image: Image.Image) -> str:
    """Encode an image for the page.

    Args:
        image: RGB.

    Returns:
        Data URL.
    """
    return _address(image, "JPEG", quality=85)


def inline_file(file: Path) -> str:
    """Take a JPEG file as it is.

    Args:
        file: its path.

    Returns:
        Data URL.
    """
    return inline(file.read_bytes(), "jpeg")


def strongest(heatmap: NDArray[np.float32]) -> tuple[str, str] | None:
    """Say in which ninth of a map it is strongest, for who cannot see it.

    Args:
        heatmap: (height, width), in [0, 1].

    Returns:
        "top", "middle" or "bottom", and "left", "middle" or "right"; None where it is nowhere strong.
    """
    if heatmap.size == 0 or heatmap.max() < STRONG:
        return None
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    rows, columns = ("top", "middle", "bottom"), ("left", "middle", "right")
    return rows[3 * row // heatmap.shape[0]], columns[3 * column // heatmap.shape[1]]


def _both(image: Image.Image, heatmap: NDArray[np.float32]) -> Picture:
    """An image as it is shown, and the map of it in any size."""
    step = max(1, max(heatmap.shape) // SIDE)  # of 40 megapixels, no copy is made; maps are smooth
    levels = (heatmap[::step, ::step] * 255 + 0.5).astype(np.uint8)
    heat = Image.fromarray(levels).resize(image.size, Image.Resampling.BILINEAR)
    opacity = heat.point([round(OPACITY * level) for level in range(256)])
    heat.putpalette(viridis())
    layer = heat.convert("RGB")
    layer.putalpha(opacity)
    return Picture(encode(image), image.width, image.height, _address(layer, "WEBP", quality=80))


def _address(image: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return inline(buffer.getvalue(), kind.lower())
