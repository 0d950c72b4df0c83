"""Views of an image for an analyst: what it looks like to methods older than any model. They evaluate nothing."""

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from hf_deepfake.explain.overlay import GROUND, INK, caption_font, viridis

SIDE = 1024
"""Side of the central window that is looked at, px at the image's own resolution: rescaling would change it all."""

QUALITY = 90
"""Of the JPEG that error levels are held against (Krawetz, "An Image's Worth", Black Hat 2007, uses 95)."""

ERROR_FULL, NOISE_FULL = 24, 12
"""Differences, of 255, that are drawn as the brightest colour: the same for every image, so that views compare."""

_TILE, _GAP, _TITLE = 420, 16, 30


def window(image: Image.Image) -> Image.Image:
    """Cut the part of an image that is looked at.

    Args:
        image: RGB.

    Returns:
        Its central square or rectangle of at most `SIDE` px.
    """
    width, height = (min(side, SIDE) for side in image.size)
    # On the grid of 8 px, or an old grid of JPEG blocks would lie elsewhere than the new one.
    left, top = ((image.width - width) // 16 * 8, (image.height - height) // 16 * 8)
    return image.crop((left, top, left + width, top + height))


def error_level(image: Image.Image) -> Image.Image:
    """Show how much each place changes when the image is saved once more as JPEG.

    Args:
        image: RGB.

    Returns:
        RGB of the same size, dark where nothing changes and bright from `ERROR_FULL` of 255 on.
    """
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    with Image.open(buffer, formats=("JPEG",)) as again:
        change = np.asarray(ImageChops.difference(image, again.convert("RGB"))).max(axis=2)
    return _coloured(change / ERROR_FULL)


def noise_residual(image: Image.Image) -> Image.Image:
    """Show what a median filter of 3 x 3 px removes from an image: its noise and its finest texture.

    Args:
        image: RGB.

    Returns:
        RGB of the same size, dark where nothing is removed and bright from `NOISE_FULL` of 255 on.
    """
    grey = image.convert("L")
    residue = np.asarray(ImageChops.difference(grey, grey.filter(ImageFilter.MedianFilter(3))))
    return _coloured(residue / NOISE_FULL)


def spectrum(image: Image.Image) -> Image.Image:
    """Show how strong each spatial frequency is in an image.

    Args:
        image: RGB.

    Returns:
        RGB square, low frequencies in the middle; brightness is the logarithm of the magnitude between its 1st and
        99.9th percentile, after a Hann window.
    """
    side = min(image.size)
    grey = np.asarray(image.convert("L"), np.float32)[:side, :side]
    hann = np.hanning(side).astype(np.float32)
    magnitude = np.abs(np.fft.fftshift(np.fft.fft2((grey - grey.mean()) * hann * hann[:, None])))
    level = np.log(magnitude + 1)
    low, high = np.percentile(level, (1, 99.9))
    return _coloured((level - low) / max(float(high - low), 1e-6))


def draw_views(views: Mapping[str, Image.Image]) -> Image.Image:
    """Lay views side by side under their names.

    Args:
        views: RGB, by name.

    Returns:
        RGB, two in a row.
    """
    rows = -(-len(views) // 2)
    sheet = Image.new("RGB", (2 * _TILE + 3 * _GAP, rows * (_TILE + _TITLE + _GAP) + _GAP), GROUND)
    draw, font = ImageDraw.Draw(sheet), caption_font(16)
    for place, (name, view) in enumerate(views.items()):
        left, top = _GAP + place % 2 * (_TILE + _GAP), _GAP + place // 2 * (_TILE + _TITLE + _GAP)
        draw.text((left, top), name, INK, font)
        scale = _TILE / max(view.size)
        size = (max(round(view.width * scale), 1), max(round(view.height * scale), 1))
        sheet.paste(view.resize(size, Image.Resampling.BICUBIC, reducing_gap=3), (left, top + _TITLE))
    return sheet


def _coloured(values: NDArray[np.floating]) -> Image.Image:
    """Values in [0, 1] in the colours of the maps."""
    indexed = Image.fromarray((values.clip(0, 1) * 255).astype(np.uint8))
    indexed.putpalette(viridis())
    return indexed.convert("RGB")
