"""From sources to three splits: list, open, compare, split."""

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, DatasetDict, Image, Value, concatenate_datasets
from numpy.typing import NDArray

from hf_deepfake.config import LABELS, SPLITS, DataConfig, build
from hf_deepfake.data.data_report import DataReport
from hf_deepfake.data.folds import fold_splits
from hf_deepfake.data.image_names import below_shared, name_images, without_path
from hf_deepfake.data.names import class_names
from hf_deepfake.data.origins import ORIGIN, name_origins
from hf_deepfake.data.scan import scan
from hf_deepfake.data.sources import Source, hold_source, open_source
from hf_deepfake.data.split import connect, find_leaks, join_given, make_splits, missing_splits
from hf_deepfake.data.walk import describe_left_out
from hf_deepfake.errors import InputError
from hf_deepfake.files import cache_path, make_folder

logger = logging.getLogger(__name__)

Held = str | Path | Dataset | DatasetDict | Sequence[Mapping[str, Any]]
"""What `load_images` takes: the name of a source, or what somebody holds in Python."""


def load_images(source: Held, *more_sources: Held, **options: Any) -> DatasetDict:
    """Load real and fake images, labelled and split, from folders, zips, tables, the Hub or Kaggle.

    Every image is opened once, and what does not open is left out. A group or image that given splits share is
    dropped from the earlier one. Splits that are missing are made: 80/10/10 of a source without splits, otherwise
    `validation_share` of train for validation and for test each; a source without train stays as it is. What was
    found goes to the log of `hf_deepfake`.

    Args:
        source: a folder, zip, table (CSV, JSON ...), parquet file or WebDataset shard, `owner/name` on the Hub,
            `kaggle:owner/name`, or `sample`; or a `Dataset`, a `DatasetDict`, or a list of rows such as
            `{"image": "a.jpg", "label": "real"}`, whose image is a path, bytes, PIL or uint8 array.
        *more_sources: more of these, merged with the first. Their groups are kept apart by the source's name.
        **options: fields of `DataConfig` other than `data`.

    Returns:
        Splits train, validation and test, each with the columns image (`datasets.Image`), label (`ClassLabel` real,
        fake), source, origin (see `DataConfig.origins`), and group, manipulation and whatever else the source says
        (text or None). Rows are in the order of the images' hashes, so that neither names nor file systems decide on
        it.

    Raises:
        InputError: a source or option cannot be used, or a class has too few images.
    """
    sources = (source, *more_sources)
    named = tuple(one for one in sources if isinstance(one, (str, Path)))
    held = [one for one in sources if not isinstance(one, (str, Path))]
    data, report = prepare(build(DataConfig, {**options, "data": named}), held)
    logger.log(logging.INFO if report.clean else logging.WARNING, "%s", report.summary())
    return data


