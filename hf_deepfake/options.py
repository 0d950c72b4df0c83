"""An option of a configuration: its explanation, its type, its range, and values of other types made to fit.

What comes from YAML, the command line or Python either means one thing or is refused: `no` and `off` are false in
YAML, 1e-3 is text there, and infinity is a number everywhere.
"""

import argparse
import math
import types
import typing
from dataclasses import Field, dataclass, field
from pathlib import Path
from typing import Any, Literal

from hf_deepfake.errors import InputError
from hf_deepfake.files import local_name


@dataclass(frozen=True)
class Facts:
    """What is known of an option besides type, default and text.

    Attributes:
        low: for numbers, the least value.
        high: for numbers, the greatest value.
        above: for numbers, what they must exceed.
        below: for numbers, what they must stay below.
        off: for text, the value that YAML's bare `off` and `no` mean, which it reads as false.
        path: whether it is a path, in which ~ is the home folder.
        several: whether it holds several values.
    """

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    off: str | None = None
    path: bool = False
    several: bool = False


FACTS: dict[Field, Facts] = {}
"""Facts by field. They are not in its metadata, all of which transformers' `HfArgumentParser` hands to argparse."""


ONE_BY_ONE = frozenset({"real_names", "fake_names"})
"""Lists of which the option takes one entry each time it is given."""


class _Several(argparse.Action):
    """Takes words as they come, in place of the field's type, which is that of all of them together."""

    def __init__(self, type: object = None, **options: Any) -> None:
        super().__init__(**options)

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, tuple(values))


def option(default: Any, text: str, low: float | None = None, high: float | None = None, **facts: Any) -> Any:
    """A dataclass field with its explanation.

    Args:
        default: its value where none is given.
        text: what it is, for --help.
        low: for numbers, the least value.
        high: for numbers, the greatest value.
        **facts: further `Facts`.

    Returns:
        The field.
    """
    known = Facts(low, high, **facts)
    several = {"nargs": "+", "action": _Several} if known.several else {}
    made = field(default=default, metadata={"help": text.replace("%", "%%"), **several})
    FACTS[made] = known
    return made


def checked(item: Field, hint: Any, value: Any) -> Any:
    """Convert a value to an option's type and hold it against its range.

    Args:
        item: field that `option` made.
        hint: its type.
        value: what was given.

    Returns:
        The value that the field shall have.

    Raises:
        InputError: the value has the wrong type or lies outside the range.
    """
    if value is False and hint is str:  # YAML reads a bare off or no as false
        off = FACTS[item].off
        value = "" if item.default == "" else off if off is not None else value
    converted = _convert(item.name, hint, value)
    for part in converted if isinstance(converted, tuple) else (converted,):
        _check_range(item, part)
    if FACTS[item].path and converted:
        converted = tuple(map(local_name, converted)) if isinstance(converted, tuple) else local_name(converted)
    return converted


def _check_range(item: Field, value: Any) -> None:
    """Refuse a number outside the option's range; of others, an empty text in a list."""
    if isinstance(value, str) and not value and item.default == ():
        raise InputError(f"{item.name} holds an empty name; leave it out or give one")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    facts = FACTS[item]
    low, high, above, below = facts.low, facts.high, facts.above, facts.below
    inside = (  # NaN is inside nothing
        math.isfinite(value)
        and (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
        and (below is None or value < below)
    )
    if not inside:
        words = {"at least": low, "more than": above, "at most": high, "less than": below}
        said = [f"{word} {bound}" for word, bound in words.items() if bound is not None]
        if low is not None and high is not None:
            said = [f"between {low} and {high}"]
        said += ["finite"] if math.isinf(value) else []
        raise InputError(f"{item.name} is {value}; it must be {' and '.join(said)}")


def _convert(name: str, hint: Any, value: Any) -> Any:
    """`value` as `hint` (int, float, bool, str, a Literal, a tuple of one kind, or one of these or None)."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        kinds = [kind for kind in arguments if kind is not type(None)]
        nothing = value is None or value == "none" or (value is False and kinds[0] is str)
        return None if nothing else _convert(name, kinds[0], value)
    if origin is tuple:
        parts = value if isinstance(value, (list, tuple)) else (value,)
        return tuple(_convert(name, arguments[0], part) for part in parts)
    if origin is Literal:
        if value is False:  # YAML reads a bare no or off as false
            value = next((word for word in ("no", "off", "none") if word in arguments), value)
        if value not in arguments:
            raise InputError(f"{name} is {value!r}; it must be one of {', '.join(map(str, arguments))}")
        return value
    if hint is bool:
        words = {"true": True, "false": False, "yes": True, "no": False}
        if isinstance(value, str) and value.lower() in words:
            return words[value.lower()]
        if isinstance(value, bool):
            return value
        raise InputError(f"{name} is {value!r}; it must be true or false")
    if hint is str:
        if isinstance(value, (str, Path)):
            return str(value)
        if isinstance(value, bool):
            raise InputError(f"{name} is {value!r}; it must be text, so put a word that YAML takes for this in quotes")
        raise InputError(f"{name} is {value!r}; it must be text")
    return _number(name, hint, value)


def _number(name: str, hint: type[int] | type[float], value: Any) -> int | float:
    """`value` as a whole number or a number."""
    kind = "a whole number" if hint is int else "a number"
    if isinstance(value, bool):
        raise InputError(f"{name} is {value!r}; it must be {kind}")
    try:
        number = float(value)
        if hint is float:
            return number
        if number == int(number):
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"{name} is {value!r}; it must be {kind}")
