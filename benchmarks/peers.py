"""How others train, for the benchmarks: written as their examples are, each step yielded as it is done."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import timm
import torch
from accelerate import Accelerator
from datasets import Dataset
from timm.data import create_loader
from timm.optim import create_optimizer_v2
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms import Compose, Normalize, RandomHorizontalFlip, RandomResizedCrop, ToTensor

from hf_deepfake.config import LABELS, TrainConfig
from hf_deepfake.models.build import data_config
from hf_deepfake.models.pretrained import load_pretrained_weights


def transformers_example(config: TrainConfig, train: Dataset, workers: int, steps: int) -> Iterator[nn.Module]:
    """As transformers' run_image_classification_no_trainer.py trains.

    PIL transforms in the loader, NCHW, AdamW through Accelerate, a learning rate that falls on a line to zero, float32.

    Args:
        config: model, pretrained weights, size, batch size and learning rate.
        train: images.
        workers: of the loader.
        steps: over which the learning rate falls.

    Yields:
        The model, after each step, without end.
    """
    accelerator = Accelerator(mixed_precision="no", cpu=not torch.cuda.is_available())
    model, preprocessing = _model(config)
    transform = Compose(
        [
            RandomResizedCrop(config.image_size),
            RandomHorizontalFlip(),
            ToTensor(),
            Normalize(preprocessing["mean"], preprocessing["std"]),
        ]
    )
    examples = train.select_columns(["image", "label"]).with_transform(
        lambda rows: {
            "pixel_values": [transform(image.convert("RGB")) for image in rows["image"]],
            "labels": rows["label"],
        }
    )
    loader = DataLoader(
        examples,
        batch_size=config.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / steps))
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    for _ in count():
        for batch in loader:
            model.train()
            loss = functional.cross_entropy(model(batch["pixel_values"]), batch["labels"])
            accelerator.backward(loss)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            yield model


class _Images(TorchDataset):
    """Rows as timm's loader wants them; it sets `transform`."""

    def __init__(self, rows: Dataset) -> None:
        self.rows, self.transform = rows, None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        row = self.rows[index]
        image: Any = row["image"].convert("RGB")
        return self.transform(image) if self.transform else image, row["label"]


def timm_script(config: TrainConfig, train: Dataset, workers: int, reduced: bool) -> Iterator[nn.Module]:
    """As timm's train.py trains with its own settings.

    Its loader with its transforms (crops from .08 of the image, colour .4, random interpolation) and prefetcher,
    SGD with momentum, label smoothing .1.

    Args:
        config: model, size, batch size and learning rate.
        train: images.
        workers: of the loader.
        reduced: with --amp --amp-dtype bfloat16 --channels-last.

    Yields:
        The model, after each step, without end.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    layout = torch.channels_last if reduced else torch.contiguous_format
    model, preprocessing = _model(config)
    model = model.to(device, memory_format=layout)  # ty: ignore[no-matching-overload]
    loader = create_loader(
        _Images(train),  # ty: ignore[invalid-argument-type] - any data set with a transform serves
        input_size=preprocessing["input_size"],
        batch_size=config.batch_size,
        is_training=True,
        use_prefetcher=True,
        color_jitter=0.4,
        interpolation="random",
        mean=preprocessing["mean"],
        std=preprocessing["std"],
        num_workers=workers,
        persistent_workers=workers > 0,
        device=device,
    )
    optimizer = create_optimizer_v2(model, opt="sgd", lr=config.lr, momentum=0.9, weight_decay=2e-5)
    for _ in count():
        for pixels, labels in loader:
            model.train()
            with torch.autocast(device.type, torch.bfloat16, enabled=reduced):
                output = model(pixels.to(memory_format=layout))
                loss = functional.cross_entropy(output, labels, label_smoothing=0.1)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            yield model


def _model(config: TrainConfig) -> tuple[nn.Module, dict[str, Any]]:
    """The model and its preprocessing."""
    model = timm.create_model(config.model, num_classes=len(LABELS))
    preprocessing = data_config(model, config.image_size)
    if Path(config.pretrained).exists():
        load_pretrained_weights(model, config.pretrained)
    return model, preprocessing