def prepare(config: DataConfig, held: Sequence[Any] = (), *, whole: bool = False) -> tuple[DatasetDict, DataReport]:
    """What `load_images` does, with its report.

    Args:
        config: sources and options; at least one source, or something held.
        held: further sources: data sets and lists of rows.
        whole: the splits will be taken together, so that one class may be missing, in all or in a split, and nothing
            is dropped because splits share it.

    Returns:
        The splits and what was found.

    Raises:
        InputError: a source or option cannot be used, or a class has too few images.
    """
    if not config.data and not held:
        raise InputError("no data given; name a source, such as --data faces.zip or --data sample")
    cache = cache_folder(config)
    classes = class_names(config)
    opened = [open_source(text, classes, cache, config.groups) for text in config.data]
    sources = name_origins(_distinct(opened + [hold_source(data, classes) for data in held]), config)
    labels = np.concatenate([source.labels for source in sources])
    _check_classes(labels, sources, whole)
    table = _merge(sources)
    numbers = np.repeat(np.arange(len(sources)), [len(source.labels) for source in sources])
    groups = np.array(table["group"] if "group" in table.column_names else [None] * len(table), object)

    hashes, problems = scan(table.select_columns(["image"]), cache)
    names = name_images(table)
    bad_files = tuple((names[row], _reason(table, row, names[row], problems[row])) for row in sorted(problems))
    if bad_files and config.on_bad_file == "error":
        raise InputError(f"{len(bad_files)} images do not open; the first is {': '.join(bad_files[0])}")
    origins = np.array(table[ORIGIN], object)
    if unknown := set(config.without_origins) - set(origins):
        raise InputError(
            f"no origin {', '.join(sorted(unknown))} is here to leave out; there are {', '.join(sorted(set(origins)))}"
        )
    rows = np.flatnonzero((hashes != b"") & ~np.isin(origins.astype(str), config.without_origins))
    _check_classes(labels[rows], sources, whole)  # again: broken files may have been all of a class

    given = np.concatenate([source.splits for source in sources])
    if config.fold:
        given[rows] = fold_splits(
            config.fold,
            hashes[rows],
            groups[rows],
            labels[rows],
            numbers[rows],
            config.validation_share,
            config.split_seed,
        )
    missing = missing_splits(given, numbers) if not config.fold else {}
    given[rows] = join_given(given[rows], connect(hashes[rows], groups[rows]))
    leaks = find_leaks(given[rows], hashes[rows], groups[rows])
    if leaks.rows.any() and config.on_leak == "error" and not whole:
        raise InputError(
            f"{len(leaks.groups)} groups and {leaks.images} images are in more than one split, such as that of "
            f"{names[rows[leaks.rows][0]]}; mend the splits, or give --on_leak drop to leave out the earlier"
        )
    dropped = int(leaks.rows.sum()) if config.on_leak == "drop" and not whole else 0
    if dropped:
        rows = rows[~leaks.rows]

    rows = rows[np.lexsort((labels[rows], hashes[rows]))]
    hashes, labels, numbers, groups = hashes[rows], labels[rows], numbers[rows], groups[rows]
    splits = make_splits(
        given[rows], missing, hashes, groups, labels, numbers, config.validation_share, config.split_seed
    )
    by_source = {
        source.name: _count(splits[numbers == number], labels[numbers == number])
        for number, source in enumerate(sources)
    }
    made = {sources[number].name: tuple(SPLITS[split] for split in splits) for number, splits in missing.items()}
    if not whole:
        _check_made(made, by_source, {source.name for source in sources if source.inferred})
    report = DataReport(
        counts=_count(splits, labels),
        sources=by_source,
        listed=len(table),
        bad_files=bad_files,
        leaked_groups=tuple(leaks.groups),
        leaked_images=leaks.images,
        dropped=dropped,
        duplicates=len(rows) - len(set(zip(hashes, splits, strict=True))),
        label_conflicts=_conflicts(names, rows, hashes, labels),
        unmatched_rows=sum(source.unmatched for source in sources),
        unlabelled=sum(source.unlabelled for source in sources),
        notes={source.name: source.notes for source in sources if source.notes},
        left_out=dict(sum((source.left_out for source in sources), Counter())),
        made=made,
        origins=tuple(sorted(set(origins[rows]))),
        fingerprint=_fingerprint(hashes, labels, splits),
    )
    return DatasetDict({name: table.select(rows[splits == split]) for split, name in enumerate(SPLITS)}), report


def hash_images(images: Dataset, config: DataConfig) -> NDArray[np.bytes_]:
    """Hash what images show, out of the cache where it knows them.

    Args:
        images: N rows with the column image, as `prepare` gives them.
        config: that they were loaded with.

    Returns:
        S32 (N,), see `scan`.
    """
    return scan(images.select_columns(["image"]), cache_folder(config))[0]


def _check_classes(labels: NDArray[np.int8], sources: list[Source], one_class: bool) -> None:
    """Refuse images of which a class is missing, or, where one class is welcome, both are."""
    names, left_out = ", ".join(source.name for source in sources), sum((one.left_out for one in sources), Counter())
    found = [name for label, name in enumerate(LABELS) if label in labels]
    missing = [name for name in LABELS if name not in found]
    if missing and not (one_class and found):
        raise InputError(
            f"there are no {missing[0]} images in {names} that open; give images of both classes"
            f"{'; ' * bool(left_out)}{describe_left_out(left_out)}"
        )


