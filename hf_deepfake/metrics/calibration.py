"""From logits to calibrated probabilities with one number, the temperature."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from hf_deepfake.metrics.classification import Floats

LIMIT = 20.0
"""Largest temperature, and one over the smallest."""


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """Find the temperature under which the logits explain the labels best (Guo et al. 2017, §4.2).

    Minimises the mean negative log likelihood, which has one minimum in log T, by a bounded search over
    T in [1/20, 20]. Logits that say less than chance give 20. Where all labels are the same or every
    image is on its right side, ever smaller temperatures look ever better and the labels do not determine
    one: the result is then 1, the model as trained.

    Args:
        logits: (N, 2) real and fake logit, finite.
        labels: (N,) integers, 0 real and 1 fake.

    Returns:
        The temperature, by which logits are to be divided.
    """
    label = np.asarray(labels)
    right_by = _margin(logits) * np.where(label == 1, 1, -1)
    if (label == label[0]).all() or (right_by >= 0).all():
        return 1.0

    def loss(log_temperature: float) -> float:
        """Mean negative log likelihood."""
        return float(np.logaddexp(0, -right_by / np.exp(log_temperature)).mean())

    bound = np.log(LIMIT)
    found = minimize_scalar(loss, bounds=(-bound, bound), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def fake_probability(logits: ArrayLike, temperature: float = 1.0, folded_point: float = 0.5) -> Floats:
    """Turn logits into P(fake), the softmax's second value.

    Args:
        logits: (N, 2) real and fake logit.
        temperature: what logits are divided by, > 0.
        folded_point: operating point that is folded into the model and taken out again here, in (0, 1): what a folded
            model calls .5 then has this probability.

    Returns:
        (N,) float64 in [0, 1].
    """
    return expit(_margin(logits) / temperature + logit(folded_point))


def _margin(logits: ArrayLike) -> Floats:
    """(N,) fake logit minus real logit; of two classes the softmax sees nothing else."""
    pair = np.asarray(logits, np.float64)
    return pair[:, 1] - pair[:, 0]
