"""Which column holds the labels, and what its values mean."""

import numpy as np
import pytest

from hf_deepfake.config import DataConfig
from hf_deepfake.data.labels import choose_labels, label_columns, label_text
from hf_deepfake.data.names import class_names
from hf_deepfake.errors import InputError

CLASSES = class_names(DataConfig())


def test_columns_called_label_come_before_those_that_ask_for_a_class():
    columns = ("is_fake", "age", "y", "Label", "original", "real")
    assert label_columns(columns, CLASSES) == ["Label", "y", "is_fake", "original", "real"]


def test_the_first_column_that_is_understood():
    columns = {"label": ["1", "0"], "id": ["a", "b"], "label_str": ["real", "fake"]}
    column, labels = choose_labels(columns, CLASSES, "t.csv")
    assert (column, labels.tolist(), labels.dtype) == ("label_str", [0, 1], np.int8)


def test_words_of_both_classes_in_any_column():
    assert choose_labels({"kind": ["real", "Fake", ""]}, CLASSES, "t")[1].tolist() == [0, 1, -1]
    with pytest.raises(InputError, match="t has no label column; it has kind, so rename one to label"):
        choose_labels({"kind": ["ai", "generated"]}, CLASSES, "t")


def test_the_error_is_of_the_likeliest_column():
    with pytest.raises(InputError, match="t has the labels 0, 1, of which"):
        choose_labels({"fake": ["0.3"], "label": [1, 0]}, CLASSES, "t")


def test_what_asks_for_a_class_given_by_name():
    classes = class_names(DataConfig(fake_names=("swapped",)))
    assert choose_labels({"is_swapped": [True, False, None]}, classes, "t")[1].tolist() == [1, 0, -1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        ("0.0", "0"),
        (True, "True"),
        (" real ", "real"),
        (None, ""),
        (float("nan"), ""),
        (2.5, "2.5"),
    ],
)
def test_text(value, text):
    assert label_text(value) == text
