"""Measure how fast training is, side by side with others' ways, which are in peers.py.

    python benchmarks/train.py --data faces.zip --output benchmarks/train.json

All train the same model from the same files with the same number of decoding workers, in turn, several times in one
run; a pass of each goes before what is counted. Ours is timed with `degrade`, too, and fed from memory. Figures are
whole steps, from files on disk to the optimiser's update.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from statistics import median

import numpy as np
import torch
from accelerate.state import AcceleratorState
from datasets import DatasetDict
from peers import timm_script, transformers_example
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hf_deepfake.config import LABELS, DataConfig, TrainConfig
from hf_deepfake.data.batch import Batch
from hf_deepfake.data.load import prepare
from hf_deepfake.errors import InputError
from hf_deepfake.files import write_json
from hf_deepfake.machine import BF16_FLAGS, cpu_flags, cpu_name, default_workers, usable_cores
from hf_deepfake.models.build import build_model, data_config
from hf_deepfake.training.device import make_accelerator
from hf_deepfake.training.loop import Loop
from hf_deepfake.training.resume import RunFolder


def make_loop(config: TrainConfig, data: DatasetDict) -> Loop:
    """The package's own loop, at its start, with an untrained model."""
    run = RunFolder.open(config)
    run.clear()
    model = build_model(config.model, image_size=config.image_size, pretrained="off")
    return Loop(config, make_accelerator(config), run, model, data, data_config(model, config.image_size))


def ours(config: TrainConfig, data: DatasetDict) -> float:
    """Images a second of the second of two epochs of the package's own loop."""
    loop = make_loop(config, data)
    loop.progress.shown = False
    loop.fit()
    return loop.position.history[-1]["images_per_second"]


def from_memory(config: TrainConfig, data: DatasetDict) -> float:
    """Images a second of our steps where nothing is read or decoded: one batch, again and again."""
    loop = make_loop(config, data)
    model, optimizer = loop._prepare(loop.stages[0])
    pixels = torch.zeros(config.batch_size, 3, config.image_size, config.image_size, dtype=torch.uint8)
    labels = torch.arange(config.batch_size) % len(LABELS)
    batch = Batch(pixels.contiguous(memory_format=torch.channels_last), labels, labels)
    number = config.steps_per_epoch or 0
    for _step in range(number):
        loop._step(model, optimizer, repeat(batch))
    began = time.perf_counter()
    losses = [loop._step(model, optimizer, repeat(batch)) for _step in range(number)]
    losses[-1].item()
    return number * config.batch_size / (time.perf_counter() - began)


def reduced_precision(config: TrainConfig) -> bool:
    """Whether ours computes in bf16 here."""
    return make_accelerator(config).mixed_precision == "bf16"


def bound(config: TrainConfig) -> dict[str, float]:
    """What the device's arithmetic allows: floating-point operations of an image's step, and of a second.

    The ceiling is the fastest of some large matrix products in the precision that ours computes in.
    """
    accelerator = make_accelerator(config)
    device, kind = accelerator.device, torch.bfloat16 if reduced_precision(config) else torch.float32
    model = build_model(config.model, image_size=config.image_size, pretrained="off")
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(2, 3, config.image_size, config.image_size)).sum().backward()
    side = 8192 if device.type == "cuda" else 2048
    left, right = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    rates = []
    for _ in range(8):
        began = time.perf_counter()
        (left @ right)[0, 0].item()
        rates.append(2 * side**3 / (time.perf_counter() - began))
    operations = counter.get_total_flops() / 2
    return {
        "gflop_a_image": operations / 1e9,
        "ceiling_gflop_a_second": max(rates) / 1e9,
        "images_per_second": max(rates) / operations,
    }


def theirs(steps: Iterator[nn.Module], config: TrainConfig) -> float:
    """Images a second of the second of two passes of another way to train."""
    number = config.steps_per_epoch or 0
    for _step in range(number):
        next(steps)
    began = time.perf_counter()
    for _step in range(number):
        model = next(steps)
    next(model.parameters()).sum().item()  # waits for a device that works behind
    return number * config.batch_size / (time.perf_counter() - began)


