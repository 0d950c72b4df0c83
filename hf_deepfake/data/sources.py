"""What `--data` may name: a folder, a zip, parquet files, a data set of the Hub or of Kaggle, or the sample."""

import re
import zipfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, Image, Value, concatenate_datasets, load_dataset
from numpy.typing import NDArray

from hf_deepfake.data.annotate import RESERVED
from hf_deepfake.data.archive import left_out_of, unpack, whole_folder
from hf_deepfake.data.groups import infer_groups
from hf_deepfake.data.hub_errors import hub_errors
from hf_deepfake.data.index import Listing, list_folder, list_table
from hf_deepfake.data.labels import choose_labels, label_columns
from hf_deepfake.data.names import split_index
from hf_deepfake.data.packed import (
    as_splits,
    image_column,
    is_bytes,
    is_parquet,
    is_saved,
    is_shard,
    read_files,
    read_saved,
    reason_of,
)
from hf_deepfake.data.sample import draw_sample
from hf_deepfake.data.tables import SUFFIXES
from hf_deepfake.data.walk import Walked, hints, kind_of, walk
from hf_deepfake.errors import InputError
from hf_deepfake.files import local_path


@dataclass(frozen=True)
class Source:
    """All images of one source, nothing of them opened.

    Attributes:
        name: what the column source shows.
        images: N rows with the one column image.
        labels: int8 (N,), indices in `LABELS`.
        splits: int8 (N,), indices in `SPLITS`; -1 everywhere if the source has no splits.
        columns: further columns by name, N values each, None where nothing is known.
        unmatched: rows of tables that name no image.
        unlabelled: images left out because no table says their label.
        notes: lines that say where labels and groups are from.
        inferred: whether groups were read out of paths.
        left_out: files that are not read, by kind.
    """

    name: str
    images: Dataset
    labels: NDArray[np.int8]
    splits: NDArray[np.int8]
    columns: dict[str, list[str | None]]
    unmatched: int = 0
    unlabelled: int = 0
    notes: tuple[str, ...] = ()
    inferred: bool = False
    left_out: Counter[str] = field(default_factory=Counter)


def open_source(text: str, classes: dict[str, int], cache: Path, groups: str = "auto") -> Source:
    """Find out what a source is, fetch or unpack it where needed, and list and label its images.

    Args:
        text: path of a folder, zip, table (CSV, JSON ...), parquet file or WebDataset shard, `owner/name` of a data set
            on the Hub, `kaggle:owner/name`, or `sample`. What exists as a path is taken as a path.
        classes: index of the class by name, from `names.class_names`.
        cache: folder for what is unpacked or drawn.
        groups: how groups are read out of the paths of files, see `infer_groups`.

    Returns:
        The source.

    Raises:
        InputError: the text names none of these, or what it names cannot be used.
    """
    if text == "sample":
        return _from_folder("sample", _sample(cache), classes, cache, groups)
    if text.startswith("kaggle:"):
        return _from_folder(text.removeprefix("kaggle:"), _kaggle(text.removeprefix("kaggle:")), classes, cache, groups)
    path = local_path(text)
    if path.is_dir():
        return _from_folder(path.resolve().name, path.resolve(), classes, cache, groups)
    if path.is_file():
        return _from_file(path.resolve(), classes, cache, groups)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", text):
        return _from_hub(text, classes)
    raise InputError(
        f"no such path {text}; give a folder, a zip, a table, a parquet file, OWNER/NAME on the Hub, kaggle:OWNER/NAME "
        "or sample"
    )


def hold_source(data: Any, classes: dict[str, int]) -> Source:
    """Label what somebody holds in Python.

    Args:
        data: see `as_splits`.
        classes: index of the class by name, from `names.class_names`.

    Returns:
        The source, whose name is "memory".

    Raises:
        InputError: it is no set of images, or its labels are not understood.
    """
    return _from_parts("memory", as_splits(data), classes)


def _from_file(path: Path, classes: dict[str, int], cache: Path, groups: str) -> Source:
    """A zip, a parquet file, a WebDataset shard or a table."""
    if zipfile.is_zipfile(path):
        folder = unpack(path, cache)
        source = _from_folder(path.stem, folder, classes, cache, groups)
        return replace(source, left_out=source.left_out + left_out_of(folder))
    if is_parquet(path):
        return _from_parts(path.stem, read_files("parquet", path.stem, [path], cache), classes)
    if path.suffix.lower() in SUFFIXES:
        root, listing = list_table(path, classes)
        return _from_listing(path.stem, root, listing, classes, groups)
    if is_shard(path):
        return _from_parts(path.stem, read_files("webdataset", path.stem, [path], cache), classes)
    hint = "; ".join(hints([kind_of(path.name)]))
    shard = ", nor a WebDataset shard (key.jpg beside key.cls or key.json)" if path.suffix.lower() == ".tar" else ""
    raise InputError(
        f"{path} is neither a zip nor a parquet file nor a table{shard}; "
        f"{hint + ', and give the folder' if hint else 'give one of these or a folder of images'}"
    )


def _sample(cache: Path) -> Path:
    """The folder of the drawn images, drawn on first use."""
    folder = cache / "sample-2"  # to be raised when the drawing changes
    if not folder.is_dir():
        with whole_folder(folder) as temporary:
            draw_sample(temporary)
    return folder / "images"


