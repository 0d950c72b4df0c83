"""Dataclasses as JSON, and JSON as the dataclasses that it was made of."""

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Write a value in JSON's own types.

    Args:
        value: of numbers, text, containers, numpy's numbers and paths.

    Returns:
        The same; NaN and infinity become None.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def read_typed(kind: Any, value: Any, where: str) -> Any:
    """Read a JSON value as what it was.

    Args:
        kind: a dataclass, container, union with None or plain type.
        value: of JSON.
        where: the value's place, for errors.

    Returns:
        The value. A field that is not there, as an earlier version knew none, has its default.

    Raises:
        TypeError: the value is of another kind, or a field without a default is not there.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin is types.UnionType:
        return None if value is None else read_typed(arguments[0], value, where)
    if origin is tuple and isinstance(value, list) and len(value) == len(arguments):
        return tuple(read_typed(one, item, where) for one, item in zip(arguments, value, strict=True))
    if origin is list and isinstance(value, list):
        return [read_typed(arguments[0], item, f"{where}[{place}]") for place, item in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {key: read_typed(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if is_dataclass(kind) and isinstance(value, dict):
        hints = typing.get_type_hints(kind)
        needed = {item.name for item in fields(kind) if item.default is item.default_factory is MISSING}
        if missing := needed - value.keys():
            raise TypeError(f"{where} has no {min(missing)}")
        known = {name: hint for name, hint in hints.items() if name in value}
        return kind(**{name: read_typed(hint, value[name], f"{where}.{name}") for name, hint in known.items()})
    if kind is float and type(value) is int:
        return float(value)
    if kind in (str, int, float, bool) and type(value) is kind:
        return value
    raise TypeError(f"{where} has the wrong type")
