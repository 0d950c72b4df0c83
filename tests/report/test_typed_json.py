"""Dataclasses to JSON and back."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from hf_deepfake.report.typed_json import plain, read_typed


@dataclass
class Inner:
    n: int
    share: float = 0.5


@dataclass
class Outer:
    parts: dict[str, Inner]
    ends: tuple[float, float] | None = None
    names: list[str] = field(default_factory=list)


def test_values_become_jsons_own():
    value = {1: np.int64(3), "x": float("nan"), "y": (Path("a/b"), np.float32(0.5))}
    assert plain(value) == {"1": 3, "x": None, "y": ["a/b", 0.5]}


def test_what_was_written_is_read():
    content = {"parts": {"a": {"n": 2, "share": 1}}, "ends": [0, 0.25], "names": ["x"]}
    assert read_typed(Outer, content, "it") == Outer({"a": Inner(2, 1.0)}, (0.0, 0.25), ["x"])


def test_a_field_that_an_earlier_version_did_not_write_has_its_default():
    assert read_typed(Outer, {"parts": {"a": {"n": 2}}}, "it") == Outer({"a": Inner(2, 0.5)})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "it has no parts"),
        ({"parts": {"a": {}}}, r"it\.parts\.a has no n"),
        ({"parts": {"a": {"n": True}}}, r"it\.parts\.a\.n has the wrong type"),
        ({"parts": {}, "ends": [0.5]}, r"it\.ends has the wrong type"),
    ],
)
def test_what_is_wrong_is_named(content, message):
    with pytest.raises(TypeError, match=message):
        read_typed(Outer, content, "it")