def benchmark_training(words: argparse.Namespace) -> None:
    """Run all ways in turn, print and save the figures."""
    data, _ = prepare(DataConfig(data=(words.data,)))
    images = words.steps * words.batch_size
    if len(data["train"]) < images:
        raise InputError(f"{words.data} has {len(data['train'])} training images; {images} are needed")
    chosen = np.random.default_rng(0).permutation(len(data["train"]))[:images]
    labels = list(data["validation"]["label"])
    few = DatasetDict()
    few["train"] = data["train"].select(chosen)
    few["validation"] = data["validation"].select([labels.index(0), labels.index(1)])  # the loop wants some
    workers = default_workers(1) if words.workers is None else words.workers
    on_gpu = torch.cuda.is_available()
    figures: dict[str, list[float]] = {}
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
        train = few["train"]
        ways: dict[str, Callable[[], float]] = {
            "ours": lambda: ours(config, few),
            "ours, degraded": lambda: ours(replace(config, degrade=0.75), few),
            "ours, from memory": lambda: from_memory(config, few),
            "transformers": lambda: theirs(transformers_example(config, train, workers, 2 * words.steps), config),
            "timm": lambda: theirs(timm_script(config, train, workers, reduced=False), config),
        }
        if reduced_precision(config):
            ways["timm, bf16"] = lambda: theirs(timm_script(config, train, workers, reduced=True), config)
        if on_gpu:
            ways["ours, compiled"] = lambda: ours(replace(config, compile=True), few)
        memory: dict[str, float] = {}
        for turn in range(words.repeats):
            for name, way in ways.items():
                AcceleratorState._reset_state(reset_partial_state=True)  # they differ in precision
                if on_gpu:
                    torch.cuda.reset_peak_memory_stats()
                figures.setdefault(name, []).append(way())
                if on_gpu:
                    memory[name] = torch.cuda.max_memory_allocated() / 1e9
            latest = ", ".join(f"{name} {values[-1]:.2f}" for name, values in figures.items())
            print(f"{turn + 1}: {latest} images/s", flush=True)
    pairs = [("ours", name) for name in figures if not name.startswith("ours")]
    pairs += [("ours, degraded", "ours"), ("ours", "ours, from memory")]
    ratios = {
        f"{one} / {other}": [a / b for a, b in zip(figures[one], figures[other], strict=True)] for one, other in pairs
    }
    result = {
        "model": words.model,
        "image_size": words.image_size,
        "batch_size": words.batch_size,
        "steps": words.steps,
        "machine": torch.cuda.get_device_name() if on_gpu else cpu_name(),
        "cores": usable_cores(),
        "workers": workers,
        "bf16_flags": sorted(cpu_flags() & BF16_FLAGS),
        "our_precision": "bf16" if reduced_precision(config) else "no",
        "torch": torch.__version__,
        "images_per_second": figures,
        "gpu_memory_gb": memory,
        "ratios": ratios,
        "bound": bound(config),
    }
    print(
        f"\n{words.model}, {words.image_size} px, batches of {words.batch_size}, {words.repeats} repeats "
        f"on {result['machine']} ({usable_cores()} cores)"
    )
    for name, values in (figures | ratios).items():
        print(f"{name:>24}  median {median(values):.2f}  [{min(values):.2f}, {max(values):.2f}]")
    limit = result["bound"]
    print(
        f"\na step takes {limit['gflop_a_image']:.1f} GFLOP an image; at the {limit['ceiling_gflop_a_second']:.0f} "
        f"GFLOP/s of large matrix products that is {limit['images_per_second']:.1f} images/s"
    )
    if words.output:
        write_json(words.output, result)


def main() -> int:
    """Parse the command line; see the module's description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="any source of hf-deepfake")
    parser.add_argument("--model", default="resnet50", help="timm backbone (default resnet50)")
    parser.add_argument("--image_size", type=int, default=224, help="side of the input, px (default 224)")
    parser.add_argument("--batch_size", type=int, default=32, help="images a step (default 32)")
    parser.add_argument("--steps", type=int, default=6, help="steps that are timed, each time (default 6)")
    parser.add_argument("--repeats", type=int, default=3, help="times that all are run (default 3)")
    parser.add_argument("--mixed_precision", default="auto", help="precision of ours (default auto)")
    parser.add_argument("--workers", type=int, help="decoding processes of each way (default as in training)")
    parser.add_argument("--output", type=Path, help="JSON file for all figures")
    words = parser.parse_args()
    try:
        benchmark_training(words)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
