"""What a step's images shall be called: hard labels, smoothed, mixed, or partly a teacher's targets."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from timm.data import Mixup
from torch import Tensor
from torch.nn import functional

from hf_deepfake.config import LABELS, TrainConfig
from hf_deepfake.evaluation.inference import autocast
from hf_deepfake.models.checkpoint import load_checkpoint
from hf_deepfake.models.ensemble import Ensemble, make_ensemble
from hf_deepfake.models.fold import fold, unfold


class Targets:
    """Makes targets (B, 2) of labels (B,), and mixes images where the run mixes.

    With a teacher, a share of each target is the teacher's calibrated probability for the very pixels that the model
    gets, augmented and mixed (Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network"; that both
    see the same pixels is Beyer et al. 2022, "Knowledge distillation: A good teacher is patient and consistent"). Of
    several teachers it is the probability of their mean calibrated log-odds.

    Args:
        config: the run.
        preprocessing: timm's, of the model that is trained: what its images are normalised by.
        device: of the run.
        precision: that a teacher computes in: "bf16", "fp16", or "no" for float32.

    Raises:
        InputError: the teacher is no checkpoint.
    """

    def __init__(self, config: TrainConfig, preprocessing: dict[str, Any], device: torch.device, precision: str = "no"):
        self.config, self.precision = config, precision
        self.mixup = (
            Mixup(config.mixup, config.cutmix, num_classes=2, label_smoothing=0)
            if config.mixup or config.cutmix
            else None
        )
        self.teacher: Ensemble | None = None
        if config.teacher:
            self.teacher = _as_one(config.teacher).to(device)
            mean, std = (torch.tensor(preprocessing[name], device=device).view(1, 3, 1, 1) for name in ("mean", "std"))
            # From the student's normalisation to an ensemble's, which is [-1, 1].
            self._scale, self._shift = 2 * std, 2 * mean - 1

    def __call__(self, images: Tensor, labels: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Images and their targets.

        Args:
            images: (B, 3, S, S), normalised for the model.
            labels: (B,) int64.
            seed: of the mixing.

        Returns:
            The images, perhaps mixed; float32 (B, 2), rows summing to 1; and a scalar, the share of each image's own in
            what is mixed: the rest is of the image at the same place from the batch's end. It is 1 where none is mixed.
        """
        smoothing, share = self.config.label_smoothing, torch.ones((), device=images.device)
        targets = functional.one_hot(labels, len(LABELS)) * (1 - smoothing) + smoothing / len(LABELS)
        if self.mixup is not None:
            np.random.seed(seed % 2**32)  # timm's Mixup draws from NumPy's global generator
            halves = torch.arange(len(images), device=images.device) >= len(images) // 2
            images, mixed = self.mixup(images, halves.long())
            share = mixed[0, 0]  # the first image is of the first half, and is mixed with the last
            targets = share * targets + (1 - share) * targets.flip(0)
        if self.teacher is not None:
            weight = self.config.distillation_weight
            with torch.inference_mode(), autocast(images.device, self.precision):
                opinion = self.teacher(images * self._scale + self._shift).float().softmax(dim=1)
            targets = (1 - weight) * targets + weight * opinion
        return images, targets, share


def _as_one(checkpoints: Sequence[str]) -> Ensemble:
    """Checkpoints, calibrated and without their operating points, that take images of any size in [-1, 1]."""
    models, sides = [], []
    for checkpoint in checkpoints:
        loaded = load_checkpoint(checkpoint)
        unfold(loaded.model, loaded.temperature, loaded.operating_point)
        fold(loaded.model, loaded.temperature, 0.5)
        models.append(loaded.model)
        sides.append(loaded.config["pretrained_cfg"]["input_size"][-1])
    return make_ensemble(models, sides, [1 / len(models)] * len(models), flip=False).requires_grad_(False)


def soft_cross_entropy(
    logits: Tensor, targets: Tensor, class_weights: Tensor, mean: Callable[[Tensor], Tensor] = torch.mean
) -> Tensor:
    """Mean cross-entropy with soft targets, each image weighted by its classes' weights.

    Args:
        logits: (B, C).
        targets: (B, C), rows summing to 1.
        class_weights: (C,).
        mean: from the losses of the images (B,) to a scalar.

    Returns:
        Scalar; dividing by B rather than by the batch's weights makes it the same however a step is cut up.
    """
    losses = -(targets * functional.log_softmax(logits.float(), dim=1)).sum(1)
    return mean(losses * (targets @ class_weights.to(targets.dtype)))
