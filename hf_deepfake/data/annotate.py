"""What the tables beside images say of each: label, split, group and further columns."""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_deepfake.config import LABELS, SPLITS
from hf_deepfake.data.find import Finder, is_video
from hf_deepfake.data.labels import choose_labels, label_columns
from hf_deepfake.data.layouts import listed_splits, read_pairs
from hf_deepfake.data.names import normal, split_index
from hf_deepfake.data.tables import MEDIA, Table, read_table
from hf_deepfake.errors import InputError

RESERVED = frozenset({"image", "label", "source"})
"""Columns that every data set has, so that no table may bring them."""

_GROUPS = ("group", "groups", "groupid")
_CLIPS = ("video", "videoid", "videoname", "clip")
_VIDEOS = (*_CLIPS, "person", "personid", "identity", "subject", "subjectid")
_SPLITS = ("split", "subset", "partition", "set")
_SCORES = frozenset({"score", "scores", "probability", "prob", "prediction", "predicted", "verdict", "logit", "pfake"})


@dataclass
class Said:
    """What tables say of N images.

    Attributes:
        labels: int8 (N,), indices in `LABELS`; -1 where no table gives one.
        splits: int8 (N,), of columns and lists of splits; -1 where none gives one.
        named_splits: int8 (N,), of the tables' own names (train.csv); -1 where none gives one.
        columns: further columns by name, N values each, None where nothing is known.
        unmatched: rows that name no image.
        labelled_by: tables that labels came from.
        unused: what each table lacks that gives no labels.
        taken: tables of which anything is used.
        tests_listed: whether there is a list of test videos.
        pair_lists: lists of pairs of videos by split.
    """

    labels: NDArray[np.int8]
    splits: NDArray[np.int8]
    named_splits: NDArray[np.int8]
    columns: dict[str, list[str | None]] = field(default_factory=dict)
    unmatched: int = 0
    labelled_by: list[str] = field(default_factory=list)
    unused: dict[str, str] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)
    tests_listed: bool = False
    pair_lists: list[str] = field(default_factory=list)


def annotate(
    root: Path,
    tables: Sequence[str],
    files: Sequence[str],
    classes: Mapping[str, int],
    known: NDArray[np.int8],
    splits: NDArray[np.int8],
) -> Said:
    """Read the tables of a folder.

    groups.csv and attributes.csv add their columns and come before all others. A metadata table (CSV, JSON lines, JSON
    or parquet) adds its columns, and labels where it has them. Any other table counts where it has a column of paths
    and one of labels. Rows whose images are missing are counted. A list of pairs of videos that is called after a split
    (FaceForensics++) says the split.

    Args:
        root: the folder.
        tables: paths of its tables, relative to it.
        files: N paths of its images.
        classes: from `names.class_names`.
        known: int8 (N,), labels that class folders give; -1 where there is none.
        splits: int8 (N,), splits that folders give; -1 where there is none.

    Returns:
        What was said.

    Raises:
        InputError: a groups.csv, attributes.csv or metadata table cannot be read, rows contradict each other, a short
            name means several images, or images need a label that a table has in a form that is not understood.
    """
    count = len(files)
    said = Said(np.full(count, -1, np.int8), np.full(count, -1, np.int8), np.full(count, -1, np.int8))
    added: dict[str, list[str | None]] = {}
    finder = Finder(root, files)
    not_understood: list[tuple[list[int], InputError]] = []
    listed: dict[str, int] = {}
    for path in sorted(tables):
        split = _named_split(path)
        if split >= 0 and path.lower().endswith(".json") and (pairs := read_pairs(root / path)):
            listed |= dict.fromkeys(pairs, split)
            said.pair_lists.append(path)
            continue
        try:
            table = read_table(root, path)
        except InputError as error:
            if _must_be_read(path):
                raise
            said.unused[path] = _reason(error, root, path)
            continue
        if table.adds_only:
            said.unmatched += _add(added, table, finder)
            continue
        column, rows = _paths(table, finder)
        if column is None:
            said.unused[path] = f"names no image that is here in its columns {', '.join(table.columns)}"
            continue
        if (reason := _passed_over(table, known)) is not None:
            said.unused[path] = reason
            continue
        labels, candidates = None, label_columns(table.columns, classes)
        try:
            labels = choose_labels(table.columns, classes, path)[1]
        except InputError as error:
            said.unused[path] = _reason(error, root, path)
            if candidates:
                not_understood.append(([row for own in rows for row in own], error))
        if labels is not None or table.is_metadata or table.lists_tests:
            rows = _sure(table, column, rows, finder, splits, known, labels)
            said.tests_listed |= table.lists_tests
            _put(said, table, column, rows, labels, {column, *table.path_columns(), *candidates}, finder)
    said.named_splits = np.maximum(said.named_splits, listed_splits(files, listed)) if listed else said.named_splits
    for touched, error in not_understood:
        if (np.maximum(said.labels, known)[touched] < 0).any():
            raise error
    for name, values in added.items():
        said.columns[name] = [
            own or other for own, other in zip(values, said.columns.get(name, [None] * count), strict=True)
        ]
    return said


