"""What an image's file says of its past, and views of its pixels: they inform, and never change a score."""

import io
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from hf_deepfake.audits.facts import jpeg_quality
from hf_deepfake.forensics.views import error_level, noise_residual, spectrum, window
from hf_deepfake.images.open import open_header, open_image
from hf_deepfake.images.source import read_bytes

MEANINGS = {
    "Content Credentials": (
        "A signed record of how an image was made. It binds whoever signed it, which is worth as much as the signer; "
        "most images have none and anyone can remove it, so that its absence says nothing."
    ),
    "File": "How the image was last saved. Every program and messaging app that saves it again overwrites this.",
    "EXIF": "What a device or program wrote into the file. It is easily forged, and messaging apps remove it.",
    "Error level": (
        "How much each place changes when saved once more as JPEG. A part of another origin can stand out; edges and "
        "texture always do, and after one more re-save of the whole nothing is left to see."
    ),
    "Noise residual": (
        "What a median filter removes. A pasted part can carry other noise than its surroundings; so do make-up, "
        "shallow focus and a phone's denoising."
    ),
    "Spectrum": (
        "Strength of spatial frequencies, low ones in the middle. A generator's upsampling can leave regular dots or a "
        "grid; so do enlarging, screens and, in steps of an eighth, JPEG."
    ),
}
"""What each part of an inspection can and cannot show."""

_EXIF = re.compile(rb"(?:Exif\0\0|eXIf|EXIF....|\A|\A.{4}ftypavi.*?\0{4})(II\*\0|MM\0\*)", re.DOTALL)
"""The start of a TIFF block in a JPEG, a PNG, a WebP or an AVIF; a TIFF is one."""

_EXIF_BYTES = 65_536
"""What a JPEG's segment can hold; more is not looked at, but in a TIFF, whose tags may stand behind its pixels."""

_EXIF_ENTRIES = 200

_TAGS = {
    0x010F: "maker",
    0x0110: "model",
    0x0131: "program",
    0x0132: "changed",
    0x013B: "author",
    0x9003: "taken",
    0xA434: "lens",
}
_ORIENTATION, _EXIF_FOLDER, _GPS_FOLDER = 0x0112, 0x8769, 0x8825

_TURNS = {
    1: "upright",
    2: "mirrored",
    3: "turned by 180 degrees",
    4: "upside down and mirrored",
    5: "turned by 90 degrees and mirrored",
    6: "turned by 90 degrees to the left",
    7: "turned by 90 degrees and mirrored",
    8: "turned by 90 degrees to the right",
}
"""How the stored pixels lie, by EXIF orientation; they are shown and evaluated upright."""

_NO_READER = "not read: pip install 'hf-deepfake[c2pa]' brings the reader"


@dataclass(frozen=True)
class Inspection:
    """What was seen of one image.

    Attributes:
        image: RGB, the part of the image that the views show.
        facts: by part of `MEANINGS`, lines of text about the file.
        views: by part of `MEANINGS`, RGB views of that part.
    """

    image: Image.Image
    facts: dict[str, list[str]]
    views: dict[str, Image.Image]

    def summary(self) -> str:
        """Lay out the facts, each part with what it can and cannot show.

        Returns:
            Text.
        """
        parts = [*self.facts, *self.views]
        return "\n\n".join(
            "\n".join([part, *(f"  {line}" for line in self.facts.get(part, [])), f"  ({MEANINGS[part]})"])
            for part in parts
        )


def inspect_image(source: str | Path | bytes) -> Inspection:
    """Inspect an image.

    Nothing is fetched: credentials that a file only points to are said to be elsewhere.

    Args:
        source: path, or the file's bytes.

    Returns:
        The inspection.

    Raises:
        ImageError: it is no image that `open_image` opens.
    """
    encoded = source if isinstance(source, bytes) else read_bytes(Path(source))
    image = open_image(encoded)
    centre = window(image)
    return Inspection(
        image=centre,
        facts={
            "Content Credentials": _credentials(encoded),
            "File": _file(encoded, image),
            "EXIF": _exif_lines(encoded),
        },
        views={
            "Error level": error_level(centre),
            "Noise residual": noise_residual(centre),
            "Spectrum": spectrum(centre),
        },
    )