def cache_folder(config: DataConfig) -> Path:
    """Make the folder of the cache, if need be.

    Args:
        config: its `cache_dir`, or else the environment, says where.

    Returns:
        The folder.

    Raises:
        InputError: it cannot be made.
    """
    return make_folder(cache_path(config.cache_dir).resolve())


def _distinct(sources: list[Source]) -> list[Source]:
    """The sources with distinct names, and groups that two of them cannot share by chance."""
    seen: Counter[str] = Counter()
    distinct = []
    for source in sources:
        seen[source.name] += 1
        name = source.name if seen[source.name] == 1 else f"{source.name}-{seen[source.name]}"
        # Columns go into whatever is made of the data, so that they too must not say where these lie.
        columns = {column: below_shared(values) for column, values in source.columns.items()}
        if "video" in columns:  # the frames of a video belong together, whatever else is known
            groups = columns.get("group", columns["video"])
            columns["group"] = [group or video for group, video in zip(groups, columns["video"], strict=True)]
        if len(sources) > 1 and "group" in columns:
            columns["group"] = [group and f"{name}/{group}" for group in columns["group"]]
        distinct.append(replace(source, name=name, columns=columns))
    return distinct


def _merge(sources: list[Source]) -> Dataset:
    """One table of all sources, with the columns of each."""
    further = dict.fromkeys(column for source in sources for column in source.columns)
    tables = []
    for source in sources:
        size = len(source.labels)
        table = source.images.add_column(
            "label", source.labels.astype(np.int64), feature=ClassLabel(names=list(LABELS))
        )
        columns = {"source": [source.name] * size, ORIGIN: source.columns[ORIGIN]}
        columns |= {name: source.columns.get(name, [None] * size) for name in further if name != ORIGIN}
        for name, values in columns.items():
            table = table.add_column(name, pa.array(values, pa.string()), feature=Value("string"))
        tables.append(table)
    return concatenate_datasets(tables)


def _reason(table: Dataset, row: int, name: str, problem: str) -> str:
    """Why an image does not open, without where it lies."""
    path = table.cast_column("image", Image(decode=False))[row]["image"]["path"]
    return without_path(problem, path, name) if path else problem


def _count(splits: NDArray[np.int8], labels: NDArray[np.int8]) -> dict[str, dict[str, int]]:
    """Images by split and class."""
    return {
        split: {label: int(((splits == place) & (labels == index)).sum()) for index, label in enumerate(LABELS)}
        for place, split in enumerate(SPLITS)
    }


def _check_made(
    made: dict[str, tuple[str, ...]], counts: dict[str, dict[str, dict[str, int]]], inferred: set[str]
) -> None:
    """Refuse a source of which some class does not reach into every split that was made."""
    for source, splits in made.items():
        hint = ", or --groups given where folders and file names tell no groups" if source in inferred else ""
        needed = dict.fromkeys(("train", *splits))
        for label in LABELS:
            total = sum(counts[source][split][label] for split in needed)
            if total and not all(counts[source][split][label] for split in needed):
                raise InputError(
                    f"{source} has {total} {label} images, which is too few (or too few groups) to split into "
                    f"{', '.join(needed)}; add some{hint}"
                )


def _conflicts(
    names: list[str], rows: NDArray[np.int64], hashes: NDArray[np.bytes_], labels: NDArray[np.int8]
) -> tuple[tuple[str, str], ...]:
    """A real and a fake image of each hash that is in both classes."""
    # Rows are sorted by hash, then label: a hash's classes change where the next row has the same hash.
    changes = np.flatnonzero((hashes[1:] == hashes[:-1]) & (labels[1:] != labels[:-1]))
    return tuple((names[rows[place]], names[rows[place + 1]]) for place in changes)


def _fingerprint(hashes: NDArray[np.bytes_], labels: NDArray[np.int8], splits: NDArray[np.int8]) -> str:
    """SHA-256 over the sorted lines `hash label split`."""
    lines = sorted(
        f"{image.decode()} {LABELS[label]} {SPLITS[split]}\n"
        for image, label, split in zip(hashes, labels, splits, strict=True)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()
