"""The stage of the classifier on features that are computed once, where nothing changes an image between epochs."""

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from datasets import Dataset, DatasetDict
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hf_deepfake.config import TrainConfig
from hf_deepfake.data.batch import Batch, DecodedImages, Normalise
from hf_deepfake.evaluation.features import classifier_of, compute_features, kept_features, logits_of_features
from hf_deepfake.evaluation.inference import autocast
from hf_deepfake.models.adapters import merged
from hf_deepfake.models.build import freeze_statistics

TRIED = 8
"""Images on which it is tried whether features say all: with so many, each layer that draws shows it."""

LARGEST = 8192
"""Numbers that an image's features may have: more than any pooled ones; those of flattened maps would fill the disk."""


class Head(nn.Module):
    """What trains: a model's own classifier, behind the dropout that the model has there.

    Args:
        classifier: of the model, which shares its parameters.
        drop_rate: probability of dropout before it.
    """

    def __init__(self, classifier: nn.Module, drop_rate: float):
        super().__init__()
        self.classifier, self.drop_rate = classifier, drop_rate

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, 2) of features (B, D) or (B, D, 1, 1)."""
        return self.classifier(functional.dropout(features, self.drop_rate, self.training)).flatten(1)


class FrozenStage:
    """Features of the images that a stage shows and of the validation split, and what trains on them.

    Args:
        head: what trains.
        shown: features of training images.
        rows: their positions in the training split, sorted.
        labels: int64, of all training images.
        validation: features of the validation split.
        precision: in which all were computed.
    """

    def __init__(
        self, head: Head, shown: Tensor, rows: NDArray[np.int64], labels: Tensor, validation: Tensor, precision: str
    ):
        self.head, self.precision = head, precision
        self._shown, self._rows, self._labels, self._validation = shown, rows, labels, validation

    def batches(self, positions: Iterable[list[int]]) -> Iterator[Batch]:
        """Batches with features in the place of images, for positions as `data.batch.DecodedImages` takes them."""
        for part in positions:
            rows = np.asarray(part) % len(self._labels)
            yield Batch(self._shown[np.searchsorted(self._rows, rows)], self._labels[rows], torch.from_numpy(rows))

    def instead_of(self, predict: Callable[..., NDArray], validation: Dataset) -> Callable[..., NDArray]:
        """What predicts as `predict` does, but the logits (N, 2) of the validation split from its features."""

        def by_features(model: nn.Module, split: Dataset, title: str) -> NDArray:
            """Logits of a split by the trained model, or its average."""
            if split is validation:
                return logits_of_features(model, self._validation, self.precision)
            return predict(model, split, title=title)

        return by_features


def freeze_stage(
    config: TrainConfig,
    model: nn.Module,
    data: DatasetDict,
    rows: NDArray[np.int64],
    data_config: dict[str, Any],
    workers: int,
    precision: str,
    asked_to_stop: Callable[[], int | bool],
) -> FrozenStage | None:
    """Compute a stage's features, if a step on features is the same as one on images.

    That it is, is tried with some images and not read off the model's kind: dropout within the backbone, or batch
    statistics in it, make its features differ from step to step. All processes call this together.

    Args:
        config: the run.
        model: what trains, of which the classifier alone does in this stage; perhaps in PEFT's wrapper.
        data: the splits.
        rows: positions of the training images that the stage shows, sorted.
        data_config: timm's preprocessing.
        workers: decoding processes for each process.
        precision: of the run.
        asked_to_stop: see `compute_features`.

    Returns:
        The stage, or None where each step needs the images.

    Raises:
        Interrupted: some process was asked to stop.
    """
    changing = (
        *(config.flip, config.crop_scale < 1, config.rotate, config.colour, config.degrade, config.self_blend),
        *(config.mixup, config.cutmix, config.teacher),
    )
    if any(changing) or config.compile:  # a compiled model hides what its classifier takes
        return None
    plain = merged(model)
    drop_rate = _dropout_before_classifier(config, model, plain, data["train"], rows[:TRIED], data_config, precision)
    if drop_rate is None or any(gather_object([False])):
        return None
    shown, validation = (
        compute_features(
            plain, data[name], data_config, workers, precision,
            cache=config, rows=which, reduced=name == "train", title=f"{name} images", asked_to_stop=asked_to_stop,
        )
        for name, which in (("train", rows), ("validation", None))
    )  # fmt: skip
    labels = torch.tensor(data["train"]["label"])
    return FrozenStage(Head(classifier_of(model), drop_rate), shown, rows, labels, validation, precision)


def _dropout_before_classifier(
    config: TrainConfig,
    model: nn.Module,
    plain: nn.Module,
    split: Dataset,
    rows: NDArray[np.int64],
    data_config: dict[str, Any],
    precision: str,
) -> float | None:
    """Rate of dropout that makes of fixed features what the training model's classifier takes; None if none does."""
    device = next(model.parameters()).device
    decoded = DecodedImages(split, data_config, reduced=True).__getitems__(rows.tolist())
    images = Normalise(data_config, device)(decoded.images.to(device))
    trial = copy.deepcopy(model).train()  # a BatchNorm in its classifier counts what it sees
    freeze_statistics(trial, config.freeze_batchnorm)

    def seen(step: nn.Module, given: Tensor) -> tuple[Tensor, Tensor]:
        torch.manual_seed(config.seed)
        with torch.no_grad(), autocast(device, precision), kept_features(trial) as kept:
            logits = step(given)
        return kept[0].float(), logits.float()

    with torch.no_grad(), autocast(device, precision), kept_features(plain.eval()) as kept:
        plain(images)
    if kept[0][0].numel() > LARGEST:
        return None
    expected = seen(trial, images)
    for rate in (config.drop_rate, 0.0):  # a head with hidden layers has its dropout inside
        found = seen(Head(classifier_of(trial), rate).train(), kept[0])
        if all(
            torch.allclose(*pair, rtol=1e-3, atol=1e-3 * float(pair[0].std()))
            for pair in zip(expected, found, strict=True)
        ):
            return rate
    return None
