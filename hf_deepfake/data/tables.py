"""Tables beside images: reading a CSV, JSON, JSON lines or parquet file as text, whatever it is for."""

import csv
import io
import json
import math
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Features
from pyarrow import types

from hf_deepfake.data.names import normal
from hf_deepfake.errors import InputError

SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet"})
"""Ends of the names of files that may be tables."""

ADDING = frozenset({"groups.csv", "attributes.csv"})
"""Names of the tables that only add columns; what they say comes before what other tables say."""

TEST_LIST = "list_of_testing_videos.txt"
"""Celeb-DF's list: a number (1 real, 0 fake) and a video in each line; the videos are its test split."""

MEDIA = re.compile(r"\.(jpe?g|jfif|jpe|png|webp|bmp|tiff?|gif|avif|heic|heif|mp4|avi|mov|mkv|webm|m4v)$", re.IGNORECASE)
"""The end of an image's or a video's name."""

_PATHS = ("filename", "file", "path", "filepath", "relativepath", "relpath", "imagepath", "imagefile", "imagefilename")
_PATHS += ("imagename", "image", "imageid", "images", "img", "imgpath", "imgname", "image", "picturepath", "photo")
_PATHS += ("videopath", "videoname", "videofile", "video", "videoid", "name", "id", "key")


@dataclass(frozen=True)
class Table:
    """A table as text.

    Attributes:
        path: relative to the folder of images, with `/`.
        columns: values by name of column, N each; empty where there is none.
    """

    path: str
    columns: dict[str, list[str]]

    @property
    def adds_only(self) -> bool:
        """Whether it is a groups.csv or attributes.csv."""
        return posixpath.basename(self.path).lower() in ADDING

    @property
    def is_metadata(self) -> bool:
        """Whether it is called metadata, so that its columns are about the images beside it."""
        return posixpath.splitext(posixpath.basename(self.path))[0].lower() == "metadata"

    @property
    def lists_tests(self) -> bool:
        """Whether it is Celeb-DF's list of test videos."""
        return posixpath.basename(self.path).lower() == TEST_LIST

    def path_columns(self) -> list[str]:
        """The columns that may name images or videos, the likeliest first."""
        named = [column for name in _PATHS for column in self.columns if normal(column) == name]
        named += [column for column in self.columns if normal(column).endswith(("filename", "filepath"))]
        named += [
            column
            for column, values in self.columns.items()
            if (value := next(filter(None, values), "")) and MEDIA.search(value)
        ]
        return list(dict.fromkeys(named))


def is_table(name: str) -> bool:
    """Whether a file's name is that of a table."""
    return posixpath.splitext(name)[1].lower() in SUFFIXES or name.lower() == TEST_LIST


def holds_images(path: Path) -> bool:
    """Whether a parquet file has a column of encoded images; true of a damaged one too, for its reader to say so."""
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return True
    return any(map(_is_encoded, schema.types))


def _is_encoded(kind: pa.DataType) -> bool:
    """Whether a column is of bytes, or of structs with bytes."""
    if types.is_struct(kind):
        return any(map(_is_encoded, (kind.field(place).type for place in range(kind.num_fields))))
    return types.is_binary(kind) or types.is_large_binary(kind)


def read_table(root: Path, path: str) -> Table:
    """Read a table.

    JSON may be a list of rows, rows or labels by file name (DFDC's metadata.json), or file names by label. A CSV
    file may lack its line of names where it has two columns, of files and labels.

    Args:
        root: folder of images.
        path: of the table in it, with `/`.

    Returns:
        The table.

    Raises:
        InputError: it cannot be read, or is no table.
    """
    place = root / path
    try:
        if place.suffix.lower() == ".parquet":
            rows = _parquet_rows(place)
        else:
            rows = _READERS.get(place.suffix.lower(), _csv_rows)(place.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        kind = place.suffix[1:].upper() if place.suffix.lower() != ".txt" else "text"
        raise InputError(f"{place} is not a readable {kind} file ({' '.join(str(error).split())}); mend it") from error
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [_text(row.get(name)) for row in rows] for name in names}
    return Table(path, columns)


def _text(value: Any) -> str:
    """A cell as text; nothing where it is missing or no single value."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return "" if missing or isinstance(value, (dict, list, bytes)) else str(value).strip()


def _csv_rows(text: str) -> list[dict[str, Any]]:
    """Rows of a CSV file, whose separator is the one that is in its first line most often."""
    separator = max(",;\t", key=text.partition("\n")[0].count)
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True) if row]
    if not rows:
        raise ValueError("it is empty")
    header, *rows = rows
    if len(header) == 2 and any(map(MEDIA.search, header)):  # the first line is a row already
        rows = [header, *rows]
        header = ["file", "label"] if MEDIA.search(header[0]) else ["label", "file"]
    if any(len(row) > len(header) for row in rows):
        raise ValueError(f"a row has more than the {len(header)} cells of the first line")
    return [dict(zip(header, row, strict=False)) for row in rows] or [dict.fromkeys(header)]


def _json_rows(text: str) -> list[dict[str, Any]]:
    """Rows of a JSON file."""
    content = json.loads(text)
    if isinstance(content, dict):
        if content and all(isinstance(value, dict) for value in content.values()):
            return [{"file": name, **row} for name, row in content.items()]
        if content and all(isinstance(value, (str, int, float)) for value in content.values()):
            return [{"file": name, "label": value} for name, value in content.items()]
        if content and all(isinstance(value, list) for value in content.values()):
            if all(isinstance(item, str) for value in content.values() for item in value):
                return [{"file": item, "label": name} for name, value in content.items() for item in value]
            content = next(iter(content.values())) if len(content) == 1 else []
    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        return content
    raise ValueError("it holds no rows")


def _jsonl_rows(text: str) -> list[dict[str, Any]]:
    """Rows of a JSON lines file."""
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a line holds no row")
    return rows


def _list_rows(text: str) -> list[dict[str, Any]]:
    """Rows of Celeb-DF's list of test videos."""
    return [{"file": line.split(maxsplit=1)[-1].strip(), "split": "test"} for line in text.splitlines() if line.strip()]


def _parquet_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a parquet file, with the names of classes where `datasets` wrote them as numbers."""
    table = pq.read_table(path)
    features = Features.from_arrow_schema(table.schema) if b"huggingface" in (table.schema.metadata or {}) else {}
    rows = table.to_pylist()
    for column, feature in features.items():
        if isinstance(feature, ClassLabel):
            for row in rows:
                if row[column] is not None and row[column] >= 0:
                    row[column] = feature.int2str(row[column])
    return rows


_READERS = {".json": _json_rows, ".jsonl": _jsonl_rows, ".ndjson": _jsonl_rows, ".txt": _list_rows}