def _must_be_read(path: str) -> bool:
    """Whether a table is one that people put beside images on purpose; any program writes a metadata.json."""
    table = Table(path, {})
    return table.adds_only or (table.is_metadata and not path.lower().endswith(".json"))


def _paths(table: Table, finder: Finder) -> tuple[str | None, list[list[int]]]:
    """The column that names most images, and the images of each of its rows."""
    best: tuple[int, str | None, list[list[int]]] = (0, None, [])
    for column in table.path_columns():
        rows = finder.find(table.columns[column], posixpath.dirname(table.path))
        if (hits := sum(map(bool, rows))) > best[0]:
            best = hits, column, rows
        if hits == sum(map(bool, table.columns[column])):
            break
    return best[1], best[2]


def _sure(
    table: Table,
    column: str,
    rows: list[list[int]],
    finder: Finder,
    splits: NDArray[np.int8],
    known: NDArray[np.int8],
    labels: NDArray[np.int8] | None,
) -> list[list[int]]:
    """The images of each row; of several with a short name that of the table's split and the row's class."""
    values = table.columns[column]
    own_split = _named_split(table.path)
    sure = []
    for place, (value, fitting) in enumerate(zip(values, rows, strict=True)):
        found = fitting
        if len(found) > 1 and own_split >= 0:
            found = [row for row in fitting if splits[row] == own_split] or fitting
        if len(found) > 1 and labels is not None:
            found = [row for row in found if known[row] == labels[place]] or found
        if len(found) > 1 and not _is_one_video(value, found, finder):
            one, other = (finder.files[row] for row in found[:2])
            raise InputError(
                f"{finder.root / table.path} names {value}, which could be {one} or {other}; write whole paths into "
                f"its column {column}"
            )
        sure.append(found)
    return sure


def _is_one_video(value: str, rows: list[int], finder: Finder) -> bool:
    """Whether a row may mean several images: those of a video, or of one folder."""
    return is_video(value) or len({posixpath.dirname(finder.files[row]) for row in rows}) == 1


def _passed_over(table: Table, known: NDArray[np.int8]) -> str | None:
    """Why a table that names images tells nothing of what they are; None if it may."""
    if "submission" in table.path.lower():
        return "is an example of a submission"
    if (known >= 0).all() and not table.is_metadata and _SCORES & set(map(normal, table.columns)):
        return "is a table of scores"
    return None


def _reason(error: InputError, root: Path, path: str) -> str:
    """What an error says of a table, without the table's name."""
    return str(error).replace(f"{root}/", "").removeprefix(f"{path} ")


def _put(
    said: Said,
    table: Table,
    column: str,
    rows: list[list[int]],
    labels: NDArray[np.int8] | None,
    used: set[str],
    finder: Finder,
) -> None:
    """Take over what a table says of its images; columns that are used otherwise are no further ones."""
    said.unmatched += _unmatched(table.columns[column], rows)
    said.taken.append(table.path)
    where = f"{finder.root / table.path}"
    if labels is not None:
        said.labelled_by.append(table.path)
        _put_indices(said.labels, rows, labels, LABELS, where, finder)
    split = next((own for name in _SPLITS for own in table.columns if normal(own) == name), None)
    if split is not None:
        indices = np.array([split_index(value) for value in table.columns[split]], np.int8)
        _put_indices(said.splits, rows, indices, SPLITS, where, finder)
    if (named := _named_split(table.path)) >= 0:
        said.named_splits[[row for found in rows for row in found]] = named
    used |= {split or "", ""} | RESERVED
    further = {name: values for name, values in table.columns.items() if name not in used}
    if (groups := _groups(table, column)) is not None:
        further = {name: values for name, values in further.items() if normal(name) not in _GROUPS + _VIDEOS}
        further["group"] = groups
    if (videos := _videos(table, column)) is not None:
        further["video"] = videos
    for name, values in further.items():
        _put_texts(said.columns, name, rows, values, where, finder)


