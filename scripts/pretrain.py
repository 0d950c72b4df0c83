"""Teach a model another's features on images without looking at their labels: a start where no weights can be had.

    python scripts/pretrain.py --data faces.zip --teacher runs/small/checkpoint --output_dir runs/start
    hf-deepfake train --data faces.zip --pretrained runs/start/start.safetensors --output_dir runs/faces

Dense distillation: a 1 x 1 convolution on the model's features at strides 16 and 32 is to give the teacher's features
there, cell by cell, standardised channel by channel (Romero et al. 2015, "FitNets"; that both see the same augmented
pixels is Beyer et al. 2022, arXiv:2106.05237). Called again, it goes on from its last saved state.
"""

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from timm.optim import create_optimizer_v2
from torch import Tensor, nn
from torch.nn import functional

from hf_deepfake.config import TrainConfig, build
from hf_deepfake.data.batch import Augment, DecodedImages, Normalise, make_loader
from hf_deepfake.data.load import prepare
from hf_deepfake.errors import InputError
from hf_deepfake.files import make_folder, replacing
from hf_deepfake.images.degrade import Degrade
from hf_deepfake.machine import default_workers
from hf_deepfake.models.build import build_model, data_config
from hf_deepfake.models.checkpoint import load_checkpoint
from hf_deepfake.training.device import make_accelerator
from hf_deepfake.training.order import Share, StepBatches, epoch_order
from hf_deepfake.training.stages import Stage, plan_stages

SAVE_EVERY = 200
"""Steps between saved states: a killed run loses minutes."""

STRIDES = 2
"""Resolutions at which features are matched, from the coarsest."""


@dataclass
class Progress:
    """Steps done, and the mean loss of each hundred."""

    step: int = 0
    losses: list[float] = field(default_factory=list)


def features(model: nn.Module, pixels: Tensor) -> list[Tensor]:
    """What a model makes of pixels at its coarsest strides: (B, C, h, w) each, the finest first."""
    timm_model: Any = model
    final, stages = timm_model.forward_intermediates(pixels, indices=STRIDES)
    return [*stages[:-1], final]  # after the last stage some models, as EfficientNets, widen once more


class Matching(nn.Module):
    """A model with a linear map from its features to another's, and what the difference costs."""

    def __init__(self, student: nn.Module, teacher: nn.Module, side: int):
        super().__init__()
        example = torch.zeros(1, 3, side, side)
        with torch.no_grad():
            own, wanted = (features(each.eval(), example) for each in (student, teacher))
        self.student = student
        self.maps = nn.ModuleList(nn.Conv2d(a.shape[1], b.shape[1], 1) for a, b in zip(own, wanted, strict=True))
        self.norms = nn.ModuleList(nn.BatchNorm2d(one.shape[1], affine=False, momentum=0.01) for one in wanted)

    def forward(self, pixels: Tensor, wanted: list[Tensor]) -> Tensor:
        """Mean squared difference over strides, cells and standardised channels: 1 for a model that knows nothing."""
        losses = []
        for own, other, linear, norm in zip(features(self.student, pixels), wanted, self.maps, self.norms, strict=True):
            target = norm(other.float())
            losses.append(functional.mse_loss(functional.interpolate(linear(own).float(), target.shape[2:]), target))
        return torch.stack(losses).mean()


