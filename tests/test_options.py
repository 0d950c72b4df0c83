"""Values of other types made to fit an option, or refused; by hand on a configuration of a few options."""

import typing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import pytest

from hf_deepfake.errors import InputError
from hf_deepfake.options import FACTS, Facts, checked, option


@dataclass
class Some:
    whole: int = option(3, "a whole number, 50 % of six", 1, 9)
    share: float = option(0.5, "a share", above=0, below=1)
    rate: float | None = option(None, "a rate or none", 0)
    on: bool = option(False, "a switch")
    word: str = option("", "a text", off="off")
    kind: Literal["off", "basic", "full"] = option("basic", "one of three")
    names: tuple[str, ...] = option((), "names", several=True)
    sizes: tuple[int, ...] = option((1,), "sizes", 1, several=True)
    place: str = option("x", "a path", path=True)


FIELDS = {item.name: item for item in fields(Some)}
HINTS = typing.get_type_hints(Some)


def value(name, given):
    return checked(FIELDS[name], HINTS[name], given)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("whole", "4", 4),
        ("whole", 4.0, 4),
        ("whole", "1e0", 1),
        ("share", "1e-3", 0.001),
        ("share", ".25", 0.25),
        ("rate", "none", None),
        ("rate", None, None),
        ("rate", "2", 2.0),
        ("on", "yes", True),
        ("on", "False", False),
        ("on", True, True),
        ("word", False, ""),  # a bare off or no of YAML; an empty text is this option's default
        ("word", Path("a/b"), "a/b"),
        ("kind", False, "off"),
        ("kind", "full", "full"),
        ("names", "one", ("one",)),
        ("names", ["a", Path("b")], ("a", "b")),
        ("sizes", ["2", 3.0], (2, 3)),
        ("place", "~/faces", str(Path.home() / "faces")),
    ],
)
def test_values_that_mean_one_thing(name, given, expected):
    found = value(name, given)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("whole", "four", "whole is 'four'; it must be a whole number"),
        ("whole", 4.5, "whole is 4.5; it must be a whole number"),
        ("whole", True, "whole is True; it must be a whole number"),
        ("whole", 10, "whole is 10; it must be between 1 and 9"),
        ("share", 1, "share is 1.0; it must be more than 0 and less than 1"),
        ("share", "nan", "share is nan; it must be more than 0 and less than 1"),
        ("rate", -1, "rate is -1.0; it must be at least 0"),
        ("rate", "inf", "rate is inf; it must be at least 0 and finite"),
        ("on", 1, "on is 1; it must be true or false"),
        ("word", 3, "word is 3; it must be text"),
        ("word", True, "word is True; it must be text, so put a word that YAML takes for this in quotes"),
        ("kind", "most", "kind is 'most'; it must be one of off, basic, full"),
        ("names", ["a", ""], "names holds an empty name; leave it out or give one"),
        ("sizes", [2, 0], "sizes is 0; it must be at least 1"),
    ],
)
def test_others_are_refused_in_one_sentence(name, given, sentence):
    with pytest.raises(InputError) as caught:
        value(name, given)
    assert str(caught.value) == sentence


def test_a_text_that_may_be_off_takes_yaml_s_word_for_it():
    @dataclass
    class Weights:
        pretrained: str = option("hub", "weights", off="off")

    (item,) = fields(Weights)
    assert checked(item, str, False) == "off"


def test_an_option_keeps_its_facts_and_a_text_that_argparse_can_format():
    item = FIELDS["whole"]
    assert FACTS[item] == Facts(low=1, high=9)
    assert item.default == 3
    assert item.metadata["help"] % {} == "a whole number, 50 % of six"
    assert FIELDS["names"].metadata["nargs"] == "+"
    assert "nargs" not in item.metadata
