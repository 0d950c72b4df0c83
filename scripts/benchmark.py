"""Measure speed side by side: `benchmark.py train` times our training against the plain transformers example's way.

All train the same net from the same files with the same number of decoding workers, in turn, several times in one
run; a pass of each goes before what is counted. Ours is timed with `degrade`, too. The plain way is that of the
example script run_image_classification_no_trainer.py: PIL transforms in the loader, NCHW, AdamW through Accelerate,
and float32 on a CPU. Figures are whole steps, from files on disk to the optimiser's update.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import timm
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from datasets import Dataset, DatasetDict
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision.transforms import Compose, Normalize, RandomHorizontalFlip, RandomResizedCrop, ToTensor

from hf_deepfake.config import LABELS, DataConfig, TrainConfig
from hf_deepfake.data.load import prepare
from hf_deepfake.data.machine import BF16_FLAGS, cpu_flags, cpu_name, default_workers, usable_cores
from hf_deepfake.errors import InputError
from hf_deepfake.files import write_json
from hf_deepfake.models.build import build_model, data_config
from hf_deepfake.training.device import make_accelerator
from hf_deepfake.training.loop import Loop
from hf_deepfake.training.resume import RunFolder


def ours(config: TrainConfig, data: DatasetDict) -> float:
    """Images a second of the second of two epochs of the package's own loop."""
    run = RunFolder.open(config)
    run.clear()
    net = build_model(config.model, image_size=config.image_size, pretrained="off")
    loop = Loop(config, make_accelerator(config), run, net, data, data_config(net, config.image_size))
    loop.progress.shown = False
    loop.fit()
    return loop.position.history[-1]["images_per_second"]


def plain(config: TrainConfig, train: Dataset, workers: int) -> float:
    """Images a second of the second of two passes written as the transformers example is."""
    accelerator = Accelerator(mixed_precision="no", cpu=not torch.cuda.is_available())
    net = timm.create_model(config.model, num_classes=len(LABELS))
    preprocessing = data_config(net, config.image_size)
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
    optimizer = torch.optim.AdamW(net.parameters(), lr=config.lr)
    net, optimizer, loader = accelerator.prepare(net, optimizer, loader)
    net.train()
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        for _step, batch in zip(range(config.steps_per_epoch or 0), loader, strict=False):
            loss = functional.cross_entropy(net(batch["pixel_values"]), batch["labels"])
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
        loss.item()
        seconds = time.perf_counter() - began
    accelerator.free_memory()
    return (config.steps_per_epoch or 0) * config.batch_size / seconds


def benchmark_training(words: argparse.Namespace) -> None:
    """Run both ways in turn, print and save the figures."""
    data, _ = prepare(DataConfig(data=(words.data,)))
    pictures = words.steps * words.batch_size
    if len(data["train"]) < pictures:
        raise InputError(f"{words.data} has {len(data['train'])} training pictures; {pictures} are needed")
    chosen = np.random.default_rng(0).permutation(len(data["train"]))[:pictures]
    labels = list(data["validation"]["label"])
    few = DatasetDict()
    few["train"] = data["train"].select(chosen)
    few["validation"] = data["validation"].select([labels.index(0), labels.index(1)])  # the loop wants some
    workers = default_workers(1)
    figures: dict[str, list[float]] = {"ours": [], "degraded": [], "plain": []}
    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(
            data=(words.data,),
            output_dir=str(Path(folder) / "run"),
            overwrite=True,
            model=words.model,
            pretrained="off",
            image_size=words.image_size,
            batch_size=words.batch_size,
            epochs=2,
            steps_per_epoch=words.steps,
            workers=workers,
            mixed_precision=words.mixed_precision,
        )
        for repeat in range(words.repeats):
            AcceleratorState._reset_state(reset_partial_state=True)  # the two differ in precision
            figures["plain"].append(plain(config, few["train"], workers))
            for name, degrade in (("ours", False), ("degraded", True)):
                AcceleratorState._reset_state(reset_partial_state=True)
                figures[name].append(ours(replace(config, degrade=degrade), few))
            latest = ", ".join(f"{name} {values[-1]:.2f}" for name, values in figures.items())
            print(f"{repeat + 1}: {latest} images/s", flush=True)
    ratios = {
        "ours / plain": [mine / theirs for mine, theirs in zip(figures["ours"], figures["plain"], strict=True)],
        "degraded / ours": [slow / fast for slow, fast in zip(figures["degraded"], figures["ours"], strict=True)],
    }
    precision = make_accelerator(config).mixed_precision
    on_gpu = torch.cuda.is_available()
    result = {
        "model": words.model,
        "image_size": words.image_size,
        "batch_size": words.batch_size,
        "steps": words.steps,
        "machine": torch.cuda.get_device_name() if on_gpu else cpu_name(),
        "cores": usable_cores(),
        "bf16_flags": sorted(cpu_flags() & BF16_FLAGS),
        "our_precision": precision,
        "torch": torch.__version__,
        "images_per_second": figures,
        "ratios": ratios,
    }
    print(
        f"\n{words.model}, {words.image_size} px, batches of {words.batch_size}, {words.repeats} repeats "
        f"on {result['machine']} ({usable_cores()} cores)"
    )
    for name, values in (figures | ratios).items():
        print(f"{name:>15}  median {median(values):.2f}  [{min(values):.2f}, {max(values):.2f}]")
    if words.output:
        write_json(words.output, result)


def main() -> int:
    """Parse the command line; see the module's description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser("train", help="images a second in training")
    train.add_argument("--data", required=True, help="any source of hf-deepfake")
    train.add_argument("--model", default="resnet50", help="timm backbone (default resnet50)")
    train.add_argument("--image_size", type=int, default=224, help="side of the input, px (default 224)")
    train.add_argument("--batch_size", type=int, default=32, help="pictures a step (default 32)")
    train.add_argument("--steps", type=int, default=6, help="steps that are timed, each time (default 6)")
    train.add_argument("--repeats", type=int, default=3, help="times that both are run (default 3)")
    train.add_argument("--mixed_precision", default="auto", help="precision of ours (default auto)")
    train.add_argument("--output", type=Path, help="JSON file for all figures")
    train.set_defaults(run=benchmark_training)
    words = parser.parse_args()
    try:
        words.run(words)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
