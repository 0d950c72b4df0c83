"""Stages of a run: which parts of the model train, for how many steps, at which learning rate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from timm.optim import create_optimizer_v2
from torch import nn

from hf_deepfake.config import TrainConfig
from hf_deepfake.errors import InputError
from hf_deepfake.metrics.classification import better


@dataclass(frozen=True)
class Stage:
    """A stretch of epochs with one optimiser. `last_blocks` is as in `models.build.unfreeze`."""

    name: str
    first_epoch: int
    epochs: int
    steps_per_epoch: int
    lr: float
    last_blocks: int | None
    schedule: str
    warmup_steps: int

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole stage."""
        return self.epochs * self.steps_per_epoch

    def rate(self, step: int, lowered: float = 1.0) -> float:
        """Learning rate at a step of the stage (from 0); `lowered` is the factor so far of the schedule plateau."""
        if step < self.warmup_steps:
            return self.lr * (step + 1) / self.warmup_steps
        if self.schedule == "cosine":
            done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
            return self.lr * 0.5 * (1 + math.cos(math.pi * done))
        return self.lr * (lowered if self.schedule == "plateau" else 1.0)


SIZE_STEP = 16
"""Sides of growing images are multiples of this, px: models halve their images four or five times."""


def image_size_of_epoch(config: TrainConfig, epoch: int) -> int:
    """Side of the input in an epoch, px: small images first make early epochs cheap.

    Progressive resizing (Tan and Le 2021, "EfficientNetV2", section 4), without its growing regularisation.

    Args:
        config: the run.
        epoch: from 0, counted over both stages.

    Returns:
        `image_size`, or in the main stage what lies on the line from `initial_image_size` to it.
    """
    done = epoch - config.head_epochs
    if config.initial_image_size is None or done < 0 or done >= config.epochs - 1:
        return config.image_size
    side = config.initial_image_size + (config.image_size - config.initial_image_size) * done / (config.epochs - 1)
    return max(config.initial_image_size, round(side / SIZE_STEP) * SIZE_STEP)


def check_size(model: nn.Module, config: TrainConfig, device: torch.device) -> None:
    """Refuse a model that takes images of one size only.

    Args:
        model: on its device; left in eval mode.
        config: the run, with a `initial_image_size`.
        device: of the model.

    Raises:
        InputError: it takes no images of that size.
    """
    try:
        with torch.inference_mode():
            model.eval()(
                torch.zeros(1, 3, config.initial_image_size or 0, config.initial_image_size or 0, device=device)
            )
    except (AssertionError, RuntimeError) as error:
        raise InputError(
            f"{config.model} does not take images of {config.initial_image_size} px beside {config.image_size} px; "
            "leave out initial_image_size or choose a convolutional model"
        ) from error


def plan_stages(config: TrainConfig, images: int) -> list[Stage]:
    """The stages of a run.

    Args:
        config: the run.
        images: how many an epoch shows.

    Returns:
        One or two stages; those of no epochs are left out.

    Raises:
        InputError: an epoch has fewer images than a step.
    """
    steps = images // config.batch_size
    if steps == 0:
        raise InputError(
            f"batch_size {config.batch_size} is more than the {images} images of an epoch; "
            f"use --batch_size {max(2, images // 4)} or fewer"
        )
    if config.steps_per_epoch is not None:
        steps = min(steps, config.steps_per_epoch)

    def stage(name: str, first: int, epochs: int, lr: float, last_blocks: int | None, schedule: str) -> Stage:
        warmup = min(config.warmup_steps, epochs * steps // 10)
        return Stage(name, first, epochs, steps, lr, last_blocks, schedule, warmup)

    stages = [
        stage("classifier", 0, config.head_epochs, config.head_lr, 0, "constant"),
        stage("main", config.head_epochs, config.epochs, config.lr, config.last_blocks, config.schedule),
    ]
    return [item for item in stages if item.epochs]


def make_optimizer(model: nn.Module, stage: Stage, config: TrainConfig) -> torch.optim.Optimizer:
    """The stage's optimiser over the parameters that train in it."""
    decay = config.weight_decay
    if decay is None:
        decay = 0.05 if config.optimizer == "adamw" else 0.0
    return create_optimizer_v2(
        model, opt=config.optimizer, lr=stage.lr, weight_decay=decay, momentum=0.9, layer_decay=config.layer_decay
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate; with layer-wise decay each group scales it."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)


def plateau_factor(monitor: str, values: Sequence[float], patience: int, factor: float) -> float:
    """What a plateau schedule has made of the learning rate.

    Args:
        monitor: name of the metric.
        values: its value after each epoch of the stage.
        patience: epochs without a better value before the rate is lowered; counting then starts again.
        factor: what the rate is multiplied by each time.

    Returns:
        The product of all reductions so far, 1 without any.
    """
    best, waited, result = None, 0, 1.0
    for value in values:
        if better(monitor, value, best):
            best, waited = value, 0
            continue
        waited += 1
        if waited == patience:
            result, waited = result * factor, 0
    return result


def epochs_without_gain(monitor: str, values: Sequence[float]) -> int:
    """Epochs since the monitored metric was last better than ever before, of the values after a stage's epochs.

    A stage counts for itself: one that trains another part of the model has not stalled before it has begun.
    """
    best, waited = None, 0
    for value in values:
        if better(monitor, value, best):
            best, waited = value, 0
        else:
            waited += 1
    return waited
