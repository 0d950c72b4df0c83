"""Temperature and operating point, folded into the classifier so that every reader's top label is the verdict.

With logits z = (real, fake), P(fake) at temperature T is sigmoid((z_fake - z_real) / T) (Guo et al. 2017, "On
Calibration of Modern Neural Networks", section 4.2). Dividing weight and bias by T, then lowering the fake bias by
logit(t), gives logits whose softmax is .5 exactly where P(fake) was t.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from hf_deepfake.config import LABELS
from hf_deepfake.errors import InputError


def final_layer(model: nn.Module) -> tuple[Tensor, Tensor]:
    """Find the parameters of `final_module`.

    Args:
        model: a timm model with logits (real, fake).

    Returns:
        Its weight (2, C), or (2, C, 1, 1) of a 1x1 convolution, and its bias (2,).

    Raises:
        InputError: the model has no linear classifier with bias and two outputs.
    """
    layer = final_module(model)
    assert layer.bias is not None  # final_module has looked
    return layer.weight, layer.bias


def final_module(model: nn.Module) -> nn.Linear | nn.Conv2d:
    """Find the last linear layer of the model's classifier.

    Args:
        model: a timm model with logits (real, fake), perhaps in PEFT's wrapper.

    Returns:
        A linear layer, or a 1x1 convolution, with bias and two outputs.

    Raises:
        InputError: the model has no such layer.
    """
    timm_model: Any = model  # nn.Module declares no attributes, and timm has no common class
    found = timm_model.get_classifier()
    layers = list(found.modules()) if isinstance(found, nn.Module) else []  # distilled models have a tuple of two
    linear = [layer for layer in layers if isinstance(layer, nn.Linear | nn.Conv2d)]
    if not linear or linear[-1].bias is None or len(linear[-1].bias) != len(LABELS):
        raise InputError(
            f"the classifier of {type(model).__name__} is not one linear layer with bias and two outputs, into which "
            "temperature and operating point could be folded; choose another model"
        )
    return linear[-1]


@torch.no_grad()
def fold(model: nn.Module, temperature: float, operating_point: float) -> None:
    """Fold temperature and operating point into the model's classifier, in place.

    Args:
        model: a timm model with logits (real, fake).
        temperature: T > 0, by which logits are divided.
        operating_point: t in (0, 1), the P(fake) after temperature from which the verdict is "fake".

    Raises:
        InputError: a value is out of range, or the model has no linear classifier with bias and two outputs.
    """
    weight, bias = final_layer(model)
    shift = _bias_shift(temperature, operating_point)
    weight.copy_(weight.double() / temperature)
    bias.copy_(bias.double() / temperature - shift)


@torch.no_grad()
def unfold(model: nn.Module, temperature: float, operating_point: float) -> None:
    """Undo `fold` with the same values, in place: the logits are those of training again, but for rounding.

    Args:
        model: a folded timm model with logits (real, fake).
        temperature: the T > 0 that was folded.
        operating_point: the t in (0, 1) that was folded.

    Raises:
        InputError: a value is out of range, or the model has no linear classifier with bias and two outputs.
    """
    weight, bias = final_layer(model)
    shift = _bias_shift(temperature, operating_point)
    weight.copy_(weight.double() * temperature)
    bias.copy_((bias.double() + shift) * temperature)


def _bias_shift(temperature: float, operating_point: float) -> Tensor:
    """What the operating point takes from the biases (real, fake), float64."""
    if not 0 < temperature < math.inf:
        raise InputError(f"temperature is {temperature}; it must be a positive number")
    if not 0 < operating_point < 1:
        raise InputError(f"operating point is {operating_point}; it must lie between 0 and 1, both excluded")
    return torch.logit(torch.tensor([0.5, operating_point], dtype=torch.float64))
