"""Which column of a table says what an image is, and which class each of its values means."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_deepfake.data.names import label_indices, normal
from hf_deepfake.errors import InputError

_NAMES = (
    "label",
    "labels",
    "labelstr",
    "labelname",
    "labeltext",
    "class",
    "classname",
    "category",
    "target",
    "y",
    "gt",
)

_TRUE = frozenset({"1", "true", "yes", "t"})
_FALSE = frozenset({"0", "false", "no", "f"})


def label_columns(columns: Iterable[str], classes: Mapping[str, int]) -> list[str]:
    """The columns that may hold labels, the likeliest first.

    Args:
        columns: names of a table's columns.
        classes: from `names.class_names`.

    Returns:
        Those called label, class, target and the like, then those that ask for a class, such as is_fake or real.
    """
    columns = list(columns)
    named = [column for name in _NAMES for column in columns if normal(column) == name]
    return named + [column for column in columns if _asked(column, classes) is not None]


def choose_labels(
    columns: Mapping[str, Sequence[Any]], classes: Mapping[str, int], where: str
) -> tuple[str, NDArray[np.int8]]:
    """Take the labels from the first column in which they are understood; last from any with words of both classes.

    Understood are words that mean a class (real, FAKE, ai-generated ...), and yes or no, 1 or 0, as text or number, in
    a column that asks for a class. Whether a bare 1 or true in a column called label means real or fake differs from
    data set to data set, so that `--real_names` or `--fake_names` must say it.

    Args:
        columns: values by name of column, N each; None, NaN and empty text where there is none.
        classes: from `names.class_names`.
        where: name of the table, for the error.

    Returns:
        The column, and its labels, int8 (N,): indices in `LABELS`, -1 where there is none.

    Raises:
        InputError: no column may hold labels, or none is understood.
    """
    candidates = label_columns(columns, classes)
    candidates += [column for column in columns if column not in candidates and _has_both(columns[column], classes)]
    if not candidates:
        raise InputError(f"{where} has no label column; it has {', '.join(columns)}, so rename one to label")
    first: InputError | None = None
    for column in candidates:
        try:
            return column, _meant(column, columns[column], classes, where)
        except InputError as error:
            first = first or error
    assert first is not None
    raise first


def _has_both(values: Sequence[Any], classes: Mapping[str, int]) -> bool:
    """Whether all values of a column are words for the classes, and both classes are there."""
    meant = {classes.get(normal(text)) for text in {label_text(value) for value in values} - {""}}
    return meant == {0, 1}


def _asked(column: str, classes: Mapping[str, int]) -> int | None:
    """The class that a column asks for: 1 for is_fake, 0 for real."""
    name = normal(column)
    return classes.get(name, classes.get(name.removeprefix("is")))


def _meant(column: str, values: Sequence[Any], classes: Mapping[str, int], where: str) -> NDArray[np.int8]:
    """The labels of one column."""
    texts = [label_text(value) for value in values]
    distinct = sorted(set(texts) - {""})
    asked = _asked(column, classes)
    if asked is not None and set(map(str.casefold, distinct)) <= _TRUE | _FALSE:
        indices = {text: asked if text.casefold() in _TRUE else 1 - asked for text in distinct}
    else:
        indices = label_indices(distinct, classes, where)
    return np.array([indices.get(text, -1) for text in texts], np.int8)


def label_text(value: Any) -> str:
    """A label as text: "1" for 1, 1.0 and "1.0", and nothing for what is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    text = str(value).strip()
    return text.removesuffix(".0") if text in ("0.0", "1.0") else text
