"""The one way in which this package opens an image, for files, uploads, data sets and arrays alike.

Pillow decodes; what reaches it from encoded bytes is no more than the pixels need. Its readers of metadata are the
part that a small hostile file can make run for minutes or take all memory, and the part that warns: `warnings` cannot
be silenced for one thread, so the warnings must not arise.
"""

import re
import struct

import numpy as np
from PIL import Image
from PIL.Image import Transpose
from PIL.JpegImagePlugin import JpegImageFile

from hf_deepfake.errors import ImageError
from hf_deepfake.images.formats import FORMATS, MAX_PIXELS, READERS
from hf_deepfake.images.source import MAX_BYTES, ImageInput, read_source

MIN_SIDE = 32
"""Shortest side, px: below it a face has no texture left to evaluate."""

GREY = (128, 128, 128)
"""What stands behind transparent pixels: as far from black as from white."""

_ROWS = 64
"""Rows of 16 bits that are scaled to 8 at once."""

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


def open_image(source: ImageInput, *, draft: int | None = None) -> Image.Image:
    """Open an image of any origin as RGB.

    The format is told from the content, never from the name. EXIF orientation is applied, transparency laid on mid
    grey, 16 bits scaled to 8, CMYK and palettes converted. Of several frames the first is taken, and then
    `info["animated"]` of the result is true; `info` holds nothing else. Threads may call this at the same time.

    Args:
        source: path, encoded bytes in any buffer, an open binary file, which is read from its beginning, a dict of
            "bytes" and "path" as `datasets` has it, of which either may be None, a PIL image, a uint8 array (H, W),
            (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA, or a uint8 tensor of 1, 3 or 4 channels (C, H, W).
        draft: shortest side in px that is enough. A JPEG of at least twice that side is decoded at half, a quarter
            or an eighth of its size, which is faster; the result is never smaller than `draft`.

    Returns:
        A new RGB image.

    Raises:
        ImageError: it is nothing of these, there is no such file, it is in no supported format, truncated, broken,
            or outside the limits `MAX_BYTES`, `MAX_PIXELS` and `MIN_SIDE`.
    """
    name = "the image"
    try:
        found, name = read_source(source)
        if isinstance(found, bytes):
            return _decode(*_lazy(found, name), name, draft)
        if isinstance(found, np.ndarray):
            _check_size(found.shape[1], found.shape[0], name)
            return _decode(Image.fromarray(found), False, name, None)
        # Drafting changes the image itself, and the caller's is not ours to change.
        return _decode(found, _has_frames(found), name, None)
    except ImageError:
        raise
    except Exception as error:  # decoders raise nearly anything on broken input, from struct.error to MemoryError
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{name} is truncated or broken ({reason}); use an intact copy") from error


def open_header(data: bytes) -> Image.Image:
    """Read what a file's header says, without what only metadata say; of a JPEG, the quantisation tables are there.

    Args:
        data: encoded bytes that `open_image` opens.

    Returns:
        A lazy image.
    """
    return _lazy(data, "the image")[0]


def _lazy(data: bytes, name: str) -> tuple[Image.Image, bool]:
    """Encoded bytes as an image of which only the header has been read, and whether further frames follow."""
    if len(data) > MAX_BYTES:
        raise ImageError(f"{name} has more than {MAX_BYTES // 1_000_000} MB; save it smaller")
    for signature, reader in READERS.items():
        if re.match(signature, data, re.DOTALL):
            return reader(data)
    raise ImageError(f"{name} is not an image in any of {', '.join(FORMATS)}; convert it first")


def _has_frames(image: Image.Image) -> bool:
    """Whether a PIL image is animated; a phone's MPO, a JPEG with its preview or depth map, is not."""
    return image.format != "MPO" and getattr(image, "is_animated", False)


def _decode(image: Image.Image, animated: bool, name: str, draft: int | None) -> Image.Image:
    """Decode, turn upright and convert to RGB."""
    _check_size(image.width, image.height, name)
    if draft is not None and isinstance(image, JpegImageFile):  # HEIC would give its thumbnail, another encoding
        image.draft(None, (draft, draft))
    image.load()
    _check_size(image.width, image.height, name)  # a HEIC has its true size only now
    upright = _UPRIGHT.get(_orientation(image.info.get("exif", b"")))
    rgb = _to_rgb(image if upright is None else image.transpose(upright), name)
    rgb.info = {"animated": True} if animated else {}
    return rgb


def _check_size(width: int, height: int, name: str) -> None:
    """Hold a claimed size against the limits."""
    if width * height > MAX_PIXELS:
        raise ImageError(f"{name} has more than {MAX_PIXELS // 1_000_000} megapixels; scale it down")
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{name} has {width} x {height} px; the shortest side must have at least {MIN_SIDE} px")


def _orientation(exif: bytes) -> int:
    """The EXIF orientation (tag 0x0112 of the first directory), 1 if there is none; all else stays unread."""
    try:
        block = exif.removeprefix(b"Exif\0\0")
        order = {b"II": "<", b"MM": ">"}[block[:2]]
        (start,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", block, entry)
            if tag == 0x0112:
                return struct.unpack_from(order + {3: "H", 4: "I"}[kind], block, entry + 8)[0]
    except (AttributeError, KeyError, struct.error):  # broken metadata is no reason to refuse intact pixels
        pass
    return 1


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    """A new RGB image from any mode."""
    if image.mode in ("I", "F"):
        raise ImageError(f"{name} has 32 bits a channel, of which none is agreed to be white; save it with 8 or 16")
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255; 65535 is 257 times that. In rows, for the sake of memory.
        wide, grey = np.asarray(image), np.empty((image.height, image.width), np.uint8)
        for top in range(0, image.height, _ROWS):
            grey[top : top + _ROWS] = (wide[top : top + _ROWS].astype(np.uint32) + 128) // 257
        return Image.fromarray(grey).convert("RGB")
    if image.has_transparency_data:
        behind = Image.new("RGB", image.size, GREY)
        with_alpha = image if image.mode == "RGBA" else image.convert("RGBA")
        behind.paste(with_alpha, mask=with_alpha)
        return behind
    return image.convert("RGB")
