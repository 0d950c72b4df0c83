"""Are the maps any good? Measured on images, with the means' intervals: a map that looks right proves nothing."""

import io
import math
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from scipy.stats import rankdata
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur

from hf_deepfake.config import LABELS
from hf_deepfake.errors import InputError
from hf_deepfake.explain.cam import Method
from hf_deepfake.explain.probe import BATCH_SIZE, Heat, Probe, mean, moved
from hf_deepfake.explain.regions import find_masks, measure_masks
from hf_deepfake.metrics.classification import Floats
from hf_deepfake.models.pretrained import classifier_names
from hf_deepfake.progress import Progress
from hf_deepfake.report.report import ExplanationResult

STEPS = 10
"""Equal steps from nothing to all pixels on a deletion or insertion curve."""

BLUR = 1 / 16
"""Standard deviation of the blur that hides pixels, in sides of the image: of a face only the colours are left."""

JPEG_QUALITY = 70

DRAWS = 5
"""Models with shuffled weights: two classes are so few that one of these may point where the trained model does."""


def measure_faithfulness(
    model: nn.Module,
    dataset: Dataset,
    data_config: dict[str, Any],
    *,
    method: Method = "gradcam",
    fine: bool = False,
    limit: int = 64,
    name: str = "test",
    seed: int = 0,
    shown: bool = False,
) -> ExplanationResult:
    """Measure the maps of a method on images of both classes, explaining the predicted class.

    The metrics, each a mean over the images; X_random is the same of maps that were moved at random (see
    `probe.moved`), X_difference is X minus X_random, image by image:

    - `probability`: of the predicted class, and `probability_blurred` when the whole image is blurred.
    - `deletion`, `insertion` (and _random, _difference): area under the probability of the predicted class while the
      map's strongest pixels are blurred first, or come back into the blurred image first (Petsiuk et al., "RISE",
      BMVC 2018; there, deleted pixels become grey). In [0, 1]. A good map makes deletion small and
      insertion large.
    - `flip`, `jpeg`: Spearman's rank correlation of an image's map with that of the mirrored image, mirrored back,
      and with that of the image after JPEG of quality 70 at the model's input size, both for the same class. In
      [-1, 1]; images with a flat map are left out.
    - `shuffled_classifier`, `shuffled_model`: the same with the map of a model in which the values within each tensor
      of the classifier, or of the whole model, were shuffled; mean of five draws (Adebayo et al., "Sanity Checks for
      Saliency Maps", NeurIPS 2018, section 4). A map that shows what was learnt comes out near 0.
    - where the images lie beside `masks/` as `draw_sample` writes them: those of `regions.measure_masks`.

    Each image costs 44 passes of the model and 13 maps.

    Args:
        model: a timm model of two logits, in eval mode.
        dataset: a split of `data.load.prepare`; groups are resampled whole where it has a column group.
        data_config: timm's preprocessing.
        method: of `cam.METHODS`.
        fine: measure the finer map of the method.
        limit: number of images, half of each class where there are as many.
        name: what the result is to call the set.
        seed: decides on images, random maps and shuffled weights.
        shown: show progress.

    Returns:
        The result.

    Raises:
        InputError: the limit is below 2, or no map can be made of this model.
        ImageError: an image cannot be opened.
    """
    if limit < 2:
        raise InputError(f"limit is {limit}; at least 2 images are needed to measure maps, one of each class")
    generator = np.random.default_rng(seed)
    chosen = dataset.select(_choose(dataset["label"], limit, generator))
    groups = chosen["group"] if "group" in chosen.column_names else None
    probe = Probe.open(model, chosen, data_config, method, fine)
    progress = Progress("maps", 3 + 2 + 2 * DRAWS, "measurements", shown)
    maps = probe.maps(model, probe.images)
    progress.update()
    random = moved(maps.values, generator)

    def similarity(other_model: nn.Module, images: Tensor, mirrored: bool = False) -> Floats:
        """Rank correlation of the maps with those of another model or of changed images."""
        other = probe.maps(other_model, images, maps.targets).values
        progress.update()
        return rank_correlation(maps.values, other.flip(2) if mirrored else other)

    ties = generator.random((len(chosen), probe.size, probe.size), np.float32)
    curves = {}
    for key, heat in {"": maps.values, "_random": random}.items():
        curves[key] = deletion_insertion(model, probe, maps.targets, rank_pixels(probe.heat(heat), ties))
        progress.update()
    values = {"probability": curves[""]["deletion"][:, 0], "probability_blurred": curves[""]["deletion"][:, -1]}
    for key in ("deletion", "insertion"):
        own, chance = (np.trapezoid(curves[kind][key], dx=1 / STEPS) for kind in ("", "_random"))
        values |= {key: own, f"{key}_random": chance, f"{key}_difference": own - chance}
    values["flip"] = similarity(model, probe.images.flip(3), mirrored=True)
    values["jpeg"] = similarity(model, _recompressed(probe.images))
    for key, names in {"classifier": classifier_names(model), "model": list(model.state_dict())}.items():
        draws = [similarity(shuffled(model, names, seed + draw), probe.images) for draw in range(DRAWS)]
        values[f"shuffled_{key}"] = np.ma.masked_invalid(draws).mean(axis=0).filled(np.nan)
    progress.bar.close()
    metrics = {key: mean(column, groups) for key, column in values.items()}
    if masks := find_masks(chosen, probe.size):
        metrics |= measure_masks(model, probe, masks, groups, generator)
    return ExplanationResult(probe.name, name, len(chosen), metrics)


