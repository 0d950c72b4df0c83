"""Where the images of a folder are, and what the names of folders and the tables beside them say of each."""

import os
import posixpath
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_deepfake.config import LABELS, SPLITS
from hf_deepfake.data.annotate import Said, annotate
from hf_deepfake.data.layouts import layout_columns
from hf_deepfake.data.names import normal, split_index
from hf_deepfake.data.tables import ADDING, is_table, read_table
from hf_deepfake.data.walk import IMAGE_SUFFIXES, NOT_UTF8, Walked, describe_left_out, is_utf8, walk
from hf_deepfake.errors import InputError

_BOTH = -2  # named real and fake at once

_DEEPEST_CLASS = 5  # three folders down to the splits, the split, the class


@dataclass(frozen=True)
class Listing:
    """The images of a folder, sorted by path.

    Attributes:
        files: N paths relative to the folder, with `/`.
        labels: int8 (N,), indices in `LABELS`.
        splits: int8 (N,), indices in `SPLITS`; -1 everywhere if the folder has no split.
        columns: further columns by name, N values each, None where nothing is known.
        unmatched: rows of tables that name no image of the folder.
        unlabelled: images that are left out, for no table of those that say the labels names them.
        from_tables: whether a table says labels or splits, so that folders alone do not.
        notes: lines that say which tables the labels are from, which tables are not used, and which folders are not
            looked into.
        left_out: files that are no images by their names, or have names that no column can hold, by kind.
    """

    files: list[str]
    labels: NDArray[np.int8]
    splits: NDArray[np.int8]
    columns: dict[str, list[str | None]]
    unmatched: int
    unlabelled: int = 0
    from_tables: bool = False
    notes: tuple[str, ...] = ()
    left_out: Counter[str] = field(default_factory=Counter)


def list_folder(root: Path, classes: dict[str, int], walked: Walked | None = None) -> Listing:
    """List and label the images of a folder, opening none of them.

    An image's class is the name of a folder above it, at most five levels below `root`; its split is the name of a
    folder above the class folder (Train/Real) or right below it (Real/Train). What lies deeper in the class folder
    says nothing, nor does a class's word above folders of both classes (deepfakes/Train/Real). Tables at any level
    add labels, splits and columns, see `annotate`; an image that they leave without a label is left out and counted.

    Args:
        root: the folder.
        classes: index of the class by name, from `names.class_names`.
        walked: what `walk` found there, where that is known.

    Returns:
        The images.

    Raises:
        InputError: there are no images, some lie outside any class folder or outside any split folder where
            others have one, a folder means both classes, or a table cannot be used, see `annotate`.
    """
    walked = walked or walk(root)
    files = [file for file in walked.files if is_utf8(file)]
    tables = tables_in(walked)
    left_out = walked.left_out(tables) + Counter({NOT_UTF8: len(walked.files) - len(files)})
    if not files:
        found = "; ".join(["", *filter(None, [describe_left_out(left_out), *walked.remarks()])])
        raise InputError(f"{root} holds no images; looked for {', '.join(sorted(IMAGE_SUFFIXES))}{found}")
    listing = label_files(root, files, tables, classes)
    return replace(listing, notes=(*listing.notes, *walked.kinds(), *walked.remarks()), left_out=left_out)


