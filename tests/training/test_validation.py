import math

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from torch import nn

from hf_deepfake.training.validation import validate

ODDS = {"validation": [-1.0, 2.0, 1.0, 3.0], "calibration": [0.0, 1.0, 2.0, 1.0, 5.0]}
DATA = DatasetDict(
    {
        "validation": Dataset.from_dict({"label": [0, 0, 1, 1], "origin": ["own"] * 4}),
        "calibration": Dataset.from_dict({"label": [0, 1, 0, 1, 0], "origin": ["a", "a", "b", "b", "reals"]}),
    }
)


def predict(model, split, title):
    name = "validation" if "validation" in title else "calibration"
    assert len(split) == len(ODDS[name])
    return np.stack([np.zeros(len(split)), ODDS[name]], axis=1)


def test_the_validation_split_and_the_mean_foreign_auc_by_hand():
    found = validate(nn.Identity(), DATA, predict, 1)
    assert found["auc"] == pytest.approx(3 / 4)
    assert found["accuracy"] == pytest.approx(3 / 4)
    assert found["foreign_auc"] == pytest.approx((1 + 0) / 2)  # origin a is told apart, b the wrong way round


def test_without_calibration_data_nothing_foreign_is_said():
    assert "foreign_auc" not in validate(nn.Identity(), DatasetDict({"validation": DATA["validation"]}), predict, 1)


def test_origins_of_one_class_have_no_auc():
    data = DatasetDict(DATA | {"calibration": DATA["calibration"].map(lambda row: {"origin": f"o{row['label']}"})})
    assert math.isnan(validate(nn.Identity(), data, predict, 1)["foreign_auc"])
