"""Scores beside what is known of each image: all that results, figures and comparisons are made of."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
from datasets import Dataset, DatasetDict, Image
from numpy.typing import ArrayLike

from hf_deepfake.data.image_names import image_names
from hf_deepfake.errors import InputError
from hf_deepfake.files import local_path, replacing
from hf_deepfake.images.formats import FORMATS

COLUMNS = {
    "file": "string",
    "split": "string",
    "source": "string",
    "origin": "string",
    "group": "string",
    "video": "string",
    "manipulation": "string",
    "format": "string",
    "side": "int32",
    "label": "int8",
    "score": "float64",
}
"""Columns of a table of scores, with their types.

file: path below the folder that all images of its source share, or number in its split where it has no path; group,
video and manipulation: null where not known; format: Pillow's name; side: the shorter one, px; label: 0 real, 1 fake;
score: P(fake) after temperature, before the operating point is folded in.
"""

SCORES_FILE = "scores.parquet"


def score_table(data: DatasetDict, scores: Mapping[str, ArrayLike]) -> pd.DataFrame:
    """Put scores beside what is known of the images.

    Args:
        data: splits, as `data.load.prepare` gives them.
        scores: by name of the split, (N,) P(fake) of its images.

    Returns:
        A row for each scored image, with `COLUMNS`.
    """
    files = dict(zip(data, image_names(*data.values()), strict=True))
    parts = []
    for name, values in scores.items():
        split = data[name]
        parts.append(
            pd.DataFrame(
                {
                    **{column: list(split[column]) for column in COLUMNS if column in split.column_names},
                    "file": [file or f"image {number}" for number, file in enumerate(files[name])],
                    "split": name,
                    **_facts(split),
                    "score": np.asarray(values, np.float64),
                }
            ).reindex(columns=list(COLUMNS))
        )
    return pd.concat(parts, ignore_index=True).astype(COLUMNS)


def groups_of(table: pd.DataFrame) -> list[str | None] | None:
    """Take the groups out of a table of scores, as the bootstrap wants them.

    Args:
        table: of `score_table`.

    Returns:
        Group of each image, None for one without; None where no group is known.
    """
    known = table["group"].notna()
    return table["group"].astype(object).where(known, None).tolist() if known.any() else None


def save_scores(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table of scores as parquet, whole or not at all.

    Args:
        path: file to write or replace.
        table: of `score_table`.
    """
    with replacing(local_path(path)) as temporary:
        table.to_parquet(temporary, index=False)


def load_scores(path: str | Path) -> pd.DataFrame:
    """Read a table of scores.

    Args:
        path: file that `save_scores` wrote.

    Returns:
        The table.

    Raises:
        InputError: there is no such file, or it holds no table of scores.
    """
    try:
        table = pd.read_parquet(local_path(path))
        # Tables written before videos were known have no such column.
        return table.assign(video=table.get("video"))[list(COLUMNS)].astype(COLUMNS)
    except FileNotFoundError as error:
        raise InputError(f"there is no {path}; evaluate the checkpoint, which writes it") from error
    except (OSError, KeyError, TypeError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise InputError(
            f"{path} is no table of scores ({' '.join(str(error).split())[:200]}); evaluate the checkpoint again"
        ) from error


def _images(split: Dataset) -> Iterator[dict[str, Any]]:
    """Path and bytes of each image, one of them None."""
    yield from split.select_columns(["image"]).cast_column("image", Image(decode=False))["image"]


def _facts(split: Dataset) -> dict[str, list[Any]]:
    """Format and shorter side of each image, from its header."""
    facts: dict[str, list[Any]] = {"format": [], "side": []}
    for image in _images(split):
        with PIL.Image.open(io.BytesIO(image["bytes"]) if image["bytes"] else image["path"], formats=FORMATS) as opened:
            facts["format"].append(opened.format)
            facts["side"].append(min(opened.size))
    return facts
