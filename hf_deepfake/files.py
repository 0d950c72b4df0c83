"""Writing files so that a crash or a full disk never leaves half a file or loses the one before."""

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hf_deepfake.errors import InputError


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Yield a temporary path beside `path`; what was written there takes its place when the block ends well.

    Args:
        path: the file to write or replace.

    Yields:
        Path of the temporary file.

    Raises:
        InputError: the file system refuses, as when the disk is full; `path` is then as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        raise InputError(
            f"{path} could not be saved ({error.strerror or error}); what was there before is unharmed, "
            "so make room or choose another folder and go on"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, whole or not at all; NaN and infinity are not JSON and raise ValueError."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def printable(name: str) -> str:
    r"""Write a file's name so that it can be printed and stored.

    Args:
        name: as the file system gives it.

    Returns:
        The name, with bytes that are not UTF-8 as `\xNN`.
    """
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def make_folder(folder: Path) -> Path:
    """Make a folder and those above it, unless it is there.

    Args:
        folder: what to make.

    Returns:
        The folder.

    Raises:
        InputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made ({error.strerror}); choose another folder") from error
    return folder
