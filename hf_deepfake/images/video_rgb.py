"""From a decoded frame to the picture that a player shows: RGB, upright, with square pixels."""

from fractions import Fraction
from typing import TYPE_CHECKING

from PIL import Image
from PIL.Image import Transpose

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

HD_LINES = 720
"""Height, px, from which a frame that does not name its matrix is BT.709; below it is BT.601, as browsers take it."""

WIDEST = 4
"""A pixel that claims to be wider or higher than this many times the other side is damage, and taken for square."""

_BT709, _BT601 = 1, 5
_NAMED = {1, 4, 5, 6, 7, 9}  # AVCOL_SPC_*: 709, FCC, 470BG, 170M, 240M, 2020 NCL: what swscale converts
_LIMITED, _FULL = 1, 2  # AVCOL_RANGE_*

HDR = {16, 18}
"""Transfer functions of high dynamic range, as FFmpeg numbers them: PQ and HLG."""

_QUARTERS = {1: Transpose.ROTATE_90, 2: Transpose.ROTATE_180, 3: Transpose.ROTATE_270}
"""Quarter turns counterclockwise, and what makes them. Other angles mean nothing, and mirrored phones write none."""


def to_rgb(frame: "VideoFrame", aspect: Fraction | None, reformatter: "VideoReformatter") -> Image.Image:
    """Convert a frame by its own colour matrix and range.

    High dynamic range is converted without tone mapping.

    Args:
        frame: as it was decoded.
        aspect: width of a pixel over its height; None is square.
        reformatter: of the clip, on which one thread works at a time.

    Returns:
        RGB, upright. Pixels that are not square are stretched along one side, so that none is lost.
    """
    from av.video.reformatter import Interpolation

    width, height = square(frame.width, frame.height, aspect)
    matrix = None if frame.format.is_rgb or frame.colorspace in _NAMED else guessed_matrix(frame.height)
    full = frame.color_range == _FULL or frame.format.is_rgb
    rgb = reformatter.reformat(
        frame,
        width=width,
        height=height,
        format="rgb24",
        src_colorspace=matrix,
        src_color_range=_FULL if full else _LIMITED,
        dst_color_range=_FULL,
        interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
        threads=1,
    )
    image = Image.fromarray(rgb.to_ndarray())
    turn = _QUARTERS.get(quarter_turns(frame.rotation))
    return image if turn is None else image.transpose(turn)


def quarter_turns(rotation: float) -> int:
    """Quarter turns counterclockwise, 0 to 3, in a frame's `rotation` in degrees."""
    return round(rotation / 90) % 4


def square(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Width and height, px, of a frame with square pixels.

    Args:
        width: px, as it is coded.
        height: px, likewise.
        aspect: width of a pixel over its height; None is square.

    Returns:
        Both; none is less than before.
    """
    if not aspect or not Fraction(1, WIDEST) <= aspect <= WIDEST:
        return width, height
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))


def guessed_matrix(height: int) -> int:
    """The colour matrix of a frame that names none, as FFmpeg numbers it, by its height in px."""
    return _BT709 if height >= HD_LINES else _BT601