def _put_indices(
    target: NDArray[np.int8],
    rows: list[list[int]],
    indices: NDArray[np.int8],
    names: Sequence[str],
    where: str,
    finder: Finder,
) -> None:
    """Set labels or splits, which two rows must not give differently."""
    for found, index in zip(rows, indices.tolist(), strict=True):
        for row in found if index >= 0 else ():
            if target[row] not in (-1, index):
                raise InputError(
                    f"{where} calls {finder.files[row]} {names[index]}, which another row calls {names[target[row]]}; "
                    "leave one of the rows"
                )
            target[row] = index


def _put_texts(
    columns: dict[str, list[str | None]],
    name: str,
    rows: list[list[int]],
    values: Sequence[str],
    where: str,
    finder: Finder,
) -> None:
    """Set a column's values, which two rows must not give differently."""
    column = columns.setdefault(name, [None] * len(finder.files))
    for found, value in zip(rows, values, strict=True):
        for row in found if value else ():
            if column[row] not in (None, value):
                raise InputError(
                    f"{where} has {name} {value!r} for {finder.files[row]}, which has {column[row]!r} already; "
                    "leave one of the rows"
                )
            column[row] = value


def _add(added: dict[str, list[str | None]], table: Table, finder: Finder) -> int:
    """Add the columns of a groups.csv or attributes.csv; how many of its rows name no image."""
    where = finder.root / table.path
    if taken := RESERVED & set(table.columns):
        raise InputError(f"{where} has a column {sorted(taken)[0]}, a name that is taken; rename it")
    named = [column for column in table.path_columns() if normal(column) in ("file", "filename", "path", "filepath")]
    if not named:
        raise InputError(f"{where} has no column file; its columns are {', '.join(table.columns)}")
    values = table.columns[named[0]]
    rows = finder.find(values, posixpath.dirname(table.path))
    for name, column in table.columns.items():
        if name != named[0]:
            _put_texts(added, name, rows, column, str(where), finder)
    return _unmatched(values, rows)


def _unmatched(values: Sequence[str], rows: list[list[int]]) -> int:
    """How many rows name an image that is not there."""
    return sum(bool(value) and not found for value, found in zip(values, rows, strict=True))


def _named_split(path: str) -> int:
    """The split that a table's name means (train.csv, labels_test.csv), or a folder above it; -1 if none does."""
    *folders, name = path.split("/")
    words = [*re.split(r"[_\-. ]", posixpath.splitext(name)[0]), *reversed(folders)]
    return next((split for split in map(split_index, words) if split >= 0), -1)


def _groups(table: Table, column: str) -> list[str] | None:
    """The group of each row: given, the video that a fake was made of (DFDC's `original`), or the video or person."""
    given = next((own for name in _GROUPS for own in table.columns if normal(own) == name), None)
    if given is not None:
        return table.columns[given]
    originals = next((values for own, values in table.columns.items() if normal(own) == "original"), None)
    if originals is None or not all(MEDIA.search(value) for value in originals if value):
        named = (own for name in _VIDEOS for own in table.columns if normal(own) == name and own != column)
        return next((table.columns[own] for own in named), None)
    return [
        posixpath.splitext(posixpath.basename((original or own).replace("\\", "/")))[0]
        for original, own in zip(originals, table.columns[column], strict=True)
    ]


def _videos(table: Table, column: str) -> list[str] | None:
    """The video of each row's image: in a column of its own, or where the rows themselves are videos (DFDC)."""
    named = next((own for name in _CLIPS for own in table.columns if normal(own) == name and own != column), None)
    if named is not None:
        return table.columns[named]
    values = table.columns[column]
    return [posixpath.splitext(value)[0] for value in values] if all(map(is_video, filter(None, values))) else None
