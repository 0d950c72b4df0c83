"""The one way in which this package opens a picture, for files, uploads, data sets and arrays alike.

Pillow decodes; what reaches it from encoded bytes is no more than the pixels need. Its readers of metadata are the
part that a small hostile file can make run for minutes or take all memory, and the part that warns: `warnings` cannot
be silenced for one thread, so the warnings must not arise.
"""

import io
import re
import struct

import numpy as np
from PIL import Image, TiffTags
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Image import Transpose
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from hf_deepfake.errors import PictureError
from hf_deepfake.pictures.source import MAX_BYTES, Picture, read_source

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")
"""Formats that photographs come in; every further decoder would only be a further way to attack."""

MAX_PIXELS = 40_000_000
"""What phones take today, 120 MB once decoded. Held against the size that the header claims, before decoding."""

MIN_SIDE = 32
"""Shortest side, px: below it a face has no texture left to judge."""

GREY = (128, 128, 128)
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

_MAX_PARTS = 50_000
"""Segments, chunks or strips of one file; 20 MB in chunks of 8 kB, as libpng writes them, are 2,500."""

_MAX_SCANS = 50
"""Scans of a progressive JPEG; encoders write about ten, and at 40 megapixels an empty one costs 40 ms and 65 bytes."""

_MAX_TIFF_TAGS = 1000
"""Tags of one TIFF directory; a camera writes fewer than a hundred."""

_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
"""FF 00 is a coded pixel's FF and FF FF filling; the others left out (TEM, RST0 to RST7, SOI) have no length."""

_JPEG_METADATA = {bytes([kind]) for kind in (*range(0xE1, 0xEE), 0xEF, 0xFE)}
"""APP1 to APP15 and comments, without APP14, which tells CMYK from YCCK."""

_GIF_PART = re.compile(b"[!,;]")
"""An extension, a frame or the end."""

_AVIF_EXIF = re.compile(rb"(infe(?:.{8}|.{10}))Exif", re.DOTALL)
"""An entry of the item list that says EXIF (ISO 14496-12, 8.11.6; versions 2 and 3 differ in the length of the id)."""

_TIFF_TAGS = {*range(254, 260), 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, *range(320, 326), 332, 338, 339}
_TIFF_TAGS |= {347, *range(512, 522), *range(529, 533)}
"""TIFF 6.0's tags of size, layout, colour and compression."""

_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
"""Bytes of a value by type (TIFF 6.0, section 2); readers skip other types."""

_TIFF_BYTES = (1, 2, 7)
"""Types that readers take for one value, however long."""


def open_picture(source: Picture, *, draft: int | None = None) -> Image.Image:
    """Open a picture of any origin as RGB.

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
        PictureError: it is nothing of these, there is no such file, it is in no supported format, truncated, broken,
            or outside the limits `MAX_BYTES`, `MAX_PIXELS` and `MIN_SIDE`.
    """
    name = "the picture"
    try:
        found, name = read_source(source)
        if isinstance(found, bytes):
            return _decode(*_lazy(found, name), name, draft)
        if isinstance(found, np.ndarray):
            _check_size(found.shape[1], found.shape[0], name)
            return _decode(Image.fromarray(found), False, name, None)
        # Drafting changes the image itself, and the caller's is not ours to change.
        return _decode(found, _has_frames(found), name, None)
    except PictureError:
        raise
    except Exception as error:  # decoders raise nearly anything on broken input, from struct.error to MemoryError
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"{name} is truncated or broken ({reason}); use an intact copy") from error


def open_header(data: bytes) -> Image.Image:
    """Read what a file's header says, without what only metadata say; of a JPEG, the quantisation tables are there.

    Args:
        data: encoded bytes that `open_picture` opens.

    Returns:
        A lazy image.
    """
    return _lazy(data, "the picture")[0]


