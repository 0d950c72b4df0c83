"""Facts of an image's file, none of which a forger chooses: how it was encoded, not what it shows."""

import io

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from hf_deepfake.images.formats import FORMATS

FACTS = {
    "jpeg": "format is JPEG",
    "png": "format is PNG",
    "webp": "format is WebP",
    "quality": "JPEG quality",
    "chroma_quality": "JPEG quality of colour",
    "subsampled": "colour stored at lower resolution",
    "progressive": "progressive JPEG",
    "width": "width, px",
    "height": "height, px",
    "aspect": "width over height",
    "bytes_per_pixel": "bytes per pixel",
    "exif": "has EXIF",
    "profile": "has a colour profile",
    "density": "has a print density",
    "comment": "has a comment",
    "grey": "stored as grey",
    "alpha": "has transparency",
}
"""Names of the facts, with what they are called in a report."""

_LUMA = (16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29)
_LUMA += (51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121)
_LUMA += (120, 101, 72, 92, 95, 98, 112, 100, 103, 99)
_CHROMA = (17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, *(99,) * 5, 47, 66, *(99,) * 38)


def file_facts(encoded: bytes) -> dict[str, float]:
    """Read the facts from the file's header; no pixel is decoded.

    Args:
        encoded: a file that `open_image` opens.

    Returns:
        `FACTS` by name: sides in px, 1 or 0 for yes or no, and NaN for what the format does not have.
    """
    with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
        facts = dict.fromkeys(FACTS, np.nan)
        facts["jpeg"] = float(isinstance(image, JpegImageFile))
        facts |= {name: float(image.format == name.upper()) for name in ("png", "webp")}
        facts |= {"width": float(image.width), "height": float(image.height), "aspect": image.width / image.height}
        facts["bytes_per_pixel"] = len(encoded) / (image.width * image.height)
        facts["exif"] = float("exif" in image.info)
        facts["profile"] = float(bool(image.info.get("icc_profile")))
        facts["density"] = float("dpi" in image.info)
        facts["comment"] = float("comment" in image.info)
        facts["grey"] = float(image.mode in ("1", "L", "LA") or image.mode.startswith("I;16"))
        facts["alpha"] = float(image.has_transparency_data)
        if isinstance(image, JpegImageFile):
            tables = [image.quantization[key] for key in sorted(image.quantization)]
            facts["quality"] = jpeg_quality(tables[0], _LUMA)
            facts["progressive"] = float(bool(image.info.get("progressive")))
            if image.mode != "L":
                facts["chroma_quality"] = jpeg_quality(tables[-1], _CHROMA if len(tables) > 1 else _LUMA)
                facts["subsampled"] = float(get_sampling(image) in (1, 2))
        return facts


def jpeg_quality(table: list[int], standard: tuple[int, ...] = _LUMA) -> float:
    """Estimate the quality that an encoder was given from a quantisation table.

    Libjpeg scales the example tables of the standard (ITU-T T.81, annex K) by 5000 / q per cent for a quality q below
    50, and 200 - 2 q above, and caps steps at 255; this inverts it at the mean of the steps below that. Encoders with
    tables of their own get the quality of the most similar strength.

    Args:
        table: 64 steps, row by row, as Pillow gives them.
        standard: 64 steps of the standard's table.

    Returns:
        Quality in (0, 100].
    """
    steps = [pair for pair in zip(table, standard, strict=True) if pair[0] < 255] or [(255, 10)]
    percent = 100 * sum(step for step, _ in steps) / sum(step for _, step in steps)
    return float(min(100.0, (200 - percent) / 2 if percent <= 100 else 5000 / percent))
