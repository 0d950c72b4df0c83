"""Measure what training a large encoder costs: the classifier alone, each adapter, and the whole model.

    python benchmarks/adapters.py --model vit_base_patch16_clip_quickgelu_224 --pretrained clip.safetensors \
        --output benchmarks/adapters.json

Each way is a process of its own, so that its peak of resident memory is its own; on a GPU the peak is of the GPU's
memory, as torch allocates it. Steps are whole steps of the package's
loop on one batch of noise in memory: nothing is decoded, and the linear probe runs its backbone at every step, which
it need not where its features are kept. The fastest of several passes counts, for other work on the machine can only
slow a pass down. Figures of a model are added to those of others that the output holds.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import repeat
from pathlib import Path
from typing import Any

import torch

from hf_deepfake.config import LABELS, TrainConfig
from hf_deepfake.data.batch import Batch
from hf_deepfake.data.load import prepare
from hf_deepfake.errors import InputError
from hf_deepfake.files import write_json
from hf_deepfake.machine import BF16_FLAGS, cpu_flags, cpu_name, usable_cores
from hf_deepfake.models.adapters import adapt, save_adapter
from hf_deepfake.models.build import build_model, data_config
from hf_deepfake.training.device import make_accelerator
from hf_deepfake.training.loop import Loop
from hf_deepfake.training.resume import RunFolder

WAYS: dict[str, dict[str, Any]] = {
    "linear probe": {"head_epochs": 1, "epochs": 0},
    "layernorm": {"adapter": "layernorm", "epochs": 1},
    "lora": {"adapter": "lora", "epochs": 1},
    "osf": {"adapter": "osf", "epochs": 1},
    "full": {"epochs": 1},
}
"""What trains, by the options of the package."""

MEGABYTE = 1e6


def measure(words: argparse.Namespace) -> dict[str, float | int]:
    """One way in this process: images/s of the fastest pass, and what it takes in memory and on disk."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(
            data=("sample",), output_dir=f"{folder}/run", model=words.model, pretrained=words.pretrained,
            image_size=words.image_size, batch_size=words.batch_size, steps_per_epoch=words.steps, workers=0,
            **WAYS[words.way],
        )  # fmt: skip
        run = RunFolder.open(config)
        run.clear()
        model = build_model(config.model, image_size=config.image_size, pretrained=config.pretrained)
        preprocessing = data_config(model, config.image_size)
        if config.adapter != "none":
            model = adapt(model, config.adapter, base=config.model)
        data, _ = prepare(config)
        loop = Loop(config, make_accelerator(config), run, model, data, preprocessing)
        prepared, optimizer = loop._prepare(loop.stages[0])
        size = config.image_size
        pixels = torch.randint(0, 256, (config.batch_size, 3, size, size), dtype=torch.uint8)
        labels = torch.arange(config.batch_size) % len(LABELS)
        batch = Batch(pixels.contiguous(memory_format=torch.channels_last), labels, labels)
        speeds = []
        for _ in range(words.repeats + 1):  # the first pass is not counted: the optimiser's state is made in it
            began = time.perf_counter()
            losses = [loop._step(prepared, optimizer, repeat(batch)) for _ in range(words.steps)]
            losses[-1].item()
            speeds.append(words.steps * config.batch_size / (time.perf_counter() - began))
        cuda = loop.accelerator.device.type == "cuda"
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes on Linux
        peak = torch.cuda.max_memory_allocated() if cuda else resident
        save_adapter(loop.model, Path(folder) / "adapter")
        files = list(Path(folder, "adapter").rglob("*"))
        trained = [parameter.numel() for parameter in loop.model.parameters() if parameter.requires_grad]
        return {
            "images_per_second": max(speeds[1:]),
            "slowest": min(speeds[1:]),
            "peak_memory_mb": peak / MEGABYTE,
            "trainable_parameters": sum(trained),
            "adapter_bytes": sum(file.stat().st_size for file in files if file.is_file()),
        }


def in_own_process(words: argparse.Namespace, way: str) -> dict[str, float | int]:
    """The same in a process that does nothing else."""
    command = [sys.executable, __file__, "--model", words.model, "--pretrained", words.pretrained, "--way", way]
    for name in ("image_size", "batch_size", "steps", "repeats"):
        command += [f"--{name}", str(getattr(words, name))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{way} could not be measured: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout.splitlines()[-1])


def benchmark(words: argparse.Namespace) -> None:
    """All ways in turn; prints a table and adds to the JSON file."""
    found: dict[str, Any] = {}
    print("| what trains | images/s | peak memory, MB | trained parameters | adapter, kB |\n|---|---|---|---|---|")
    for way in words.ways:
        one = found[way] = in_own_process(words, way)
        kilobytes = f"{one['adapter_bytes'] / 1e3:,.0f}" if one["adapter_bytes"] else ""
        numbers = f"{one['images_per_second']:.1f} | {one['peak_memory_mb']:,.0f} | {one['trainable_parameters']:,}"
        print(f"| {way} | {numbers} | {kilobytes} |", flush=True)
        if words.output:
            save(words, found)


def save(words: argparse.Namespace, found: dict[str, Any]) -> None:
    """Add what is known of the model so far to the JSON file, with the machine."""
    before = json.loads(words.output.read_text(encoding="utf-8")) if words.output.is_file() else {}
    about = {name: getattr(words, name) for name in ("image_size", "batch_size", "steps", "repeats")}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    machine = {
        "machine": cpu_name(),
        "device": device,
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "bf16_flags": sorted(cpu_flags() & BF16_FLAGS),
        "torch": torch.__version__,
    }
    name = words.model if device == "cpu" else f"{words.model} on {device}"
    write_json(words.output, before | {name: about | machine | {"ways": found}})


def main() -> int:
    """Parse the command line; see the module's description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="timm backbone")
    parser.add_argument("--pretrained", default="off", help="file of its weights; speed needs none (default off)")
    parser.add_argument("--image_size", type=int, default=224, help="side of the input, px (default 224)")
    parser.add_argument("--batch_size", type=int, default=16, help="images a step (default 16)")
    parser.add_argument("--steps", type=int, default=2, help="steps of a pass (default 2)")
    parser.add_argument("--repeats", type=int, default=3, help="passes that are timed (default 3)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="what to measure (default all)")
    parser.add_argument("--way", choices=WAYS, help="measure this one in this process and print it as JSON")
    parser.add_argument("--output", type=Path, help="JSON file for all figures")
    words = parser.parse_args()
    try:
        if words.way:
            print(json.dumps(measure(words)))
        else:
            benchmark(words)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
