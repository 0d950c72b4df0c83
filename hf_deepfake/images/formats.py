"""Readers of the formats that photographs come in, each handing Pillow no more of a file than the pixels need."""

import io
import re
import struct
from functools import cache
from importlib.metadata import version

from PIL import Image, TiffTags, features
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from hf_deepfake.errors import ImageError

try:
    from pillow_heif import HeifImageFile, libheif_version, register_heif_opener
except ImportError:  # an extra
    HeifImageFile, _HEIF = None, None
else:
    _HEIF = libheif_version()
    register_heif_opener()  # for whoever decodes a data set's images, and reads headers, by Pillow itself

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", *(() if HeifImageFile is None else ("HEIF",)))
"""Formats that photographs come in; every further decoder would only be a further way to attack."""

NEEDS_HEIF = 'HEIC, which phones save, needs pillow-heif: pip install "hf-deepfake[heic]", or convert it to JPEG'
"""What to say where the decoder is missing."""

MAX_PIXELS = 40_000_000
"""What phones take today, 120 MB once decoded. Held against the size that the header claims, before decoding."""

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


def begins_image(head: bytes) -> bool:
    """Whether a file that begins so is in a format that photographs come in.

    Args:
        head: the first `HEAD` bytes, or all there are.

    Returns:
        True for those of `FORMATS`, and for HEIC whether or not its decoder is installed.
    """
    return any(re.match(signature, head, re.DOTALL) for signature in READERS)


@cache
def decoders() -> str:
    """Name everything that decides on the pixels of an opened image, with its version: this package and each decoder.

    Returns:
        One line. Where it is another, the same file may have other pixels, by a rounding or more.
    """
    names = ("pil", "jpg", "libjpeg_turbo", "mozjpeg", "zlib", "zlib_ng", "webp", "libtiff", "avif")
    found = {"hf-deepfake": version("hf-deepfake")} | {name: features.version(name) for name in names}
    return " ".join(f"{name} {number}" for name, number in (found | {"heif": _HEIF}).items() if number)


def _jpeg(data: bytes) -> tuple[Image.Image, bool]:
    """A JPEG without what Pillow would parse besides the image: EXIF, profile, multi-image index, comments."""
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
            if (left + width) * (top + height) > MAX_PIXELS:  # Pillow would enlarge the image to hold it
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


def _heif(data: bytes) -> tuple[Image.Image, bool]:
    """A HEIC without its EXIF: its orientation is said by other means, which the decoder heeds."""
    if HeifImageFile is None:
        raise ImageError(NEEDS_HEIF)
    image = HeifImageFile(io.BytesIO(data))
    image.info.pop("exif", None)
    return image, image.is_animated


def _bmp(data: bytes) -> tuple[Image.Image, bool]:
    """A BMP, but not a run-length coded one, which Pillow decodes in Python: 5 s for 20 MB."""
    image = BmpImageFile(io.BytesIO(data))
    if image.tile[0].codec_name == "bmp_rle":
        raise ValueError("run-length coding is not supported")
    return image, False


def _tiff(data: bytes) -> tuple[Image.Image, bool]:
    """The first image of a TIFF with only those tags that make it up, none of absurd size."""
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


READERS = {
    rb"\xff\xd8\xff": _jpeg,
    rb"\x89PNG\r\n\x1a\n": _png,
    rb"RIFF.{4}WEBP": _webp,
    rb"BM": _bmp,
    rb"II\*\0|MM\0\*": _tiff,
    rb"GIF8[79]a": _gif,
    rb".{4}ftyp.{0,64}avi[fs]": _avif,
    rb".{4}ftyp.{0,64}(hei[cxms]|hev[cxms]|mif1|msf1)": _heif,  # these stand in AVIF's list of brands, too
}
"""How a file of each of `FORMATS` begins, and what opens it."""

HEAD = 80
"""Bytes at the beginning of a file that tell its format."""
