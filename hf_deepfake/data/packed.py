"""Images inside files: parquet as anybody writes it, what `save_to_disk` wrote, WebDataset shards, rows in memory."""

import os
import re
import tarfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict, Features, Image, Value, load_dataset, load_from_disk
from datasets.exceptions import DatasetsError
from pyarrow import types

from hf_deepfake.config import SPLITS
from hf_deepfake.data.names import split_index
from hf_deepfake.data.tables import holds_images
from hf_deepfake.data.walk import says_image
from hf_deepfake.errors import InputError
from hf_deepfake.images.formats import HEAD, begins_image

UNSPLIT = "unsplit"
"""How shards whose names say no split are handed to `datasets`."""

_LOOKED_AT = 64  # members of a tar, or rows: some samples, whatever lies beside each image

_ERRORS = (OSError, ValueError, TypeError, DatasetsError, tarfile.TarError)


def is_parquet(path: Path) -> bool:
    """Whether a file is parquet with images inside; true of a damaged one, too, for its reader to say so."""
    if path.suffix.lower() != ".parquet" or not path.is_file() or not holds_images(path):
        return False
    try:
        file = pq.ParquetFile(path)
        plain = [field.name for field in file.schema_arrow if not types.is_nested(field.type) and _holds_bytes(field)]
        if any(types.is_struct(field.type) for field in file.schema_arrow) or not plain:
            return True
        # Bytes may be anything, such as embeddings.
        some = next(file.iter_batches(_LOOKED_AT, columns=plain), pa.record_batch({})).to_pydict()
    except (OSError, pa.ArrowException):
        return True
    return any(begins_image(value[:HEAD]) for values in some.values() for value in values if value)


def _holds_bytes(field: pa.Field) -> bool:
    """Whether a column is of bytes."""
    return types.is_binary(field.type) or types.is_large_binary(field.type)


def is_saved(folder: Path) -> bool:
    """Whether a folder is what `save_to_disk` wrote."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def is_shard(path: Path, labelled: bool = True) -> bool:
    """Whether a file is a tar with images, as WebDataset has it.

    Args:
        path: the file.
        labelled: ask for a label (`key.cls` or `key.json`) beside an image, too.

    Returns:
        Whether the first members are such; true of a damaged file, too, for its reader to say so.
    """
    if path.suffix.lower() != ".tar" or not path.is_file():
        return False
    fields: defaultdict[str, set[str]] = defaultdict(set)
    try:
        with tarfile.open(path) as tar:
            for member in islice(tar, _LOOKED_AT):
                folder, _, last = member.name.rpartition("/")
                key, _, field = last.partition(".")
                if member.isfile() and key:
                    fields[f"{folder}/{key}"].add(f".{field}")
    except (OSError, tarfile.TarError):
        return True
    kinds = [own for own in fields.values() if any(says_image(f"key{field}") for field in own)]
    return any(own & {".cls", ".json"} for own in kinds) if labelled else bool(kinds)


def read_files(kind: str, name: str, files: Sequence[Path], cache: Path, root: Path | None = None) -> DatasetDict:
    """Read parquet files or WebDataset shards.

    The first word of a file's name, or a folder above it, says the split. Of a WebDataset, `key.cls` becomes the
    column label, and what `key.json` says becomes columns.

    Args:
        kind: "parquet" or "webdataset".
        name: of the source, for errors.
        files: paths; without a `root`, only their names say a split.
        cache: folder of the cache.
        root: what the paths are relative to.

    Returns:
        The splits, or one that is called `UNSPLIT`.

    Raises:
        InputError: they cannot be read, or only some name a split.
    """
    shards: dict[str, list[str]] = {}
    for file in files:
        *folders, last = file.parts if root else (file.name,)
        meant = map(split_index, [re.split(r"[-_.]", last)[0], *reversed(folders)])
        split = next((SPLITS[split] for split in meant if split >= 0), UNSPLIT)
        shards.setdefault(split, []).append(str(root / file if root else file))
    if UNSPLIT in shards and len(shards) > 1:
        raise InputError(f"{shards[UNSPLIT][0]} names no split, unlike the files beside it; rename or move it")
    try:
        parts = load_dataset(kind, data_files=shards, cache_dir=str(cache / kind))
    except _ERRORS as error:
        raise InputError(f"the {kind} files of {name} cannot be read ({reason_of(error)}); get them anew") from error
    return DatasetDict({split: _flat(part) for split, part in parts.items()}) if kind == "webdataset" else parts


def _flat(part: Dataset) -> Dataset:
    """A WebDataset's split with plain columns; its key and its tar's path, of this machine, are left out."""
    part = part.remove_columns([column for column in ("__key__", "__url__") if column in part.column_names]).flatten()
    names = {column: column.removeprefix("json.") for column in part.column_names}
    if "label" not in names.values() and "cls" in names:
        names["cls"] = "label"
    taken = set(part.column_names)
    return part.rename_columns({old: new for old, new in names.items() if new != old and new not in taken})


def read_saved(name: str, folder: Path) -> DatasetDict:
    """Read what `save_to_disk` wrote.

    Args:
        name: of the source, for errors.
        folder: of a `Dataset` or `DatasetDict`.

    Returns:
        The splits; a single one under its own name where that says a split, else as `UNSPLIT`.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return as_splits(load_from_disk(str(folder)))
    except _ERRORS as error:
        raise InputError(f"{name} cannot be read ({reason_of(error)}); save it to disk anew") from error