def _lazy(data: bytes, name: str) -> tuple[Image.Image, bool]:
    """Encoded bytes as an image of which only the header has been read, and whether further frames follow."""
    if len(data) > MAX_BYTES:
        raise PictureError(f"{name} has more than {MAX_BYTES // 1_000_000} MB; save it smaller")
    for signature, reader in _READERS.items():
        if re.match(signature, data, re.DOTALL):
            return reader(data)
    raise PictureError(f"{name} is not a picture in any of {', '.join(FORMATS)}; convert it first")


def _has_frames(image: Image.Image) -> bool:
    """Whether a PIL image is animated; a phone's MPO, a JPEG with its preview or depth map, is not."""
    return image.format != "MPO" and getattr(image, "is_animated", False)


def _jpeg(data: bytes) -> tuple[Image.Image, bool]:
    """A JPEG without what Pillow would parse besides the picture: EXIF, profile, multi-picture index, comments."""
    kept, exif, scans, position = [b"\xff\xd8"], b"", 0, 2
    for _ in range(_MAX_PARTS):
        marker = _JPEG_MARKER.search(data, position)
        if scans:  # only after the first scan's header do coded pixels lie between the segments
            kept.append(data[position : marker.start() if marker else None])
        if marker is None:
            break
        kind = marker[1]
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])
        if kind == b"\xd9":
            kept.append(marker[0])
            break
        if kind not in _JPEG_METADATA:
            kept.append(data[marker.start() : position])
        elif not scans and not exif and data.startswith(b"Exif\0\0", marker.end() + 2):
            exif = data[marker.end() + 2 : position]
        scans += kind == b"\xda"
        if scans > _MAX_SCANS:
            raise ValueError(f"more than {_MAX_SCANS} scans")
    else:
        raise ValueError(f"more than {_MAX_PARTS} segments")
    image = JpegImageFile(io.BytesIO(b"".join(kept)))
    image.info["exif"] = exif
    return image, False


def _png(data: bytes) -> tuple[Image.Image, bool]:
    """A PNG without texts, profiles, unknown chunks and further frames."""
    kept, animated, position = [data[:8]], False, 8
    for _ in range(_MAX_PARTS):
        kind = data[position + 4 : position + 8]
        start, position = position, position + 12 + int.from_bytes(data[position : position + 4])
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"):
            kept.append(data[start:position])
        animated = animated or kind == b"fdAT"
        if kind == b"IEND" or position >= len(data):
            return PngImageFile(io.BytesIO(b"".join(kept))), animated
    raise ValueError(f"more than {_MAX_PARTS} chunks")


def _gif(data: bytes) -> tuple[Image.Image, bool]:
    """The first frame of a GIF, without comments."""

    def after_colours(position: int, flags: int) -> int:
        """Where a colour table ends, if the flags say that there is one."""
        return position + (3 << (flags % 8 + 1) if flags & 128 else 0)

    def after_blocks(position: int) -> int:
        """Where a chain of blocks ends, each of a byte that says how many follow."""
        while position < len(data) and data[position]:
            position += data[position] + 1
        return position + 1

    position = after_colours(13, data[10])
    head, control, frame = data[:position], b"", b""
    for _ in range(_MAX_PARTS):
        part = _GIF_PART.search(data, position)
        if part is None or part[0] == b";" or (frame and part[0] == b","):
            return GifImageFile(io.BytesIO(head + control + frame)), part is not None and part[0] == b","
        start = part.start()
        if part[0] == b",":
            left, top, width, height, flags = struct.unpack_from("<4HB", data, start + 1)
            if (left + width) * (top + height) > MAX_PIXELS:  # Pillow would enlarge the picture to hold it
                raise ValueError(f"a frame of more than {MAX_PIXELS // 1_000_000} megapixels")
            position = after_blocks(after_colours(start + 10, flags) + 1)
            frame = data[start:position]
        else:
            position = after_blocks(start + 2)
            if data[start + 1 : start + 2] == b"\xf9" and not frame:
                control = data[start:position]
    raise ValueError(f"more than {_MAX_PARTS} extensions")


def _webp(data: bytes) -> tuple[Image.Image, bool]:
    """A WebP as it is: Pillow parses none of its metadata."""
    image = WebPImageFile(io.BytesIO(data))
    return image, image.is_animated