def list_table(path: Path, classes: dict[str, int]) -> tuple[Path, Listing]:
    """List and label the images that one table names.

    Args:
        path: of the table. Its paths are relative to its folder, or absolute; where nothing lies there, the images
            are searched for below its folder. A groups.csv or attributes.csv beside it adds its columns.
        classes: index of the class by name, from `names.class_names`.

    Returns:
        The folder that all images lie in, and the images.

    Raises:
        InputError: the table cannot be read, names no image, or does not say what they are.
    """
    root = path.parent
    table = read_table(root, path.name)
    files: set[str] = set()
    for column in table.path_columns():
        cells = {cell.replace("\\", "/") for cell in table.columns[column]} - {""}
        files = {os.path.normpath(root / cell) for cell in cells if os.path.isfile(root / cell)}  # noqa: PTH113
        if files:
            break
    else:
        files = {f"{root}/{file}" for file in walk(root).files if is_utf8(file)}
    base = os.path.commonpath([root, *map(os.path.dirname, files)])
    beside = [path.name, *(entry.name for entry in root.iterdir() if entry.name.lower() in ADDING)]
    tables = [Path(os.path.relpath(root / name, base)).as_posix() for name in dict.fromkeys(beside)]
    listing = label_files(Path(base), [Path(os.path.relpath(file, base)).as_posix() for file in files], tables, classes)
    return Path(base), replace(listing, unlabelled=0)


def label_files(root: Path, files: list[str], tables: list[str], classes: dict[str, int]) -> Listing:
    """Label images by their folders' names and by tables.

    Args:
        root: the folder.
        files: paths of images relative to it, with `/`.
        tables: paths of tables, likewise.
        classes: index of the class by name, from `names.class_names`.

    Returns:
        The images that have a label.

    Raises:
        InputError: as of `list_folder`.
    """
    files = sorted(files, key=lambda file: (posixpath.dirname(file).split("/"), file))
    folders = [posixpath.dirname(file) for file in files]
    parts = {folder: tuple(filter(None, folder.split("/"))) for folder in set(folders)}
    themes = _decide_nothing(set(parts.values()), classes)
    places = {folder: _place(parts[folder], classes, themes) for folder in parts}
    of_folder = np.array([places[folder] for folder in folders], np.int8).reshape(-1, 2)
    said = annotate(root, tables, files, classes, *of_folder.T)
    labels = _labels(root, files, of_folder[:, 0], said)
    rows = np.flatnonzero(labels >= 0)
    splits = _splits(root, files, of_folder[:, 1], said, rows)
    notes = [f"labels from {', '.join(said.labelled_by)}"] if said.labelled_by else []
    notes += ["test split from the list of test videos"] if said.tests_listed else []
    notes += [f"splits from the lists of pairs {', '.join(said.pair_lists)}"] if said.pair_lists else []
    notes += [f"not used: {path} {reason}" for path, reason in said.unused.items() if path not in said.taken]
    columns = dict(said.columns)
    for name, values in layout_columns(files).items():
        columns[name] = [own or other for own, other in zip(columns.get(name, values), values, strict=True)]
    return Listing(
        [files[row] for row in rows],
        labels[rows],
        splits[rows],
        {name: [values[row] for row in rows] for name, values in columns.items()},
        said.unmatched,
        len(files) - len(rows),
        bool(said.labelled_by or said.tests_listed or said.pair_lists),
        tuple(notes),
    )


def tables_in(walked: Walked) -> list[str]:
    """Find the tables of a folder.

    Args:
        walked: what was found there.

    Returns:
        Their paths, without those with the name of an image, which are about that one (such as landmarks).
    """
    images = {posixpath.splitext(file)[0] for file in walked.files}
    tables = [file for file in walked.others if is_table(posixpath.basename(file)) and is_utf8(file)]
    return [table for table in tables if posixpath.splitext(table)[0] not in images]


def _decide_nothing(folders: set[tuple[str, ...]], classes: dict[str, int]) -> set[tuple[str, ...]]:
    """Folders named like a class that stand above folders of both classes: the name of a data set, or of its theme.

    Not where a folder of the other class stands beside it: then they are the class folders, and names below are odd.
    """
    named: dict[tuple[str, ...], int] = {}
    for folder in folders:
        for depth in range(1, len(folder) + 1):
            if (label := classes.get(normal(folder[depth - 1]))) is not None:
                named[folder[:depth]] = label
    below: defaultdict[tuple[str, ...], set[int]] = defaultdict(set)
    beside: defaultdict[tuple[str, ...], set[int]] = defaultdict(set)
    for place, label in named.items():
        beside[place[:-1]].add(label)
        for depth in range(1, len(place)):
            below[place[:depth]].add(label)
    return {place for place in named if len(below[place]) > 1 and len(beside[place[:-1]]) == 1}


