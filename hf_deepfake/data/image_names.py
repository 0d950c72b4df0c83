"""What to call images and files in all that others may read: never by where they lie on this machine."""

import re
from collections.abc import Iterable
from itertools import chain, takewhile
from typing import Any

from datasets import Dataset, Image

_WINDOWS = re.compile(r"[A-Za-z]:[/\\]|\\\\")
_ABSOLUTE = re.compile(rf"/|file:/|{_WINDOWS.pattern}")


def image_names(*tables: Dataset) -> list[list[str | None]]:
    """Name images by their paths below the folder that all images of their source share.

    Args:
        *tables: the splits of a data set, with the column image, and source where there are several.

    Returns:
        For each table as many names, with `/`; None for an image without a path.
    """
    paths = [_paths(table) for table in tables]
    sources = [list(table["source"]) if "source" in table.column_names else [""] * len(table) for table in tables]
    by_source: dict[str, list[str | None]] = {}
    for source, path in zip(chain(*sources), chain(*paths), strict=True):
        by_source.setdefault(source, []).append(path)
    names = {source: iter(below_shared(of_source)) for source, of_source in by_source.items()}
    return [[next(names[source]) for source in of_table] for of_table in sources]


def name_images(table: Dataset) -> list[str]:
    """Name every image of a data set, for its report and for tables of its files.

    Args:
        table: N rows with the column image, and source where there are several.

    Returns:
        N names: that of `image_names` or else the number of the row; below the source's name where there are several.
    """
    names = [name or f"image-{row:06}" for row, name in enumerate(image_names(table)[0])]
    sources = list(table["source"]) if "source" in table.column_names else []
    if len(set(sources)) < 2:
        return names
    return [f"{source}/{name}" for source, name in zip(sources, names, strict=True)]


def below_shared(values: Iterable[str | None]) -> list[str | None]:
    """Take from absolute paths the folder that all of them share; whatever else is there stays as it is.

    Args:
        values: of a column, all of which may be paths.

    Returns:
        As many values; paths with `/`, and different ones where they were different.
    """
    values = list(values)
    paths = [_parts(value) if value and _ABSOLUTE.match(value) else None for value in values]
    folders = {tuple(parts[:-1]) for parts in paths if parts}
    alike = takewhile(lambda names: len(set(names)) == 1, zip(*folders, strict=False))
    shared = max(1, sum(1 for _ in alike))  # at least the root, or a drive
    return [value if parts is None else "/".join(parts[shared:]) for value, parts in zip(values, paths, strict=True)]


def without_path(text: str, path: str, name: str) -> str:
    """Put a file's name in place of its path in what was said about it.

    Args:
        text: an error's, such as "/home/me/faces/real/1.jpg is not an image".
        path: the path, which may stand there as it is or as Python quotes it.
        name: what to say instead.

    Returns:
        The text.
    """
    return text.replace(path, name).replace(repr(path)[1:-1], name)


def _paths(table: Dataset) -> list[str | None]:
    """The path of each image; None where it has none. No image is read."""
    paths: list[Any] = []
    encoded = table.select_columns(["image"]).cast_column("image", Image(decode=False)).with_format("arrow")
    for batch in encoded.iter(1_000):
        for chunk in batch["image"].chunks:
            paths += chunk.flatten()[chunk.type.get_field_index("path")].to_pylist()
    return [path or None for path in paths]


def _parts(path: str) -> list[str]:
    """Folders and name of a path of any system."""
    return (path.replace("\\", "/") if _WINDOWS.match(path) else path).removeprefix("file://").split("/")
