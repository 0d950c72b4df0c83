"""Unpacking a zip that someone else made: once, whole or not at all, and nothing but its pictures and tables."""

import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from hf_deepfake.data.index import PICTURE_SUFFIXES
from hf_deepfake.data.tables import is_table
from hf_deepfake.errors import InputError

MAX_ENTRIES = 5_000_000
"""Files in a zip: more than any face data set has, few enough to list in memory."""

MAX_UNPACKED = 200_000_000_000
"""Bytes that the files may claim together: DFDC's face crops fit, a common disk is not filled."""

MAX_RATIO = 200
"""Unpacked bytes for each byte of the zip. Pictures hardly shrink, and deflate cannot pass 1032."""

_CHUNK = 1 << 20

# What zipfile raises on damage, from a wrong checksum to a missing decompressor.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def unpack(path: Path, cache: Path) -> Path:
    """Unpack the pictures and tables of a zip into the cache, unless that was done before.

    Args:
        path: the zip.
        cache: folder of the cache; the same path, size and time of change find the same unpacked folder again.

    Returns:
        The unpacked folder.

    Raises:
        InputError: the zip is damaged or encrypted, an entry is a link or would lie outside the folder, the sizes
            are beyond `MAX_ENTRIES`, `MAX_UNPACKED` or `MAX_RATIO`, a size is not what the zip says, or the disk is
            full. Nothing is left behind then.
    """
    facts = path.stat()
    key = f"{path.resolve()}\0{facts.st_size}\0{facts.st_mtime_ns}".encode(errors="surrogateescape")
    target = cache / "zips" / f"{path.stem}-{hashlib.blake2b(key, digest_size=8).hexdigest()}"
    if target.is_dir():
        return target
    try:
        with whole_folder(target) as folder, zipfile.ZipFile(path) as archive:
            entries = _checked(archive, path, facts.st_size)
            for name, entry in tqdm(entries.items(), desc=f"unpacking {path.name}", unit=" files", disable=None):
                _extract(archive, entry, folder / name, path)
    except InputError:
        raise
    except OSError as error:
        raise InputError(
            f"{path} could not be unpacked into {target.parent} ({error.strerror or error}); make room there or "
            "choose another folder with --cache_dir"
        ) from error
    except _DAMAGE as error:
        raise InputError(f"{path} is damaged or no zip that can be read ({error}); get it anew") from error
    return target


@contextmanager
def whole_folder(target: Path) -> Generator[Path]:
    """A temporary folder beside `target` that takes its place when the block ends well and is deleted otherwise."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield temporary
        temporary.chmod(0o755)  # mkdtemp's 0700 would shut out others who share the cache
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():  # otherwise another process was faster, with the same content
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _checked(archive: zipfile.ZipFile, path: Path, packed: int) -> dict[str, zipfile.ZipInfo]:
    """The entries to unpack by relative path, after every entry was checked."""
    entries = archive.infolist()
    claimed = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_ENTRIES:
        raise InputError(f"{path} holds {len(entries)} files, more than {MAX_ENTRIES}; split it")
    if claimed > MAX_UNPACKED or claimed > MAX_RATIO * packed:
        raise InputError(
            f"{path} would unpack to {claimed} bytes, more than {MAX_UNPACKED} or {MAX_RATIO} times its size, as zip "
            "bombs do; unpack it yourself if you trust it, and give the folder"
        )
    wanted: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        name = entry.filename.replace("\\", "/")
        parts = name.split("/")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if name.startswith("/") or ".." in parts or ":" in parts[0]:
            raise InputError(f"{path} has an entry {entry.filename!r} that would lie outside its folder; do not use it")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InputError(f"{path} has an entry {entry.filename!r} that is a link or device; pack the file itself")
        if entry.flag_bits & 1:
            raise InputError(f"{path} is encrypted; unpack it yourself and give the folder")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # zipfile unpacks the other kinds without a limit on memory.
            raise InputError(f"{path} is not compressed by deflate; unpack it yourself and give the folder")
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
        suffix = os.path.splitext(parts[-1])[1].lower()  # noqa: PTH122 - a Path each costs seconds
        if not hidden and (suffix in PICTURE_SUFFIXES or is_table(parts[-1])):
            if name in wanted:
                raise InputError(f"{path} has two entries {name!r}; pack it anew")
            wanted[name] = entry
    return wanted


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, path: Path) -> None:
    """Write one entry, holding it against the size that the zip claims."""
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(entry) as packed, target.open("wb") as file:
        while chunk := packed.read(_CHUNK):  # zipfile itself stops at the claimed size and then checks the sum
            written += file.write(chunk)
    if written != entry.file_size:
        raise InputError(
            f"{path} lies about the size of {entry.filename} ({written} bytes, not {entry.file_size}); get it anew"
        )
