import pytest

from hf_deepfake.criterion import parse_criterion
from hf_deepfake.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", ("auto", 0.0)),
        ("accuracy", ("accuracy", 0.0)),
        ("fpr<=0.01", ("fpr<=", 0.01)),
        ("fpr <= .01", ("fpr<=", 0.01)),
        ("recall>=1", ("recall>=", 1.0)),
        ("recall>=1.00", ("recall>=", 1.0)),
    ],
)
def test_names_and_shares(text, expected):
    assert parse_criterion(text) == expected


@pytest.mark.parametrize("text", ["", "fpr<=", "fpr<=1.5", "fpr>=.1", "recall>=-1", "accuracy<=.5"])
def test_others_are_refused_with_what_there_is(text):
    with pytest.raises(InputError, match=r"it must be auto, accuracy, balanced, f1, eer, cost, fpr<=X or recall>=X"):
        parse_criterion(text)