def pretrain(config: TrainConfig, steps: int) -> Path:
    """Train to the end, from the saved state if there is one.

    Args:
        config: `data`, `teacher`, `model`, `image_size`, `batch_size`, `lr` and augmentation.
        steps: of the optimiser.

    Returns:
        The file of pretrained weights.
    """
    accelerator = make_accelerator(config)
    device = accelerator.device
    folder = make_folder(Path(config.output_dir))
    torch.manual_seed(config.seed)
    timm_model = build_model(config.model, image_size=config.image_size, pretrained="off")
    loaded = load_checkpoint(config.teacher[0])
    preprocessing = data_config(timm_model, config.image_size)
    model = Matching(timm_model, loaded.model, config.image_size).to(memory_format=torch.channels_last).to(device)
    if config.compile:
        model.compile()
    teacher = loaded.model.to(memory_format=torch.channels_last).to(device).eval().requires_grad_(False)
    own = Normalise(preprocessing, device)
    theirs = Normalise(loaded.config["pretrained_cfg"], device)
    train = prepare(config)[0]["train"]
    augment = Augment(config, own)
    batches = StepBatches(Share(config.batch_size))
    change = Degrade(config.seed, share=config.degrade) if config.degrade else None
    workers = default_workers(1) if config.workers is None else config.workers
    images = DecodedImages(train, preprocessing, reduced=True, change=change)
    loader = make_loader(images, batches, workers, pin_memory=device.type == "cuda")
    per_epoch = plan_stages(config, len(train))[0].steps_per_epoch
    stage = Stage("pretraining", 0, 1, steps, config.lr, None, config.schedule, min(config.warmup_steps, steps // 10))
    optimizer = create_optimizer_v2(model, opt="adamw", lr=config.lr, weight_decay=0.05)
    progress, state_file = Progress(), folder / "state.pt"
    if state_file.exists():
        state = torch.load(state_file, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        progress = Progress(**state["progress"])
    began, first, total = time.perf_counter(), progress.step, 0.0
    while progress.step < steps:
        epoch, done = divmod(progress.step, per_epoch)
        order = epoch_order("shuffle", np.asarray(train["label"]), None, config.seed, epoch, train["origin"], 0.0)
        batches.set_epoch(order + epoch * len(train), done, min(per_epoch, done + steps - progress.step))
        for batch in loader:
            for group in optimizer.param_groups:
                group["lr"] = stage.rate(progress.step)
            seed = int(np.random.SeedSequence([config.seed, progress.step]).generate_state(1)[0])
            drawn = augment.draw(config.batch_size, torch.Generator().manual_seed(seed))
            pixels = augment(batch.images.to(device, non_blocking=True), drawn)
            model.train()
            with torch.autocast(device.type, torch.bfloat16, enabled=accelerator.mixed_precision == "bf16"):
                with torch.no_grad():
                    wanted = features(teacher, theirs.unit(pixels * own.std + own.mean))
                loss = model(pixels, wanted)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            total += float(loss.detach())
            progress.step += 1
            if progress.step % 100 == 0:
                progress.losses.append(total / 100)
                speed = (progress.step - first) * config.batch_size / (time.perf_counter() - began)
                print(f"step {progress.step}/{steps}, loss {total / 100:.4f}, {speed:.1f} images/s", flush=True)
                total = 0.0
            if progress.step % SAVE_EVERY == 0 or progress.step == steps:
                with replacing(state_file) as temporary:
                    torch.save(
                        {
                            "model": model.state_dict(),
                            "optimizer": optimizer.state_dict(),
                            "progress": vars(progress),
                        },
                        temporary,
                    )
    weights = {name: tensor.contiguous().cpu() for name, tensor in timm_model.state_dict().items()}
    with replacing(folder / "start.safetensors") as temporary:
        save_file(weights, temporary)
    return folder / "start.safetensors"


def main() -> int:
    """Parse the command line; see the module's description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, nargs="+", help="any sources of hf-deepfake; train is used")
    parser.add_argument("--teacher", required=True, metavar="CHECKPOINT", help="whose features are learnt")
    parser.add_argument("--model", default="resnet50", help="timm backbone (default resnet50)")
    parser.add_argument("--image_size", type=int, default=160, help="side of both inputs, px (default 160)")
    parser.add_argument("--steps", type=int, default=3000, help="optimiser steps (default 3000)")
    parser.add_argument("--batch_size", type=int, default=32, help="images a step (default 32)")
    parser.add_argument("--lr", type=float, default=1e-3, help="peak learning rate (default .001)")
    parser.add_argument("--degrade", type=float, default=0.0, help="share of images degraded, alike for both models")
    parser.add_argument("--compile", action="store_true", help="compile the model: minutes at the start, faster after")
    parser.add_argument("--workers", type=int, help="decoding processes")
    parser.add_argument("--output_dir", required=True, help="folder for start.safetensors and the state")
    words = vars(parser.parse_args())
    steps = words.pop("steps")
    try:
        print(pretrain(build(TrainConfig, words), steps))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
