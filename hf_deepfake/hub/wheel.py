"""A wheel of this package, which no index has, as it is installed here."""

import base64
import hashlib
import io
import zipfile
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath

PACKAGE = Path(__file__).parents[1]
WHEEL = "Wheel-Version: 1.0\nGenerator: hf_deepfake\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def pack_wheel() -> tuple[str, bytes]:
    """Pack a wheel of this package as it is installed; the same package gives the same bytes.

    Of what the installer noted, only what the package states of itself goes in: the rest names folders here.

    Returns:
        Its name and content.
    """
    installed = distribution("hf-deepfake")
    home = f"hf_deepfake-{installed.version}.dist-info"
    inside = {path.relative_to(PACKAGE.parent): path for path in sorted(PACKAGE.rglob("*")) if path.is_file()}
    files = {
        name.as_posix(): path.read_bytes()
        for name, path in inside.items()
        if not any(part == "__pycache__" or part.startswith(".") for part in name.parts)
    }
    stated = installed.read_text("METADATA") or installed.read_text("PKG-INFO") or ""
    files |= {f"{home}/METADATA": stated.encode(), f"{home}/WHEEL": WHEEL.encode()}
    files[f"{home}/entry_points.txt"] = (installed.read_text("entry_points.txt") or "").encode()
    files |= {
        f"{home}/{PurePosixPath(*path.parts[1:])}": Path(path.locate()).read_bytes()
        for path in installed.files or ()
        if path.parts[1:2] == ("licenses",)
    }
    lines = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{home}/RECORD"] = "\n".join([*lines, f"{home}/RECORD,,", ""]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)  # of a fixed date
    return f"hf_deepfake-{installed.version}-py3-none-any.whl", packed.getvalue()


def _digest(content: bytes) -> str:
    """SHA-256 as a wheel's RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