def as_splits(data: Any) -> DatasetDict:
    """What somebody holds in Python, as splits.

    Args:
        data: a `Dataset`, a `DatasetDict`, or a list of rows: mappings with image (path, bytes, PIL, uint8 array, or
            bytes and path), label, and what else is known.

    Returns:
        The splits; a single one under its own name where that says a split, else as `UNSPLIT`.

    Raises:
        InputError: it is none of these.
    """
    if isinstance(data, DatasetDict):
        return data
    if isinstance(data, Dataset):
        split = str(data.split)
        return DatasetDict({split if split_index(split) >= 0 else UNSPLIT: data})
    if isinstance(data, Sequence) and data and all(isinstance(row, Mapping) for row in data):
        return DatasetDict({UNSPLIT: _from_rows(data)})
    raise InputError(
        f"{type(data).__name__} is no source of images; give a path, a datasets.Dataset or DatasetDict, or a list of "
        'rows such as {"image": "a.jpg", "label": "real"}'
    )


def _from_rows(rows: Sequence[Mapping[str, Any]]) -> Dataset:
    """Rows as a data set, with their images still encoded where they were."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if "image" not in names:
        raise InputError(f"the rows have no image; they have {', '.join(map(str, names))}, so rename one to image")
    columns = {str(name): [row.get(name) for row in rows] for name in names}
    features = Image()
    try:
        columns["image"] = [features.encode_example(_absolute(value)) for value in columns["image"]]
        table = Dataset.from_dict(columns)
    except (*_ERRORS, AttributeError) as error:  # what is no image is asked for its keys
        raise InputError(f"the rows are no table ({reason_of(error)}); give each the same kinds of values") from error
    return table.cast(Features(table.features | {"image": features}))


def _absolute(value: Any) -> Any:
    """A path that holds wherever the program goes; anything else as it is."""
    return os.path.abspath(value) if isinstance(value, (str, os.PathLike)) else value  # noqa: PTH100


def image_column(name: str, features: Mapping[str, Any]) -> str:
    """The column of a data set that holds its images.

    Args:
        name: of the data set, for the error.
        features: of its columns, as `datasets` gives them.

    Returns:
        "image" where it holds images, else the only column that does: an `Image`, or else structs with bytes, or
        else bytes.

    Raises:
        InputError: there is none, or several and none is "image".
    """
    kinds = (
        lambda feature: isinstance(feature, Image),
        lambda feature: isinstance(feature, Mapping) and "bytes" in feature and is_bytes(feature["bytes"]),
        is_bytes,
    )
    images: list[str] = []
    for is_kind in kinds:
        images = [column for column, feature in features.items() if is_kind(feature)]
        if "image" in images:
            return "image"
        if len(images) == 1:
            return images[0]
        if images:
            break
    if not images and features.get("image") == Value("string"):  # paths
        return "image"
    raise InputError(f"{name} has {len(images)} image columns; one is needed among {', '.join(features)}")


def is_bytes(feature: Any) -> bool:
    """Whether a column is of bytes."""
    return isinstance(feature, Value) and feature.dtype in ("binary", "large_binary")


def reason_of(error: Exception) -> str:
    """The first line of what the library says, and of what made it say so."""
    return "; ".join(str(part).strip().split("\n")[0] for part in (error, error.__cause__) if part)
