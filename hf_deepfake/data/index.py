"""Where the pictures of a folder are, and what the folders' names and the CSV files beside them say of each."""

import os
import posixpath
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hf_deepfake.config import LABELS
from hf_deepfake.data.names import normal, split_index
from hf_deepfake.errors import InputError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif"})
"""Ends of the file names that are listed; what a file really is shows when it is opened."""

TABLES = frozenset({"groups.csv", "attributes.csv"})
"""Names of the CSV files that are read."""

RESERVED = frozenset({"image", "label", "source"})
"""Columns that every data set has, so that no CSV file may bring them."""

_DEEPEST_CLASS = 5  # three folders down to the splits, the split, the class


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder, sorted by path.

    Attributes:
        files: N paths relative to the folder, with `/`.
        labels: int8 (N,), indices in `LABELS`.
        splits: int8 (N,), indices in `SPLITS`; -1 everywhere if the folder has no split.
        columns: further columns by name, N values each, None where nothing is known.
        unmatched: rows of CSV files that name no picture of the folder.
    """

    files: list[str]
    labels: NDArray[np.int8]
    splits: NDArray[np.int8]
    columns: dict[str, list[str | None]]
    unmatched: int


def list_folder(root: Path, classes: dict[str, int]) -> Listing:
    """List and label the pictures of a folder, opening none of them.

    A picture's class is the name of a folder above it, at most five levels below `root`; its split is the name of a
    folder above the class folder (Train/Real) or right below it (Real/Train). What lies deeper in the class folder
    says nothing. CSV files named groups.csv or attributes.csv, at any level, add columns: their column `file` holds
    paths relative to the CSV file's own folder.

    Args:
        root: the folder.
        classes: index of the class by name, from `names.class_names`.

    Returns:
        The pictures.

    Raises:
        InputError: there are no pictures, some lie outside any class folder or outside any split folder where
            others have one, a folder means both classes, or a CSV file cannot be read or contradicts another row.
    """
    folders, tables = _walk(root)
    if not folders:
        raise InputError(f"{root} holds no pictures; looked for {', '.join(sorted(PICTURE_SUFFIXES))}")
    places = _places(root, folders, classes)
    files = [posixpath.join(*folder, name) for folder in sorted(folders) for name in sorted(folders[folder])]
    counts = [len(folders[folder]) for folder in sorted(folders)]
    labels, splits = np.repeat(np.array([places[folder] for folder in sorted(folders)], np.int8), counts, axis=0).T
    columns, unmatched = _read_tables(root, tables, files)
    return Listing(files, labels, splits, columns, unmatched)


def _walk(root: Path) -> tuple[dict[tuple[str, ...], list[str]], list[str]]:
    """Names of the pictures in each folder (as parts of its path), and paths of the CSV files."""
    folders: dict[tuple[str, ...], list[str]] = {}
    tables: list[str] = []
    waiting: list[tuple[str, ...]] = [()]
    seen = set()
    while waiting:
        folder = waiting.pop()
        path = root.joinpath(*folder)
        try:
            entries = list(os.scandir(path))
        except OSError as error:
            raise InputError(f"{path} cannot be listed ({error.strerror}); check its permissions") from error
        if (real := path.resolve()) in seen:  # a link that leads back would never end
            continue
        seen.add(real)
        pictures = []
        for entry in entries:
            name = entry.name
            if name.startswith(".") or name == "__MACOSX":
                continue
            if entry.is_dir():
                waiting.append((*folder, name))
            elif os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES:  # noqa: PTH122 - a Path each costs seconds
                pictures.append(name)
            elif name.lower() in TABLES:
                tables.append(posixpath.join(*folder, name))
        if pictures:
            folders[folder] = pictures
            _check_names(path, pictures)
    return folders, sorted(tables)


def _check_names(folder: Path, names: list[str]) -> None:
    """Refuse file names that are no text, which a data set's column cannot hold."""
    try:
        "".join(names).encode()
    except UnicodeEncodeError as error:
        bad = next(name for name in names if name.encode(errors="ignore").decode() != name)
        raise InputError(f"a file name in {folder} is not UTF-8 ({os.fsencode(bad)!r}); rename the file") from error


def _places(
    root: Path, folders: dict[tuple[str, ...], list[str]], classes: dict[str, int]
) -> dict[tuple[str, ...], tuple[int, int]]:
    """Class and split of each folder that holds pictures."""
    places, outside = {}, {}
    for folder, names in folders.items():
        place = _place(root, folder, classes)
        if place is None:
            outside["/".join(folder) or "."] = len(names)
        else:
            places[folder] = place
    if outside:
        found = ", ".join(f"{folder} ({count})" for folder, count in sorted(outside.items())[:10])
        known = Counter(LABELS[label] for label, _ in places.values())
        raise InputError(
            f"{sum(outside.values())} pictures in {root} lie in no folder that is known as real or fake: {found}"
            f"{', ...' if len(outside) > 10 else ''} (folders known as real: {known['real']}, as "
            f"fake: {known['fake']}); move them, or name their folders with --real_names or --fake_names"
        )
    without = [folder for folder, (_, split) in places.items() if split < 0]
    if 0 < len(without) < len(places):
        raise InputError(
            f"{root} has split folders, but the pictures in {'/'.join(sorted(without)[0])} are in none of them; "
            "move them"
        )
    return places


def _place(root: Path, folder: tuple[str, ...], classes: dict[str, int]) -> tuple[int, int] | None:
    """Class and split (-1 for none) that the parts of a folder's path mean; None if they mean no class."""
    meant = [classes.get(normal(part)) for part in folder]
    depth = next((depth for depth, label in enumerate(meant[:_DEEPEST_CLASS]) if label is not None), None)
    if depth is None:
        return None
    if len(set(meant) - {None}) > 1:
        raise InputError(f"{root / Path(*folder)} is named as real and as fake at once; rename a folder of its path")
    nearest = [*reversed(folder[:depth]), *folder[depth + 1 : depth + 2]]
    split = next((split for split in map(split_index, nearest) if split >= 0), -1)
    label = meant[depth]
    assert label is not None
    return label, split


def _read_tables(root: Path, tables: list[str], files: list[str]) -> tuple[dict[str, list[str | None]], int]:
    """The columns of the CSV files, aligned with `files`, and how many rows name none of these."""
    row_of = {file: row for row, file in enumerate(files)}
    columns: dict[str, list[str | None]] = {}
    unmatched = 0
    for table in tables:
        frame = _read_table(root / table)
        folder = posixpath.dirname(table)
        named = [posixpath.normpath(posixpath.join(folder, file.replace("\\", "/"))) for file in frame["file"]]
        rows = [row_of.get(file) for file in named]
        unmatched += rows.count(None)
        for name in frame.columns.drop("file"):
            column = columns.setdefault(name, [None] * len(files))
            for row, value in zip(rows, frame[name], strict=True):
                if row is None or not value:
                    continue
                if column[row] not in (None, value):
                    raise InputError(
                        f"{root / table} has {name} {value!r} for {files[row]}, which has {column[row]!r} already; "
                        "leave one of the rows"
                    )
                column[row] = value
    return columns, unmatched


def _read_table(path: Path) -> pd.DataFrame:
    """One CSV file as text, checked for its columns."""
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise InputError(f"{path} is not a readable CSV file ({' '.join(str(error).split())}); mend it") from error
    if "file" not in frame.columns:
        raise InputError(f"{path} has no column file; its columns are {', '.join(frame.columns)}")
    if taken := RESERVED & set(frame.columns):
        raise InputError(f"{path} has a column {sorted(taken)[0]}, a name that is taken; rename it")
    return frame
