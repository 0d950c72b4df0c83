"""Draw a map over its image: what speaks for the verdict shines, the rest of the image stays as it is."""

import textwrap
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

FLOOR = 1.0
"""Logits, odds of 2.7 to 1: a map whose strongest place is weaker than this is drawn as weak as it is."""

ROWS = 256
"""Rows of a large heat map that are computed at once."""

SIDES = (448, 1024)
"""Least and greatest longer side of the image in an overlay, px."""
WIDTH = 384
"""Least width of an overlay, px, so that its words have room."""

OPACITY = 0.65  # of the hottest place: a face stays a face under it
GROUND, INK, GREY, WHITE = "#FBFBF9", "#222222", "#808080", "#FFFFFF"


def to_heatmap(values: Tensor | NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Bring a map to an image's size and to [0, 1], without stretching a weak one.

    Args:
        values: (h, w), in logits and at least 0: one of `Maps.values`.
        size: width and height of the image, px.

    Returns:
        float32 (height, width) in [0, 1], where 1 is the map's strongest place or `FLOOR`, whichever is more;
        bicubic between the cells.
    """
    heatmap = np.empty((size[1], size[0]), np.float32)
    for rows, band in _bands(values, size):
        heatmap[rows] = band
    return heatmap


def _bands(values: Tensor | NDArray[np.float32], size: tuple[int, int]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Rows of a heat map and where they lie: of an image of 40 megapixels the whole of it takes 160 MB."""
    array = torch.as_tensor(values, dtype=torch.float32, device="cpu").numpy()
    grid = Image.fromarray(array / max(float(array.max()), FLOOR))
    step = grid.height / size[1]
    for top in range(0, size[1], ROWS):
        bottom = min(top + ROWS, size[1])
        place = (0, top * step, grid.width, bottom * step)
        band = grid.resize((size[0], bottom - top), Image.Resampling.BICUBIC, box=place)
        yield slice(top, bottom), np.asarray(band).clip(0, 1)


def compose(values: Tensor, regions: Sequence[tuple[int, int, int, int]], size: tuple[int, int]) -> NDArray[np.float32]:
    """Lay the maps of an image's regions in one map of the image; where they overlap the stronger counts.

    Args:
        values: (N, h, w), as for `to_heatmap`.
        regions: left, top, right and bottom of each, px, inside the image.
        size: width and height of the image, px.

    Returns:
        float32 (height, width) in [0, 1], 0 outside the regions.
    """
    heatmap = np.zeros((size[1], size[0]), np.float32)
    for value, (left, top, right, bottom) in zip(values, regions, strict=True):
        place = heatmap[top:bottom, left:right]
        for rows, band in _bands(value, (right - left, bottom - top)):
            np.maximum(place[rows], band, out=place[rows])
    return heatmap


def shade(image: Image.Image, heatmap: NDArray[np.float32]) -> Image.Image:
    """Lay a heat map over its image, the less transparent the hotter.

    Args:
        image: RGB.
        heatmap: (height, width) of the image, in [0, 1].

    Returns:
        Opaque RGB of the same size.
    """
    shaded = Image.new("RGB", image.size)
    for top in range(0, image.height, ROWS):
        heat = Image.fromarray((heatmap[top : top + ROWS] * 255 + 0.5).astype(np.uint8))
        opacity = heat.point([round(OPACITY * level) for level in range(256)])
        heat.putpalette(viridis())
        under = image.crop((0, top, image.width, top + heat.height))
        shaded.paste(Image.composite(heat.convert("RGB"), under, opacity), (0, top))
    return shaded


def draw_overlay(
    image: Image.Image,
    heatmap: NDArray[np.float32],
    caption: str,
    boxes: Sequence[tuple[float, float, float, float]] = (),
) -> Image.Image:
    """Draw an image with its heat map, the faces, a colour bar and the verdict, to be read on its own.

    Args:
        image: RGB, of any size; drawn with a longer side of 448 to 1,024 px.
        heatmap: (height, width) of the image, in [0, 1].
        caption: the verdict in words; long ones are wrapped.
        boxes: (left, top, right, bottom) of each face, px of the image.

    Returns:
        Opaque RGB, at least 384 px wide.
    """
    longer = max(image.size)
    scale = min(max(longer, SIDES[0]), SIDES[1]) / longer
    width, height = (max(round(side * scale), 1) for side in image.size)
    heat = Image.fromarray(heatmap).resize((width, height), Image.Resampling.BILINEAR)
    shaded = shade(image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3), np.asarray(heat))
    frame_boxes(shaded, [tuple(scale * edge for edge in box) for box in boxes])

    canvas_width = max(width, WIDTH)
    margin = em = 14 + canvas_width // 128
    words = caption_font(em)
    lines = _wrapped(caption, words, canvas_width - 2 * margin)
    legend_top = height + margin
    caption_top = legend_top + 2 * em
    canvas = Image.new("RGB", (canvas_width, caption_top + round(1.4 * em * len(lines)) + margin), GROUND)
    canvas.paste(shaded, ((canvas_width - width) // 2, 0))
    _legend(canvas, (margin, legend_top, canvas_width - margin, legend_top + em))
    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        draw.text((margin, caption_top + round(1.4 * em * number)), line, INK, words)
    return canvas


def frame_boxes(image: Image.Image, boxes: Sequence[tuple[float, ...]]) -> None:
    """Draw boxes in white on a dark rim, which shows on any image.

    Args:
        image: RGB, drawn on.
        boxes: (left, top, right, bottom) of each, px.
    """
    draw = ImageDraw.Draw(image)
    line = max(max(image.size) // 250, 2)
    for left, top, right, bottom in boxes:
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=INK, width=line + 2)
        draw.rectangle((left, top, right, bottom), outline=WHITE, width=line)


def _legend(canvas: Image.Image, box: tuple[int, int, int, int]) -> None:
    """Draw the colour bar, as the colours look over grey, between what its ends mean."""
    left, top, right, bottom = box
    words = caption_font(round(0.8 * (bottom - top)))
    low, high = "no sign of it", "strongest sign"
    gap = (bottom - top) // 2
    start, end = left + round(words.getlength(low)) + gap, right - round(words.getlength(high)) - gap
    ramp = np.tile(np.linspace(0, 1, end - start, dtype=np.float32), (bottom - top, 1))
    canvas.paste(shade(Image.new("RGB", (end - start, bottom - top), GREY), ramp), (start, top))
    draw = ImageDraw.Draw(canvas)
    middle = (top + bottom) / 2
    draw.text((left, middle), low, INK, words, anchor="lm")
    draw.text((right, middle), high, INK, words, anchor="rm")


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Lines of at most about `width` px."""
    letter = font.getlength(text) / max(len(text), 1)
    return textwrap.wrap(text, max(int(0.95 * width / max(letter, 1)), 1))


def caption_font(size: int) -> ImageFont.FreeTypeFont:
    """Matplotlib's own font at `size` px: Pillow's has no dash, no accents and no mathematical signs."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


@cache
def viridis() -> bytes:
    """The map's colours: even steps look even, colour-blind readers see them, and skin has neither its green nor teal.

    Returns:
        256 times red, green and blue, as Pillow's palettes have them.
    """
    import matplotlib  # a map is made without, and only drawn with it

    return matplotlib.colormaps["viridis"](np.linspace(0, 1, 256), bytes=True)[:, :3].tobytes()
