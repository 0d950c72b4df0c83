"""Writing files so that a crash or a full disk never leaves half a file or loses the one before."""

import errno
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from hf_deepfake.errors import InputError


def local_path(path: str | Path) -> Path:
    """A path as a person writes it: `~` is the home folder, as a shell has it.

    Args:
        path: path of a file or folder, there or not.

    Returns:
        The path; as it stands where there is no such home.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises on names such as ~backup.jpg


def cache_path(given: str | None = None) -> Path:
    """Where what can be made again is kept: as given, else $HF_DEEPFAKE_CACHE, else ~/.cache/hf_deepfake."""
    return local_path(given or os.environ.get("HF_DEEPFAKE_CACHE") or "~/.cache/hf_deepfake")


def local_name(name: str) -> str:
    """The same for what may be a path or a name, such as `owner/name` on the Hub; as text."""
    return str(local_path(name)) if name.startswith("~") else name


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
        raise InputError(f"{path} could not be saved: {refusal(error)}; what was there before is unharmed") from error
    finally:
        temporary.unlink(missing_ok=True)


def refusal(error: OSError) -> str:
    """Why the file system refused to write, and what to do about it.

    Args:
        error: what it raised.

    Returns:
        A clause; only a disk or a quota that is full is called so.
    """
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"{error.strerror or 'no space left'}, so make room there or choose another folder"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"{error.strerror}, so allow writing there or choose another folder"
    return f"{error.strerror or error}, so mend that or choose another folder"


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


def try_folder(folder: str | Path) -> Path:
    """Refuse, before any work is done, a folder that could not be made or written in afterwards; nothing is left.

    A file is made and removed in the folder, or where it is missing in the nearest one above it: what a file system
    allows is known only by trying, for it may be mounted read-only, and root may write whatever the permissions say.

    Args:
        folder: where something will be written.

    Returns:
        Its path.

    Raises:
        InputError: it is no folder, a file lies where a folder above it should be, or nothing may be written there.
    """
    folder = local_path(folder)
    place = folder.absolute()
    try:
        while not _is_there(place):
            place = place.parent
        with NamedTemporaryFile(dir=place, prefix="."):
            return folder
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(
            f"{folder} cannot be made or written in ({place}: {why}); allow writing there or choose another folder"
        ) from error


def try_file(path: str | Path) -> Path:
    """Refuse, before any work is done, a file that could not be written afterwards; see `try_folder`.

    Args:
        path: the file that will be written or replaced.

    Returns:
        Its path.

    Raises:
        InputError: a folder has this name, or its own folder could not be made or written in.
    """
    path = local_path(path)
    try_folder(path.parent)
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it")
    return path


def _is_there(path: Path) -> bool:
    """Whether there is anything at `path`; raises `OSError` where there could not be."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True