def _avif(data: bytes) -> tuple[Image.Image, bool]:
    """An AVIF whose EXIF item goes by another name; its orientation is said by other means and is all that counts."""
    image = AvifImageFile(io.BytesIO(_AVIF_EXIF.sub(rb"\1none", data)))
    return image, image.is_animated


def _bmp(data: bytes) -> tuple[Image.Image, bool]:
    """A BMP, but not a run-length coded one, which Pillow decodes in Python: 5 s for 20 MB."""
    image = BmpImageFile(io.BytesIO(data))
    if image.tile[0].codec_name == "bmp_rle":
        raise ValueError("run-length coding is not supported")
    return image, False


def _tiff(data: bytes) -> tuple[Image.Image, bool]:
    """The first picture of a TIFF with only those tags that make it up, none of absurd size."""
    order = "<" if data.startswith(b"II") else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    if count > _MAX_TIFF_TAGS:
        raise ValueError(f"more than {_MAX_TIFF_TAGS} tags")
    end = start + 2 + 12 * count
    (following,) = struct.unpack_from(order + "I", data, end)
    kept = []
    for entry in range(start + 2, end, 12):
        tag, kind, values, offset = struct.unpack_from(order + "HHII", data, entry)
        if tag not in _TIFF_TAGS:
            continue
        size = values * _TIFF_SIZES.get(kind, 0)
        most = 1 if TiffTags.lookup(tag).length == 1 and kind not in _TIFF_BYTES else _MAX_PARTS
        if values > most or (size > 4 and offset + size > len(data)):
            raise ValueError(f"tag {tag} has {values} values")
        kept.append(data[entry : entry + 12])
    directory = struct.pack(order + "H", len(kept)) + b"".join(kept) + bytes(4)
    image = TiffImageFile(io.BytesIO(data[:start] + directory + data[start + len(directory) :]))
    if int(image.tag_v2.get(TILEWIDTH, 0)) * int(image.tag_v2.get(TILELENGTH, 0)) > MAX_PIXELS:
        raise ValueError(f"a tile of more than {MAX_PIXELS // 1_000_000} megapixels")
    return image, following > 0


_READERS = {
    rb"\xff\xd8\xff": _jpeg,
    rb"\x89PNG\r\n\x1a\n": _png,
    rb"RIFF.{4}WEBP": _webp,
    rb"BM": _bmp,
    rb"II\*\0|MM\0\*": _tiff,
    rb"GIF8[79]a": _gif,
    rb".{4}ftyp.{0,64}avi[fs]": _avif,
}
"""How a file of each of `FORMATS` begins, and what opens it."""


def _decode(image: Image.Image, animated: bool, name: str, draft: int | None) -> Image.Image:
    """Decode, turn upright and convert to RGB."""
    _check_size(image.width, image.height, name)
    if draft is not None:
        image.draft(None, (draft, draft))
    image.load()
    upright = _UPRIGHT.get(_orientation(image.info.get("exif", b"")))
    picture = _to_rgb(image if upright is None else image.transpose(upright), name)
    picture.info = {"animated": True} if animated else {}
    return picture


def _check_size(width: int, height: int, name: str) -> None:
    """Hold a claimed size against the limits."""
    if width * height > MAX_PIXELS:
        raise PictureError(f"{name} has more than {MAX_PIXELS // 1_000_000} megapixels; scale it down")
    if min(width, height) < MIN_SIDE:
        raise PictureError(f"{name} has {width} x {height} px; the shortest side must have at least {MIN_SIDE} px")


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
        raise PictureError(f"{name} has 32 bits a channel, of which none is agreed to be white; save it with 8 or 16")
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255; 65535 is 257 times that.
        return Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        behind = Image.new("RGB", image.size, GREY)
        with_alpha = image if image.mode == "RGBA" else image.convert("RGBA")
        behind.paste(with_alpha, mask=with_alpha)
        return behind
    return image.convert("RGB")
