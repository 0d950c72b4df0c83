"""The pass that opens every image: which files are broken, and which images are the same."""

import hashlib
import os
import sqlite3
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
from datasets import Dataset, Image
from numpy.typing import NDArray
from tqdm import tqdm

from hf_deepfake.errors import ImageError, InputError
from hf_deepfake.images.formats import decoders
from hf_deepfake.images.open import open_image
from hf_deepfake.machine import leave_signals_to_parent, usable_cores

Encoded = str | bytes
"""An image as a data set holds it: the path of a file, or encoded bytes."""

_HASH_BYTES = 16
_CHUNK = 256  # images per message to a worker: about 0.1 s of work
_ALONE = 1024  # with fewer images, starting workers costs more than it saves
_AHEAD = 4  # chunks that wait for each worker: none is idle, and memory stays bounded


def hash_image(image: Encoded) -> bytes:
    """Hash what an image shows: files with the same pixels have the same hash, whatever their format and metadata.

    Args:
        image: path or encoded bytes.

    Returns:
        16 bytes: BLAKE2b of the size and the RGB pixels that `open_image` gives.

    Raises:
        ImageError: the image does not open.
    """
    opened = open_image(image)
    digest = hashlib.blake2b(f"{opened.width} x {opened.height} ".encode(), digest_size=_HASH_BYTES)
    digest.update(opened.tobytes())
    return digest.digest()


def scan(images: Dataset, cache: Path) -> tuple[NDArray[np.bytes_], dict[int, str]]:
    """Hash all images of a data set on all cores that this process may use.

    What opened is remembered in `images.sqlite` of the cache: files by path, size and time of change, embedded
    images by their bytes, all of them by the versions of the decoders, too. What did not open is tried again in the
    next run. Worker processes start as Python starts them by default, so that scripts need
    `if __name__ == "__main__"` where a `DataLoader` with workers needs it.

    Args:
        images: N rows with the column image.
        cache: folder of the cache.

    Returns:
        Hashes S32 (N,), hexadecimal, empty where the image did not open; and by row why it did not.

    Raises:
        InputError: the cache cannot be used.
    """
    hashes = np.zeros(len(images), "S32")
    problems: dict[int, str] = {}
    path = cache / "images.sqlite"
    try:
        with closing(sqlite3.connect(path, timeout=60)) as memory:
            memory.execute("CREATE TABLE IF NOT EXISTS images (key BLOB PRIMARY KEY, hash BLOB) WITHOUT ROWID")
            with tqdm(total=len(images), desc="opening images", unit=" images", disable=None) as progress:
                for rows, results in _results(images, memory):
                    for row, result in zip(rows, results, strict=True):
                        if isinstance(result, bytes):
                            hashes[row] = result.hex().encode()
                        else:
                            problems[row] = result
                    progress.update(len(rows))
    except sqlite3.Error as error:
        raise InputError(f"{path} cannot be used ({error}); delete it or choose another --cache_dir") from error
    return hashes, problems


def _results(images: Dataset, memory: sqlite3.Connection) -> Iterator[tuple[list[int], list[bytes | str]]]:
    """Rows, and the hash (bytes) or the problem (text) of each, from memory or from a worker."""
    cores = usable_cores()
    waiting: deque[tuple[list[int], list[bytes], Future[list[bytes | str]]]] = deque()
    with _workers(len(images), cores) as workers:
        for rows, files in _chunks(images):
            keys = [_key(file) for file in files]
            marks = ", ".join("?" * len(keys))
            found = memory.execute(f"SELECT key, hash FROM images WHERE key IN ({marks})", keys)
            known = {key: hash_ for key, hash_ in found if isinstance(hash_, bytes) and len(hash_) == _HASH_BYTES}
            new = [place for place, key in enumerate(keys) if key not in known]
            old = [place for place, key in enumerate(keys) if key in known]
            yield [rows[place] for place in old], [known[keys[place]] for place in old]
            if new:
                future = workers.submit(_hash_all, [files[place] for place in new])
                waiting.append(([rows[place] for place in new], [keys[place] for place in new], future))
            while len(waiting) > _AHEAD * cores:
                yield _remembered(memory, *waiting.popleft())
        while waiting:
            yield _remembered(memory, *waiting.popleft())


def _workers(count: int, cores: int) -> Executor:
    """Processes that hash; for few images this process alone."""
    if count < _ALONE or cores == 1:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(cores, initializer=leave_signals_to_parent)


def _chunks(images: Dataset) -> Iterator[tuple[range, list[Encoded]]]:
    """Rows and their images, still encoded."""
    encoded = images.cast_column("image", Image(decode=False)).with_format("arrow")
    first = 0
    for table in encoded.iter(_CHUNK):
        files = [image["bytes"] or image["path"] or b"" for image in table["image"].to_pylist()]
        yield range(first, first + len(files)), files
        first += len(files)


def _key(image: Encoded) -> bytes:
    """What the hash is remembered by."""
    if isinstance(image, str):
        try:
            facts = os.stat(image)  # noqa: PTH116 - a Path each costs seconds
        except OSError:
            return b""  # never remembered, for what does not open is not
        image = f"{image}\0{facts.st_size}\0{facts.st_mtime_ns}".encode()
    return hashlib.blake2b(decoders().encode() + b"\0" + image, digest_size=16).digest()


def _hash_all(images: list[Encoded]) -> list[bytes | str]:
    """Hash, or problem, of each image."""
    results: list[bytes | str] = []
    for image in images:
        try:
            results.append(hash_image(image))
        except ImageError as error:
            results.append(str(error))
    return results


def _remembered(
    memory: sqlite3.Connection, rows: list[int], keys: list[bytes], future: Future[list[bytes | str]]
) -> tuple[list[int], list[bytes | str]]:
    """Await a worker's results and remember those that are hashes."""
    results = future.result()
    found = [(key, result) for key, result in zip(keys, results, strict=True) if isinstance(result, bytes)]
    with memory:
        memory.executemany("INSERT OR REPLACE INTO images VALUES (?, ?)", found)
    return rows, results
