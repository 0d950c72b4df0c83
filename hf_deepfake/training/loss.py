"""The loss of a step: cross-entropy of logits and, on embeddings, alignment within a class and uniformity over all.

Wang and Isola 2020, "Understanding contrastive representation learning through alignment and uniformity on the
hypersphere" (arXiv:2005.10242, section 4.1), as GenD trains detectors with them (Yermakov et al., WACV 2026, "Deepfake
detection that generalizes across benchmarks", arXiv:2508.06248): every two images of one class in the batch are a
positive pair. GenD adds .1 times the alignment and .5 times the uniformity to the cross-entropy.

A real and the fake made from it need no term of their own: they are among the pairs of the uniformity, where a pair
counts by exp(-t d^2), so that in a paired batch the most alike, of different classes, are parted first.
"""

import contextlib
import math
from collections.abc import Callable, Generator

import torch
from torch import Tensor, nn
from torch.nn import functional

from hf_deepfake.config import LABELS, TrainConfig
from hf_deepfake.models.fold import final_module
from hf_deepfake.training.targets import soft_cross_entropy


@contextlib.contextmanager
def kept_embeddings(model: nn.Module) -> Generator[list[Tensor]]:
    """Keep what the classifier takes while the model runs.

    Args:
        model: a timm model with logits (real, fake), perhaps in PEFT's wrapper.

    Yields:
        A list that grows by one tensor (B, D), with its graph, for each pass of B images.

    Raises:
        InputError: the classifier is not one linear layer with bias and two outputs.
    """
    kept: list[Tensor] = []
    handle = final_module(model).register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0].flatten(1)))
    try:
        yield kept
    finally:
        handle.remove()


class Loss:
    """Loss of a forward pass: cross-entropy, and what the configuration adds on embeddings.

    Args:
        config: the run, with its class weights and the factors of both losses on embeddings.
        model: what trains, without a wrapper of several processes.
        device: of the model.
    """

    def __init__(self, config: TrainConfig, model: nn.Module, device: torch.device):
        self._model = model
        self._class_weights = torch.tensor(config.class_weights or (1.0, 1.0), device=device)
        self._factors = config.alignment_weight, config.uniformity_weight

    def __call__(
        self, model: nn.Module, images: Tensor, targets: Tensor, mean: Callable[[Tensor], Tensor] = torch.mean
    ) -> Tensor:
        """Run the model.

        Args:
            model: the same model, in whatever wraps it.
            images: float (B, 3, S, S), normalised.
            targets: float (B, 2), rows summing to 1.
            mean: of `soft_cross_entropy`.

        Returns:
            Scalar float32.
        """
        if not any(self._factors):
            return soft_cross_entropy(model(images), targets, self._class_weights, mean)
        with kept_embeddings(self._model) as kept:
            loss = soft_cross_entropy(model(images), targets, self._class_weights, mean)
        return loss + embedding_loss(kept[0], targets, *self._factors)


def embedding_loss(
    embeddings: Tensor, targets: Tensor, alignment_weight: float = 0.0, uniformity_weight: float = 0.0
) -> Tensor:
    """Weigh alignment and uniformity, to be added to the mean cross-entropy of the same images.

    Both look at pairs within what they are given: a step that is cut into parts or processes has fewer pairs, and
    another loss, than a whole one.

    Args:
        embeddings: (B, D), any floating type, of any length: what the classifier takes.
        targets: of `alignment`.
        alignment_weight: factor of `alignment`, 0 or more.
        uniformity_weight: factor of `uniformity`, 0 or more.

    Returns:
        Scalar float32.
    """
    loss = torch.zeros((), device=embeddings.device)
    if alignment_weight:
        loss = loss + alignment_weight * alignment(embeddings, targets)
    if uniformity_weight:
        loss = loss + uniformity_weight * uniformity(embeddings)
    return loss


def alignment(embeddings: Tensor, targets: Tensor) -> Tensor:
    """How far embeddings of one class are from each other.

    The mean of ||x_i - x_j||^2 over pairs i < j of one class, x the embeddings divided by their lengths. With soft
    targets p a pair counts by the chance p_i . p_j that both are of one class; with hard ones this is 1 or 0.

    Args:
        embeddings: (B, D), any floating type; computed in float32, under autocast too.
        targets: int64 (B,), the classes; or floating (B, C), rows summing to 1.

    Returns:
        Scalar float32 in [0, 4]: 0 where each class is one direction; 0, without a gradient, where no pair is of one
        class.
    """
    chances = (targets if targets.is_floating_point() else functional.one_hot(targets, len(LABELS))).float()
    alike = _pairs(chances)
    return (alike * _squared_distances(embeddings)).sum() / alike.sum().clamp(min=torch.finfo(alike.dtype).tiny)


def uniformity(embeddings: Tensor, t: float = 2.0) -> Tensor:
    """How unevenly embeddings lie on the sphere: the potential of a Gaussian kernel.

    log mean exp(-t ||x_i - x_j||^2) over all pairs i < j, x the embeddings divided by their lengths.

    Args:
        embeddings: (B, D), any floating type; computed in float32, under autocast too.
        t: sharpness of the kernel, above 0; 2 in both papers.

    Returns:
        Scalar float32 from -2 t B / (B - 1), where all are equally far apart, to 0, where all are one direction; 0,
        without a gradient, of a single embedding.
    """
    if len(embeddings) == 1:
        return embeddings.float().sum() * 0
    exponents = -t * _squared_distances(embeddings)
    return exponents.logsumexp(0) - math.log(len(exponents))


def _squared_distances(embeddings: Tensor) -> Tensor:
    """Of all pairs i < j of unit vectors, (B (B - 1) / 2,): 2 - 2 cos."""
    return 2 - 2 * _pairs(functional.normalize(embeddings.float(), dim=1))


def _pairs(rows: Tensor) -> Tensor:
    """Scalar products of all pairs i < j of float32 rows, in float32."""
    first, second = torch.triu_indices(len(rows), len(rows), offset=1, device=rows.device)
    with torch.autocast(rows.device.type, enabled=False):
        return (rows @ rows.T)[first, second]
