"""What is measured after an epoch: on the validation split, and on foreign images where there are some."""

from collections.abc import Callable
from typing import Any

import numpy as np
from datasets import DatasetDict
from torch import nn

from hf_deepfake.metrics.calibration import fake_probability
from hf_deepfake.metrics.classification import Floats, compute_metrics
from hf_deepfake.metrics.foreign import mean_auc
from hf_deepfake.training.calibration_data import CALIBRATION


def validate(
    model: nn.Module, data: DatasetDict, predict: Callable[..., Floats], epoch: int
) -> dict[str, float | None]:
    """Measure a model after an epoch.

    Args:
        model: with logits (real, fake).
        data: with the split validation, and, where there is calibration data, that.
        predict: from model, split and title to logits (N, 2); `evaluation.inference.predict_logits`.
        epoch: that is done, counted from 1.

    Returns:
        `compute_metrics` of the validation split and, with calibration data, foreign_auc: the mean AUC of its origins.
    """
    split = data["validation"]
    logits = predict(model, split, title=f"validation after epoch {epoch}")
    metrics: dict[str, Any] = dict(compute_metrics(fake_probability(logits), split["label"]))
    if CALIBRATION in data:
        foreign = data[CALIBRATION]
        odds = np.diff(predict(model, foreign, title=f"calibration data after epoch {epoch}")).ravel()
        metrics["foreign_auc"] = mean_auc(odds, foreign["label"], foreign["origin"])
    return metrics
