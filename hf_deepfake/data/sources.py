"""What `--data` may name: a folder, a zip, parquet files, a data set of the Hub or of Kaggle, or the sample."""

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, Image, Value, concatenate_datasets, load_dataset
from datasets.exceptions import DatasetsError
from numpy.typing import NDArray

from hf_deepfake.config import SPLITS
from hf_deepfake.data.annotate import RESERVED
from hf_deepfake.data.archive import unpack, whole_folder
from hf_deepfake.data.groups import infer_groups
from hf_deepfake.data.hub_errors import hub_errors
from hf_deepfake.data.index import Listing, list_folder, list_table
from hf_deepfake.data.labels import choose_labels, label_columns
from hf_deepfake.data.names import split_index
from hf_deepfake.data.sample import draw_sample
from hf_deepfake.data.tables import SUFFIXES, holds_pictures
from hf_deepfake.errors import InputError

_UNSPLIT = "unsplit"  # how parquet files whose names say no split are handed to `datasets`


@dataclass(frozen=True)
class Source:
    """All pictures of one source, nothing of them opened.

    Attributes:
        name: what the column source shows.
        images: N rows with the one column image.
        labels: int8 (N,), indices in `LABELS`.
        splits: int8 (N,), indices in `SPLITS`; -1 everywhere if the source has no splits.
        columns: further columns by name, N values each, None where nothing is known.
        unmatched: rows of tables that name no picture.
        unlabelled: pictures left out because no table says their label.
        notes: lines that say where labels and groups are from.
        inferred: whether groups were read out of paths.
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


def open_source(text: str, classes: dict[str, int], cache: Path, groups: str = "auto") -> Source:
    """Find out what a source is, fetch or unpack it where needed, and list and label its pictures.

    Args:
        text: path of a folder, zip, table (CSV, JSON ...) or parquet file, `owner/name` of a data set on the Hub,
            `kaggle:owner/name`, or `sample`. What exists as a path is taken as a path.
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
    path = Path(text).expanduser()
    if path.is_dir():
        return _from_folder(path.resolve().name, path.resolve(), classes, cache, groups)
    if path.is_file():
        if zipfile.is_zipfile(path):
            return _from_folder(path.stem, unpack(path, cache), classes, cache, groups)
        if path.suffix.lower() in SUFFIXES and not (path.suffix.lower() == ".parquet" and holds_pictures(path)):
            root, listing = list_table(path.resolve(), classes)
            return _from_listing(path.stem, root, listing, classes, groups)
        if path.suffix.lower() == ".parquet":
            return _from_parquet(path.stem, path.resolve().parent, [path.name], classes, cache)
        raise InputError(
            f"{path} is neither a zip nor a parquet file nor a table; give one of these or a folder of pictures"
        )
    if re.fullmatch(r"[\w.-]+/[\w.-]+", text):
        return _from_hub(text, classes)
    raise InputError(
        f"no such path {text}; give a folder, a zip, a table, a parquet file, OWNER/NAME on the Hub, kaggle:OWNER/NAME "
        "or sample"
    )


def _sample(cache: Path) -> Path:
    """The folder of the drawn pictures, drawn on first use."""
    folder = cache / "sample-1"  # to be raised when the drawing changes
    if not folder.is_dir():
        with whole_folder(folder) as temporary:
            draw_sample(temporary)
    return folder / "pictures"


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
    """The parquet files of a folder that hold pictures if there are any, otherwise its files of pictures."""
    if shards := sorted(str(file.relative_to(root)) for file in root.rglob("*.parquet") if holds_pictures(file)):
        return _from_parquet(name, root, shards, classes, cache)
    return _from_listing(name, root, list_folder(root, classes), classes, groups)


def _from_listing(name: str, root: Path, listing: Listing, classes: dict[str, int], groups: str) -> Source:
    """Files of pictures, with the groups that their paths tell where no table gives one."""
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
    )


def _from_parquet(name: str, root: Path, files: list[str], classes: dict[str, int], cache: Path) -> Source:
    """Parquet files with embedded pictures; the first word of a file's name, or a folder above it, says the split."""
    shards: dict[str, list[str]] = {}
    for file in files:
        *folders, last = Path(file).parts
        meant = map(split_index, [re.split(r"[-_.]", last)[0], *reversed(folders)])
        split = next((SPLITS[split] for split in meant if split >= 0), _UNSPLIT)
        shards.setdefault(split, []).append(f"{root}/{file}")
    if _UNSPLIT in shards and len(shards) > 1:
        raise InputError(f"{shards[_UNSPLIT][0]} names no split, unlike the files beside it; rename or move it")
    try:
        parts = load_dataset("parquet", data_files=shards, cache_dir=str(cache / "parquet"))
    except (OSError, ValueError, DatasetsError) as error:
        raise InputError(f"the parquet files of {name} cannot be read ({_reason(error)}); get them anew") from error
    return _from_parts(name, parts, classes)


def _from_hub(name: str, classes: dict[str, int]) -> Source:
    """A data set of the Hub."""
    with hub_errors(f"no such path {name} here, and no data set of the Hub can be had by that name"):
        parts = load_dataset(name)
    return _from_parts(name, parts, classes)


def _reason(error: Exception) -> str:
    """The first line of what the library says, and of what made it say so."""
    return "; ".join(str(part).strip().split("\n")[0] for part in (error, error.__cause__) if part)


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
        raise InputError(f"the splits of {name} have different columns ({_reason(error)}); make them equal") from error
    features = table.features
    picture = picture_column(name, features)
    target, labels = _labels(name, table, classes)
    others = [
        column
        for column, feature in features.items()
        if isinstance(feature, Value) and feature.dtype != "binary" and column not in RESERVED | {target}
    ]
    return Source(
        name,
        table.select_columns([picture]).rename_columns({picture: "image"}).cast_column("image", Image()),
        labels,
        splits,
        {column: [None if value is None else str(value) for value in table[column]] for column in others},
    )


def picture_column(name: str, features: Mapping[str, Any]) -> str:
    """The column of a data set that holds its pictures.

    Args:
        name: of the data set, for the error.
        features: of its columns, as `datasets` gives them.

    Returns:
        "image" where it holds pictures, else the only column that does.

    Raises:
        InputError: there is none, or several and none is "image".
    """
    pictures = [column for column, feature in features.items() if isinstance(feature, Image)]
    if "image" in pictures:
        return "image"
    if len(pictures) != 1:
        raise InputError(f"{name} has {len(pictures)} picture columns; one is needed among {', '.join(features)}")
    return pictures[0]


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
        raise InputError(f"{name} has pictures without a label; leave them out")
    return target, labels