def _kaggle(name: str) -> Path:
    """Download a Kaggle data set."""
    try:
        import kagglehub  # ty: ignore[import-not-found] - an extra
    except ImportError as error:
        raise InputError('kagglehub is not installed; pip install "hf-deepfake[kaggle]"') from error
    try:
        return Path(kagglehub.dataset_download(name))
    except Exception as error:  # its own errors share no base, and the network's come through as they are
        reason = " ".join(str(error).split())
        raise InputError(f"kaggle:{name} cannot be downloaded ({reason}); check its name and the network") from error


def _from_folder(name: str, root: Path, classes: dict[str, int], cache: Path, groups: str) -> Source:
    """What a folder holds: a saved data set, shards with images inside if there are any, or files of images."""
    if is_saved(root):
        return _from_parts(name, read_saved(name, root), classes)
    walked = walk(root)
    for kind, is_kind in (("parquet", is_parquet), ("webdataset", is_shard)):
        if shards := [file for file in walked.others if is_kind(root / file)]:
            # Only what is below the folder says a split, not the names of those above it.
            parts = read_files(kind, name, [Path(file) for file in shards], cache, root)
            return replace(
                _from_parts(name, parts, classes),
                notes=tuple(walked.remarks()),
                left_out=walked.left_out(shards) + Counter(map(kind_of, walked.files)),
            )
    if saved := _saved_below(root, walked):
        raise InputError(f"{root} holds what save_to_disk wrote in {', '.join(saved)}; give that folder")
    return _from_listing(name, root, list_folder(root, classes, walked), classes, groups)


def _saved_below(root: Path, walked: Walked) -> list[str]:
    """Folders below one without images that are saved data sets; of the splits of one, the folder above them."""
    folders = sorted({file.rpartition("/")[0] for file in walked.others})
    saved = [] if walked.images else [folder for folder in folders if is_saved(root / folder)]
    return [folder for folder in saved if folder.rpartition("/")[0] not in saved]


def _from_listing(name: str, root: Path, listing: Listing, classes: dict[str, int], groups: str) -> Source:
    """Files of images, with the groups that their paths tell where no table gives one."""
    inferred = infer_groups(listing.files, listing.splits, classes, groups)
    columns, notes = listing.columns, listing.notes
    given = columns.get("group", [None] * len(listing.files))
    added = any(own is None and group is not None for own, group in zip(given, inferred.groups, strict=True))
    if added:
        columns = columns | {"group": [own or group for own, group in zip(given, inferred.groups, strict=True)]}
        notes = (*notes, inferred.note)
    images = Dataset.from_dict({"image": [f"{root}/{file}" for file in listing.files]}).cast_column("image", Image())
    return Source(
        name,
        images,
        listing.labels,
        listing.splits,
        columns,
        unmatched=listing.unmatched,
        unlabelled=listing.unlabelled,
        notes=notes,
        inferred=added,
        left_out=listing.left_out,
    )


def _from_hub(name: str, classes: dict[str, int]) -> Source:
    """A data set of the Hub."""
    with hub_errors(f"no such path {name} here, and no data set of the Hub can be had by that name"):
        parts = load_dataset(name)
    return _from_parts(name, parts, classes)


def _from_parts(name: str, parts: DatasetDict, classes: dict[str, int]) -> Source:
    """The splits of a `datasets.DatasetDict` as one source."""
    indices = [split_index(str(split)) for split in parts]
    if len(parts) > 1 and -1 in indices:
        raise InputError(
            f"{name} has the splits {', '.join(map(str, parts))}, of which {list(parts)[indices.index(-1)]} could be "
            "for training, validation or testing; download it and name the splits so"
        )
    splits = np.repeat(np.array(indices, np.int8), [len(part) for part in parts.values()])
    try:
        table = concatenate_datasets(list(parts.values()))
    except ValueError as error:
        raise InputError(
            f"the splits of {name} have different columns ({reason_of(error)}); make them equal"
        ) from error
    features = table.features
    image = image_column(name, features)
    target, labels = _labels(name, table, classes)
    others = [
        column
        for column, feature in features.items()
        if isinstance(feature, Value) and not is_bytes(feature) and column not in RESERVED | {target, image}
    ]
    return Source(
        name,
        table.select_columns([image]).rename_columns({image: "image"}).cast_column("image", Image()),
        labels,
        splits,
        {column: [None if value is None else str(value) for value in table[column]] for column in others},
    )


def _labels(name: str, table: Dataset, classes: dict[str, int]) -> tuple[str, NDArray[np.int8]]:
    """The label column and its values as indices in `LABELS`."""
    columns = {}
    for column, feature in table.features.items():
        wanted = column in label_columns(table.features, classes) and isinstance(feature, (Value, ClassLabel))
        values = list(table[column]) if wanted else []
        if isinstance(feature, ClassLabel):
            values = [None if value is None or value < 0 else feature.int2str(value) for value in values]
        columns[column] = values
    target, labels = choose_labels(columns, classes, name)
    if (labels < 0).any():
        raise InputError(f"{name} has images without a label; leave them out")
    return target, labels
