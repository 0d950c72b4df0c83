"""What there is to evaluate, cut into units that any process can take: some files, or one shard of a data set."""

import glob
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_deepfake.data.walk import describe_left_out, hints, kind_of, walk
from hf_deepfake.errors import InputError
from hf_deepfake.files import local_name, printable
from hf_deepfake.images.video import SUFFIXES, is_video

logger = logging.getLogger(__name__)

UNIT_FILES = 512
"""Files of a unit: minutes of work for a CPU, seconds for a GPU."""

Item = tuple[str, str | bytes]
"""Name of an image, which can be printed, and what `open_image` opens: its path or its bytes."""


@dataclass(frozen=True)
class Unit:
    """Some of the images, always the same ones in the same order.

    Attributes:
        files: paths; or none, for a shard.
        name: of the shard.
        shard: a `datasets.IterableDataset` with an image column, read as it is evaluated.
        column: name of that column.
    """

    files: tuple[str, ...] = ()
    name: str = ""
    shard: Any = field(default=None, compare=False)
    column: str = ""

    def __iter__(self) -> Iterator[Item]:
        """Names and images."""
        if self.shard is None:
            yield from ((printable(file), file) for file in self.files)
            return
        for row, values in enumerate(self.shard):
            image = values[self.column]
            name = f"{self.name}/{row:05d}" + (f"/{image['path']}" if image["path"] else "")
            yield name, image["bytes"] if image["bytes"] is not None else image["path"]


def find_units(words: Sequence[str]) -> list[Unit]:
    """Find what files, folders, patterns and data sets hold, and cut it into units.

    A folder is walked as `--data` walks it; what is left out there is said in the log.

    Args:
        words: paths of files, taken whatever their names; of folders; patterns with `*`, `?`, `[...]` and `**`; or
            "owner/name" of a data set on the Hub. Parquet files with images inside, tars of images and what
            `save_to_disk` wrote are, like data sets of the Hub, read as they are evaluated: nothing is stored, and each
            shard is a unit.

    Returns:
        Units: the files of all words in their order, without repetition and sorted within a folder, whose videos come
        last; then the shards.

    Raises:
        InputError: a word names nothing, or a data set that cannot be read.
    """
    units: list[Unit] = []
    files: dict[str, None] = {}
    for word in map(local_name, words):
        if os.path.lexists(word):  # a link that leads nowhere is a file that does not open
            matches = [word]
        elif re.fullmatch(r"[\w.-]+/[\w.-]+", word) and not Path(word).suffix:
            units += _streamed(word, "hub", [])
            continue
        else:
            matches = sorted(glob.glob(word, recursive=True))  # noqa: PTH207
        found = [_found(match) for match in matches]
        if not any(own or shards for own, shards in found):
            raise InputError(
                f"{word} names no image and no video; give files, folders that hold some, or a pattern in quotes"
            )
        for own, shards in found:
            files |= dict.fromkeys(own)
            units += shards
    return cut(files) + units


def cut(files: Iterable[str]) -> list[Unit]:
    """Units of at most `UNIT_FILES` paths, in their order."""
    paths = list(files)
    return [Unit(tuple(paths[start : start + UNIT_FILES])) for start in range(0, len(paths), UNIT_FILES)]


def _found(path: str) -> tuple[list[str], list[Unit]]:
    """Files and shards that a path names."""
    place = Path(path)
    if not place.is_dir():
        kind = _kind_of_shard(place)
        for hint in hints([kind_of(place.name)]) if kind is None and not is_video(place) else ():
            logger.warning("%s: %s", printable(path), hint)
        return ([path], []) if kind is None else ([], _streamed(path, kind, [path]))
    if (place / "dataset_info.json").exists() or (place / "dataset_dict.json").exists():
        from hf_deepfake.data.packed import is_saved

        if is_saved(place):
            return [], _streamed(path, "saved", [])
    walked = walk(place)
    shards: dict[str, list[str]] = {}
    for file in walked.others:
        if kind := _kind_of_shard(place / file):
            shards.setdefault(kind, []).append(file)
    clips = [file for file in walked.others if Path(file).suffix.lower() in SUFFIXES]
    left_out = walked.left_out([*clips, *(file for own in shards.values() for file in own)])
    for line in filter(None, [describe_left_out(left_out), *walked.remarks()]):
        logger.warning("%s: %s", printable(path), printable(line))
    units = [
        unit for kind, own in shards.items() for unit in _streamed(path, kind, [f"{place / file}" for file in own])
    ]
    return [str(place / file) for file in [*walked.files, *clips]], units


def _kind_of_shard(path: Path) -> str | None:
    """Whether a file is parquet with images inside or a tar of images, for `datasets`; None if it is neither."""
    if path.suffix.lower() not in (".parquet", ".tar"):
        return None
    from hf_deepfake.data.packed import is_parquet, is_shard  # seconds to import, and not needed for files

    return "parquet" if is_parquet(path) else "webdataset" if is_shard(path, labelled=False) else None


def _streamed(word: str, kind: str, files: list[str]) -> list[Unit]:
    """A unit for each shard of a data set that is read as a stream."""
    from datasets import Image  # seconds to import, and not needed for files

    from hf_deepfake.data.hub_errors import hub_errors
    from hf_deepfake.data.packed import image_column

    with hub_errors(f"no image and no data set of the Hub can be had by the name {word}"):
        units = []
        for name, split in _splits(word, kind, files).items():
            column = image_column(word, split.features or {})
            rows = split.select_columns([column]).cast_column(column, Image(decode=False))
            units += [
                Unit(name=f"{word}/{name}-{index:05d}", shard=rows.shard(rows.num_shards, index), column=column)
                for index in range(rows.num_shards)
            ]
    return units


def _splits(word: str, kind: str, files: list[str]) -> Mapping[Any, Any]:
    """The splits of a data set as streams; files are one split, "all"."""
    from datasets import load_dataset, load_from_disk

    from hf_deepfake.data.packed import as_splits

    if kind == "hub":
        return load_dataset(word, streaming=True)
    if kind == "saved":
        parts = as_splits(load_from_disk(word))
        return {
            name: part.to_iterable_dataset(-(-len(part) // UNIT_FILES)) for name, part in parts.items() if len(part)
        }
    return load_dataset(kind, data_files={"all": files}, streaming=True)
