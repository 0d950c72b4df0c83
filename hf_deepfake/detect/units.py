"""What there is to judge, cut into units that any process can take: some hundred files, or one shard of a data set."""

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_deepfake.data.index import PICTURE_SUFFIXES
from hf_deepfake.errors import InputError
from hf_deepfake.files import local_name

UNIT_FILES = 512
"""Files of a unit: minutes of work for a CPU, seconds for a GPU."""

Item = tuple[str, str | bytes]
"""Name of a picture and what `open_picture` opens: its path or its bytes."""


@dataclass(frozen=True)
class Unit:
    """Some of the pictures, always the same ones in the same order.

    Attributes:
        files: paths; or none, for a shard.
        name: of the shard.
        shard: a `datasets.IterableDataset` with a picture column, read as it is judged.
        column: name of that column.
    """

    files: tuple[str, ...] = ()
    name: str = ""
    shard: Any = field(default=None, compare=False)
    column: str = ""

    def __iter__(self) -> Iterator[Item]:
        """Names and pictures."""
        if self.shard is None:
            yield from ((file, file) for file in self.files)
            return
        for row, values in enumerate(self.shard):
            picture = values[self.column]
            name = f"{self.name}/{row:05d}" + (f"/{picture['path']}" if picture["path"] else "")
            yield name, picture["bytes"] if picture["bytes"] is not None else picture["path"]


def find_units(words: Sequence[str]) -> list[Unit]:
    """Find what files, folders, patterns, parquet files and data sets of the Hub hold, and cut it into units.

    Args:
        words: as for `find_pictures`; and parquet files with pictures inside, folders of such, or "owner/name" of a
            data set on the Hub. The latter are read as they are judged: no shard is stored, and each is a unit.

    Returns:
        Units: the files of all words in their order, then the shards.

    Raises:
        InputError: a word names nothing, or a data set that cannot be read.
    """
    units: list[Unit] = []
    files: dict[str, None] = {}
    for word in map(local_name, words):
        if shards := _parquet_files(word):
            units += _streamed(word, "parquet", data_files={"all": shards})
        elif re.fullmatch(r"[\w.-]+/[\w.-]+", word) and not os.path.exists(word) and not Path(word).suffix:  # noqa: PTH110
            units += _streamed(word, word)
        else:
            files |= dict.fromkeys(find_pictures([word]))
    return cut(files) + units


def cut(files: Iterable[str]) -> list[Unit]:
    """Units of at most `UNIT_FILES` paths, in their order."""
    paths = list(files)
    return [Unit(tuple(paths[start : start + UNIT_FILES])) for start in range(0, len(paths), UNIT_FILES)]


def find_pictures(words: Sequence[str]) -> list[str]:
    """Find the pictures that files, folders and globs name.

    Args:
        words: paths of files, taken whatever their names; of folders, searched at any depth for names that pictures
            have; or patterns with `*`, `?`, `[...]` and `**`.

    Returns:
        Paths without repetition, in the order of `words`, sorted within each.

    Raises:
        InputError: a word names nothing.
    """
    found: dict[str, None] = {}
    for word in map(local_name, words):
        matches = [word] if os.path.exists(word) else sorted(glob.glob(word, recursive=True))  # noqa: PTH110, PTH207
        files = [file for match in matches for file in _files(Path(match))]
        if not files:
            raise InputError(f"{word} names no picture; give files, folders with pictures, or a pattern in quotes")
        found |= dict.fromkeys(files)
    return list(found)


def _files(path: Path) -> list[str]:
    """The file itself, or the pictures in a folder, sorted."""
    if not path.is_dir():
        return [str(path)]
    walked = (Path(folder) / name for folder, _, names in os.walk(path) for name in names if not name.startswith("."))
    return sorted(str(file) for file in walked if file.suffix.lower() in PICTURE_SUFFIXES)


def _parquet_files(word: str) -> list[str]:
    """The parquet file itself, or those in a folder, sorted; none where the word is neither."""
    path = Path(word)
    if path.is_dir():
        return sorted(map(str, path.glob("*.parquet")))
    return [word] if path.suffix.lower() == ".parquet" and path.is_file() else []


def _streamed(word: str, source: str, **options: Any) -> list[Unit]:
    """A unit for each shard of a data set that is read as a stream."""
    from datasets import Image, load_dataset  # seconds to import, and not needed for files

    from hf_deepfake.data.hub_errors import hub_errors
    from hf_deepfake.data.sources import picture_column

    with hub_errors(f"no picture and no data set of the Hub can be had by the name {word}"):
        splits = load_dataset(source, streaming=True, **options)
        units = []
        for name, split in splits.items():
            column = picture_column(word, split.features or {})
            rows = split.select_columns([column]).cast_column(column, Image(decode=False))
            units += [
                Unit(name=f"{word}/{name}-{index:05d}", shard=rows.shard(rows.num_shards, index), column=column)
                for index in range(rows.num_shards)
            ]
    return units