def rank_pixels(heat: Heat, ties: Heat) -> Heat:
    """Order the pixels of each map from the strongest on.

    Args:
        heat: float32 (N, S, S).
        ties: float32 (N, S, S), which decides where pixels of a map are equal, as they are wherever it is 0.

    Returns:
        float32 (N, S, S), share of the map's pixels that come before each, in [0, 1).
    """
    flat = heat.reshape(len(heat), -1)
    order = np.lexsort((ties.reshape(flat.shape), -flat), axis=1)
    ranks = np.empty(flat.shape, np.float32)
    np.put_along_axis(ranks, order, np.arange(flat.shape[1], dtype=np.float32)[None] / flat.shape[1], axis=1)
    return ranks.reshape(heat.shape)


@torch.inference_mode()
def deletion_insertion(model: nn.Module, probe: Probe, targets: Tensor, ranks: Heat) -> dict[str, Floats]:
    """Curves of a class's probability while pixels are blurred, or come back, in the order of their ranks.

    Args:
        model: a model in eval mode.
        probe: N images.
        targets: int64 (N,), the class of each.
        ranks: float32 (N, S, S), from `rank_pixels`.

    Returns:
        deletion and insertion: float64 (N, 11), the probability at 0, 1/10 ... 1 of the pixels.
    """
    sigma = BLUR * probe.size
    kernel = 2 * math.ceil(2 * sigma) + 1
    curves: dict[str, list[Floats]] = {"deletion": [], "insertion": []}
    for start in range(0, len(probe.images), BATCH_SIZE):
        rows = slice(start, start + BATCH_SIZE)
        pixels = probe.normalise(probe.images[rows].to(probe.normalise.mean.device))
        blurred = gaussian_blur(pixels, [kernel, kernel], [sigma, sigma])
        rank = torch.from_numpy(ranks[rows]).to(pixels.device)[:, None]
        target = targets[rows, None].to(pixels.device)
        for key, (before, after) in {"deletion": (pixels, blurred), "insertion": (blurred, pixels)}.items():
            points = [
                model(torch.where(rank < step / STEPS, after, before)).softmax(dim=1).gather(1, target)
                for step in range(STEPS + 1)
            ]
            curves[key].append(torch.cat(points, dim=1).cpu().double().numpy())
    return {key: np.concatenate(parts) for key, parts in curves.items()}


def rank_correlation(maps: Tensor, others: Tensor) -> Floats:
    """Spearman's rank correlation of each map with its other, over the cells of their grid.

    Args:
        maps: (N, h, w).
        others: (N, h, w).

    Returns:
        float64 (N,) in [-1, 1]; NaN where one of the two is the same everywhere or not finite.
    """
    first, second = (_standard_ranks(values) for values in (maps, others))
    return (first * second).mean(axis=1)


def shuffled(model: nn.Module, names: Iterable[str], seed: int) -> nn.Module:
    """Copy a model, with the values within each of some tensors in random order.

    Sizes of weights stay as they were, so that the model computes in its usual range; what was learnt is gone.

    Args:
        model: any model; it stays as it is.
        names: tensors of its `state_dict`.
        seed: of the order.

    Returns:
        The copy.
    """
    copy = deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    state = copy.state_dict()
    for name in names:
        tensor = state[name]
        order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
        tensor.copy_(tensor.flatten()[order].view(tensor.shape))
    return copy


def _choose(labels: ArrayLike, limit: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Rows of up to `limit` images, half of each class, in their order."""
    label = np.asarray(labels)
    classes = [generator.permutation(np.flatnonzero(label == one))[: limit // 2] for one in range(len(LABELS))]
    return np.sort(np.concatenate(classes))


def _recompressed(images: Tensor) -> Tensor:
    """Images uint8 (N, 3, S, S) after JPEG."""
    changed = []
    for image in images.permute(0, 2, 3, 1).numpy():
        file = io.BytesIO()
        Image.fromarray(image).save(file, format="JPEG", quality=JPEG_QUALITY)
        changed.append(np.array(Image.open(file)))
    return torch.from_numpy(np.stack(changed)).permute(0, 3, 1, 2)


def _standard_ranks(maps: Tensor) -> Floats:
    """Ranks of each map's cells, (N, h * w), of mean 0 and standard deviation 1; NaN if it is flat or not finite."""
    ranks = rankdata(maps.double().flatten(1).numpy(), axis=1, nan_policy="propagate")
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, keepdims=True)
    return np.divide(centred, deviation, out=np.full_like(centred, np.nan), where=deviation > 0)