def _file(encoded: bytes, image: Image.Image) -> list[str]:
    """Format, size and compression."""
    header = open_header(encoded)
    lines = [f"{header.format}, {image.width} x {image.height} px, {len(encoded) / 1000:,.0f} kB"]
    if isinstance(header, JpegImageFile):
        tables = [header.quantization[key] for key in sorted(header.quantization)]
        sampling = {0: "full", 1: "half", 2: "a quarter of the"}.get(get_sampling(header), "some other")
        scans = "progressive" if header.info.get("progressive") else "baseline"
        lines.append(f"quality about {jpeg_quality(tables[0]):.0f} of 100, colour at {sampling} resolution, {scans}")
    return lines


def _exif_lines(encoded: bytes) -> list[str]:
    """What EXIF says; that there is none, and that there is some of which nothing is shown, are different things."""
    found = _EXIF.search(encoded)
    start = found.start(1) if found else None
    if start is None:
        return ["none"]
    block = encoded[start : start + _EXIF_BYTES] if start else encoded
    lines = [f"{name}: {value}" for name, value in _exif(block)]
    # A TIFF has tags in any case, for its pixels.
    return lines or ["there is some, but nothing that is shown here" if start else "none"]


def _exif(block: bytes) -> Iterator[tuple[str, str]]:
    """The texts of a few tags, how the pixels lie, and whether there is a place.

    Read here, since Pillow's reader can be made to take all memory by a small file (see `images.open`).
    """
    order = "<" if block.startswith(b"II") else ">"
    folders = [4]
    for at in folders:
        try:
            (start,) = struct.unpack_from(f"{order}I", block, at)
            (count,) = struct.unpack_from(f"{order}H", block, start)
            for entry in range(min(count, _EXIF_ENTRIES)):
                where = start + 2 + 12 * entry
                tag, kind, size, offset = struct.unpack_from(f"{order}HHII", block, where)
                if tag == _EXIF_FOLDER and len(folders) == 1:
                    folders.append(where + 8)
                elif tag == _GPS_FOLDER:
                    yield "place", "stated (GPS)"
                elif tag == _ORIENTATION and kind in (3, 4):
                    (turn,) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", block, where + 8)
                    yield "stored", _TURNS.get(turn, f"in orientation {turn}, which means nothing")
                elif tag in _TAGS and kind == 2:
                    text = block[offset : offset + size] if size > 4 else block[where + 8 : where + 8 + size]
                    yield _TAGS[tag], _printable(text.split(b"\0")[0].decode("utf-8", "replace"))
        except struct.error:  # cut off, or pointing outside
            continue


def _credentials(encoded: bytes) -> list[str]:
    """Who signed the image's Content Credentials, and what they say was done."""
    try:
        import c2pa
    except ImportError:
        return [_NO_READER]
    settings = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
    try:
        with c2pa.Context(c2pa.Settings.from_dict(settings)) as context:
            reader = c2pa.Reader.try_create(io.BytesIO(encoded), context=context)
            if reader is None:
                return ["none"]
            with reader:
                content, state = json.loads(reader.json()), reader.get_validation_state()
    except c2pa.C2paError as error:
        return [f"there are some, and they cannot be read ({_printable(str(error))})"]
    return list(_describe(content["manifests"].get(content.get("active_manifest"), {}), state))


def _describe(manifest: dict[str, Any], state: str | None) -> Iterator[str]:
    """A manifest in words."""
    signature = manifest.get("signature_info") or {}
    signer = signature.get("common_name") or signature.get("issuer") or "unknown"
    yield f"signed by {_printable(str(signer))}; the check says: {_printable(str(state or 'unknown'))}"
    programs = [str(one.get("name", "")) for one in manifest.get("claim_generator_info") or []]
    if any(programs):
        yield f"written by {_printable(', '.join(filter(None, programs)))}"
    for assertion in manifest.get("assertions") or []:
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            for action in (assertion.get("data") or {}).get("actions") or []:
                kind = str(action.get("digitalSourceType", "")).rsplit("/", 1)[-1]
                yield _printable(f"{action.get('action', 'an action')}{f', source: {kind}' if kind else ''}")


def _printable(text: str) -> str:
    """Text of a stranger on one line, without control characters, and not too long."""
    return re.sub(r"[^\w .,:;+/()@'-]", " ", text).strip()[:120]
