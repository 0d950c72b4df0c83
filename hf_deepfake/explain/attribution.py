"""Maps from the model's answers alone, without looking inside: integrated gradients and occlusion.

Both ask what the image's places add to one of mean colour, on a grid of 16 x 16 cells.
"""

import torch
from captum.attr import IntegratedGradients, Occlusion
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

GRID = 16
"""Cells along a side."""
STEPS = 32
"""Images on the way from mean colour to the image."""
BATCH_SIZE = 16
"""Images that the model is given at once, whatever the batch."""


def integrated_gradients(model: nn.Module, pixels: Tensor, targets: Tensor) -> Tensor:
    """Sum the gradient on the way from mean colour to the image (Sundararajan et al. 2017, section 3).

    "Axiomatic Attribution for Deep Networks". The contributions of a cell's pixels add up; all cells together give
    what the logit gained on that way, but for the error of 32 Gauss-Legendre steps.

    Args:
        model: a model in eval mode.
        pixels: (N, 3, S, S), normalised, on the model's device; 0 is the mean colour.
        targets: int64 (N,), the class whose logit is explained.

    Returns:
        float32 (N, 16, 16), at least 0: contribution of each cell times the number of cells.
    """
    method = IntegratedGradients(model)
    shares = [
        method.attribute(image[None], target=int(target), n_steps=STEPS, internal_batch_size=BATCH_SIZE)
        for image, target in zip(pixels, targets, strict=True)
    ]
    # The mean of a cell times all pixels is its sum times the number of cells.
    return _cells(torch.cat(shares).sum(dim=1) * pixels[0, 0].numel())


def occlusion(model: nn.Module, pixels: Tensor, targets: Tensor) -> Tensor:
    """Hide one patch after the other behind mean colour and see what the logit loses.

    Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 4.2. Patches have an
    eighth of the image's side and lie half a patch apart, so that an image costs about 225 forward passes.

    Args:
        model: a model in eval mode.
        pixels: (N, 3, S, S), normalised, on the model's device; 0 is the mean colour.
        targets: int64 (N,), the class whose logit is explained.

    Returns:
        float32 (N, 16, 16), at least 0: the loss, as a mean of the patches over a cell, divided by the share of the
        image that a patch hides.
    """
    method = Occlusion(model)
    side = pixels.shape[-1] // 8
    with torch.no_grad():
        losses = [
            method.attribute(
                image[None],
                sliding_window_shapes=(3, side, side),
                strides=(3, side // 2, side // 2),
                target=int(target),
                perturbations_per_eval=BATCH_SIZE,
            )
            for image, target in zip(pixels, targets, strict=True)
        ]
    # Captum repeats a patch's loss in each of its three channels.
    return _cells(torch.cat(losses).mean(dim=1) * pixels[0, 0].numel() / side**2)


def _cells(values: Tensor) -> Tensor:
    """Mean of each cell's pixels, from (N, S, S), positive part."""
    return adaptive_avg_pool2d(values.float()[:, None], GRID)[:, 0].relu()
