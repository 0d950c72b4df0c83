"""The one way in which this package opens a picture, for files, uploads, data sets and arrays alike."""

import io
import threading
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base
from PIL.Image import Transpose

from hf_deepfake.errors import PictureError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")
"""Formats that photographs come in; every further decoder would only be a further way to attack."""

MAX_BYTES = 20_000_000
"""A 40-megapixel JPEG of high quality fits; more is refused before it is read."""

MAX_PIXELS = 40_000_000
"""What phones take today, 120 MB once decoded. Held against the size that the header claims, before decoding."""

MIN_SIDE = 32
"""Shortest side, px: below it a face has no texture left to judge."""

GREY = (128, 128, 128, 255)
"""What stands behind transparent pixels: as far from black as from white."""

_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""EXIF orientation to the operation that undoes it; 1 is upright and other values mean nothing."""

# Python's warning filters belong to the whole process, so only one thread at a time may silence Pillow.
_silenced = threading.Lock()


def open_picture(source: str | Path | bytes | Image.Image | np.ndarray, *, draft: int | None = None) -> Image.Image:
    """Open a picture of any origin as RGB.

    The format is told from the content, never from the name. EXIF orientation is applied, transparency laid on mid
    grey, 16 bits scaled to 8, CMYK and palettes converted. Of several frames the first is taken, and then
    `info["animated"]` of the result is true; `info` holds nothing else.

    Args:
        source: path, encoded bytes, PIL image, or uint8 array (H, W), (H, W, 3) RGB or (H, W, 4) RGBA.
        draft: shortest side in px that is enough. A JPEG of at least twice that side is decoded at half, a quarter
            or an eighth of its size, which is faster; the result is never smaller than `draft`.

    Returns:
        A new RGB image.

    Raises:
        PictureError: there is no such file, it is in no supported format, truncated, broken, or outside the limits
            `MAX_BYTES`, `MAX_PIXELS` and `MIN_SIDE`.
    """
    name = str(source) if isinstance(source, (str, Path)) else "the picture"
    try:
        with _silenced, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = _lazy(source, name)
            # Drafting changes the image itself, and the caller's is not ours to change.
            return _decode(image, name, None if image is source else draft)
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise PictureError(f"{name} is not a picture in any of {', '.join(FORMATS)}; convert it first") from error
    except Image.DecompressionBombError as error:
        raise PictureError(_too_many_pixels(name)) from error
    except Exception as error:  # decoders raise nearly anything on broken input, from struct.error to MemoryError
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"{name} is truncated or broken ({reason}); use an intact copy") from error


def _lazy(source: str | Path | bytes | Image.Image | np.ndarray, name: str) -> Image.Image:
    """The source as a PIL image of which only the header need have been read."""
    if isinstance(source, Image.Image):
        return source
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or not (source.ndim == 2 or (source.ndim == 3 and source.shape[2] in (3, 4))):
            raise PictureError(
                f"an array of {source.dtype} {source.shape} is no picture; give uint8 (H, W), (H, W, 3) or (H, W, 4)"
            )
        _check_size(source.shape[1], source.shape[0], name)
        return Image.fromarray(source)
    if isinstance(source, (str, Path)):
        source = _read(Path(source))
    if len(source) > MAX_BYTES:
        raise PictureError(f"{name} has more than {MAX_BYTES // 1_000_000} MB; save it smaller")
    return Image.open(io.BytesIO(source), formats=FORMATS)


def _read(path: Path) -> bytes:
    """The file's bytes, one more than allowed at most."""
    if not path.exists():
        raise PictureError(f"no such file {path}; check the path")
    if not path.is_file():
        raise PictureError(f"{path} is not a file; give the path of a picture")
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _decode(image: Image.Image, name: str, draft: int | None) -> Image.Image:
    """Decode, turn upright and convert to RGB."""
    _check_size(image.width, image.height, name)
    # A phone's MPO holds a JPEG and its preview or depth map, which nobody would call animated.
    animated = image.format != "MPO" and getattr(image, "is_animated", False)
    if draft is not None:
        image.draft(None, (draft, draft))
    image.load()
    picture = _to_rgb(_upright(image), name)
    picture.info = {"animated": True} if animated else {}
    return picture


def _check_size(width: int, height: int, name: str) -> None:
    """Hold a claimed size against the limits."""
    if width * height > MAX_PIXELS:
        raise PictureError(_too_many_pixels(name))
    if min(width, height) < MIN_SIDE:
        raise PictureError(f"{name} has {width} x {height} px; the shortest side must have at least {MIN_SIDE} px")


def _too_many_pixels(name: str) -> str:
    """What to say of a picture that claims too many pixels."""
    return f"{name} has more than {MAX_PIXELS // 1_000_000} megapixels; scale it down"


def _upright(image: Image.Image) -> Image.Image:
    """Undo the EXIF orientation."""
    try:
        orientation = image.getexif().get(Base.Orientation)
    except Exception:  # broken metadata is no reason to refuse intact pixels
        return image
    # A hostile tag may hold anything, unhashable values too.
    operation = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if operation is None else image.transpose(operation)


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    """A new RGB image from any mode."""
    if image.mode in ("I", "F"):
        raise PictureError(f"{name} has 32 bits a channel, of which none is agreed to be white; save it with 8 or 16")
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255; 65535 is 257 times that.
        return Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        behind = Image.new("RGBA", image.size, GREY)
        behind.alpha_composite(image.convert("RGBA"))
        return behind.convert("RGB")
    return image.convert("RGB")