def _place(folder: tuple[str, ...], classes: dict[str, int], themes: set[tuple[str, ...]]) -> tuple[int, int]:
    """Class (-1 for none, `_BOTH`) and split (-1 for none) that the parts of a folder's path mean."""
    meant = [
        None if folder[:depth] in themes else classes.get(normal(part)) for depth, part in enumerate(folder, start=1)
    ]
    depth = next((depth for depth, label in enumerate(meant[:_DEEPEST_CLASS]) if label is not None), None)
    nearest = (
        folder[_DEEPEST_CLASS - 1 :: -1]
        if depth is None
        else [*reversed(folder[:depth]), *folder[depth + 1 : depth + 2]]
    )
    split = next((split for split in map(split_index, nearest) if split >= 0), -1)
    label = -1 if depth is None else meant[depth]
    assert label is not None
    return _BOTH if len(set(meant) - {None}) > 1 and depth is not None else label, split


def _labels(root: Path, files: list[str], of_folder: NDArray[np.int8], said: Said) -> NDArray[np.int8]:
    """The label of each image, -1 where a table leaves it without one."""
    given = said.labels >= 0
    known = np.where(of_folder == _BOTH, -1, of_folder)
    if given.any() and len(set(known.tolist()) - {-1}) < len(LABELS):
        known = np.full(len(files), -1, np.int8)  # all lie in one folder whose name happens to be a word for a class
    wrong = np.flatnonzero(given & (known >= 0) & (said.labels != known))
    if len(wrong):
        raise InputError(
            f"{root / said.labelled_by[0]} calls {files[wrong[0]]} {LABELS[said.labels[wrong[0]]]}, unlike the folder "
            f"that it lies in ({len(wrong)} such images); mend what is wrong"
        )
    labels = np.where(given, said.labels, known).astype(np.int8)
    if given.any():
        return labels
    if len(both := np.flatnonzero(of_folder == _BOTH)):
        folder = posixpath.dirname(files[both[0]])
        raise InputError(f"{root / folder} is named as real and as fake at once; rename a folder of its path")
    if len(outside := np.flatnonzero(labels < 0)):
        counts = Counter(posixpath.dirname(files[row]) or "." for row in outside)
        found = ", ".join(f"{folder} ({count})" for folder, count in sorted(counts.items())[:10])
        known_folders = {(posixpath.dirname(file), label) for file, label in zip(files, labels.tolist(), strict=True)}
        known_counts = Counter(LABELS[label] for _, label in known_folders if label >= 0)
        tables = "; ".join(f"{path} {reason}" for path, reason in list(said.unused.items())[:3])
        raise InputError(
            f"{len(outside)} images in {root} lie in no folder that is known as real or fake: {found}"
            f"{', ...' if len(counts) > 10 else ''} (folders known as real: {known_counts['real']}, as "
            f"fake: {known_counts['fake']}){f' and no table says what they are ({tables})' if tables else ''}; "
            "move them, or name their folders with --real_names or --fake_names"
        )
    return labels


def _splits(
    root: Path, files: list[str], of_folder: NDArray[np.int8], said: Said, rows: NDArray[np.int64]
) -> NDArray[np.int8]:
    """The split of each image: what a table's column says, else the folder, else the table's name."""
    splits = np.where(said.splits >= 0, said.splits, np.where(of_folder >= 0, of_folder, said.named_splits))
    if said.tests_listed:  # what is not on the list of test videos is for training
        splits = np.where(splits < 0, SPLITS.index("train"), splits)
    without = rows[splits[rows] < 0]
    if 0 < len(without) < len(rows):
        raise InputError(
            f"{root} has splits, but {len(without)} images such as {files[without[0]]} are in none of them; move "
            "them, or add them to the table that says the splits"
        )
    return splits.astype(np.int8)
