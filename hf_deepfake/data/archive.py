"""Unpacking a zip that someone else made: once, whole or not at all, and nothing but its images and tables."""

import hashlib
import json
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from hf_deepfake.data.tables import is_table
from hf_deepfake.data.walk import HIDDEN, describe_left_out, is_junk, kind_of, says_image
from hf_deepfake.errors import InputError
from hf_deepfake.files import refusal
from hf_deepfake.images.formats import HEAD, begins_image

MAX_ENTRIES = 5_000_000
"""Files in a zip: more than any face data set has, few enough to list in memory."""

MAX_UNPACKED = 200_000_000_000
"""Bytes that the files may claim together: DFDC's face crops fit, a common disk is not filled."""

MAX_RATIO = 200
"""Unpacked bytes for each byte of the zip. Images hardly shrink, and deflate cannot pass 1032."""

_PACKED = (".parquet", ".arrow", ".tar")
"""Ends of the names of files that may hold images by the thousand."""

_LEFT_OUT = ".left_out.json"
"""File in an unpacked folder with the counts of what was not unpacked."""

_RULES = 2  # to be raised when other entries are taken, so that nobody finds what earlier rules unpacked

_CHUNK = 1 << 20

# What zipfile raises on damage, from a wrong checksum to a missing decompressor.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def unpack(path: Path, cache: Path) -> Path:
    """Unpack the images, tables and shards of a zip into the cache, unless that was done before.

    What counts as an image, and which folders are passed over, is as in `walk`.

    Args:
        path: the zip.
        cache: folder of the cache; the same path, size and time of change find the same unpacked folder again.

    Returns:
        The unpacked folder.

    Raises:
        InputError: the zip is damaged or encrypted, an entry is a link or would lie outside the folder, the sizes
            are beyond `MAX_ENTRIES`, `MAX_UNPACKED` or `MAX_RATIO`, a size is not what the zip says, there are no
            images in it, or the disk is full. Nothing is left behind then.
    """
    facts = path.stat()
    key = f"{_RULES}\0{path.resolve()}\0{facts.st_size}\0{facts.st_mtime_ns}".encode(errors="surrogateescape")
    target = cache / "zips" / f"{path.stem}-{hashlib.blake2b(key, digest_size=8).hexdigest()}"
    if target.is_dir():
        _check_unpacked(path, target)
        return target
    try:
        with whole_folder(target) as folder, zipfile.ZipFile(path) as archive:
            entries, left_out = _wanted(archive, _checked(archive, path, facts.st_size), path)
            if not any(says_image(name) is not False or name.lower().endswith(_PACKED) for name in entries):
                raise InputError(f"{path} holds no images{'; ' * bool(left_out)}{describe_left_out(left_out)}")
            (folder / _LEFT_OUT).write_text(json.dumps(left_out), encoding="utf-8")
            for name, entry in tqdm(entries.items(), desc=f"unpacking {path.name}", unit=" files", disable=None):
                _extract(archive, entry, folder / name, path)
    except InputError:
        raise
    except OSError as error:
        raise InputError(
            f"{path} could not be unpacked into {target.parent}: {refusal(error)} with --cache_dir"
        ) from error
    except _DAMAGE as error:
        raise InputError(f"{path} is damaged or no zip that can be read ({error}); get it anew") from error
    return target


def _check_unpacked(path: Path, target: Path) -> None:
    """Refuse an unpacked folder whose files are not those of the zip any more, which would train on what is left."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries, _ = _wanted(archive, _checked(archive, path, path.stat().st_size), path)
    except _DAMAGE as error:
        raise InputError(f"{path} is damaged or no zip that can be read ({error}); get it anew") from error
    for name, entry in entries.items():
        try:
            size = os.stat(target / name).st_size  # noqa: PTH116 - a Path's costs seconds
        except OSError:
            size = -1
        if size != entry.file_size:
            raise InputError(
                f"{name} in the cache is damaged or gone; delete {target}, where {path} was unpacked, and start again"
            )


def left_out_of(folder: Path) -> Counter[str]:
    """What `unpack` left out of a folder.

    Args:
        folder: that it returned.

    Returns:
        Counts by kind, as of `Walked.left_out`.
    """
    return Counter(json.loads((folder / _LEFT_OUT).read_text(encoding="utf-8")))


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


def _checked(archive: zipfile.ZipFile, path: Path, packed: int) -> list[tuple[str, zipfile.ZipInfo]]:
    """The files with their relative paths, after every entry was checked."""
    entries = archive.infolist()
    claimed = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_ENTRIES:
        raise InputError(f"{path} holds {len(entries)} files, more than {MAX_ENTRIES}; split it")
    if claimed > MAX_UNPACKED or claimed > MAX_RATIO * packed:
        raise InputError(
            f"{path} would unpack to {claimed} bytes, more than {MAX_UNPACKED} or {MAX_RATIO} times its size, as zip "
            "bombs do; unpack it yourself if you trust it, and give the folder"
        )
    files = []
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
        if not entry.is_dir():
            files.append((name, entry))
    return files


def _wanted(
    archive: zipfile.ZipFile, files: list[tuple[str, zipfile.ZipInfo]], path: Path
) -> tuple[dict[str, zipfile.ZipInfo], Counter[str]]:
    """The entries to unpack, and how many others there are by kind."""
    wanted: dict[str, zipfile.ZipInfo] = {}
    left_out: Counter[str] = Counter()
    for name, entry in files:
        *folders, last = name.split("/")
        said = says_image(last)
        if any(map(is_junk, folders)) or last.startswith("."):
            left_out[HIDDEN] += said is True
        elif said or last.lower().endswith(_PACKED) or is_table(last) or (said is None and _begins(archive, entry)):
            if name in wanted:
                raise InputError(f"{path} has two entries {name!r}; pack it anew")
            wanted[name] = entry
        else:
            left_out[kind_of(name)] += 1
    return wanted, +left_out


def _begins(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    """Whether an entry without a suffix is an image."""
    with archive.open(entry) as packed:
        return begins_image(packed.read(HEAD))


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
