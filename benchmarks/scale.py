"""Measure how time and memory grow with the number of images.

    python benchmarks/scale.py --folder /tmp/scale --output benchmarks/scale.json --figure docs/scale.png

Images are drawn at random, all different, 64 px, half of them real; the smaller sets are hard links to some of the
largest's. Each command is a new process with a fresh cache, as a user starts it, with an untrained model so small that
what is measured is everything but the model. Memory is the largest sum over the process and those it starts of what
they hold in RAM, looked at five times a second; pages that they share count for each.
"""

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import psutil
import torch
from matplotlib.figure import Figure
from PIL import Image
from tqdm import tqdm

from hf_deepfake.config import LABELS
from hf_deepfake.errors import InputError
from hf_deepfake.files import make_folder, write_json
from hf_deepfake.machine import cpu_name, usable_cores
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint
from hf_deepfake.report.figures import save_figure

SIDE = 64
"""Side of the images, px: a small image shows what each costs besides its pixels."""

CODE = "import sys; from hf_deepfake.cli.main import main; sys.exit(main(sys.argv[1:]))"


def draw_tree(folder: Path, count: int) -> None:
    """`count` smooth random images in `folder/real` and `folder/fake`, unless they are there."""
    random = np.random.default_rng(0)
    for label in LABELS:
        make_folder(folder / label)
    for number in tqdm(range(count), desc="drawing", unit=" images", disable=None):
        coarse = random.integers(0, 256, (9, 9, 3), np.uint8)
        place = folder / LABELS[number % 2] / f"{number:06d}.jpg"
        if not place.exists():
            Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(place, quality=85)


def link_tree(largest: Path, folder: Path, count: int) -> None:
    """The first `count` images of the largest set, as hard links."""
    for label in LABELS:
        make_folder(folder / label)
    for number in range(count):
        place = Path(LABELS[number % 2]) / f"{number:06d}.jpg"
        if not (folder / place).exists():
            os.link(largest / place, folder / place)


def measure(words: Sequence[str], cache: Path) -> dict[str, float]:
    """Seconds of a command in a new process, and the most memory that it and its children hold, in MB."""
    began, most = time.perf_counter(), 0
    environment = os.environ | {"HF_DEEPFAKE_CACHE": str(cache)}
    process = psutil.Popen(
        [sys.executable, "-c", CODE, *words], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    while process.poll() is None:
        most = max(most, _resident(process))
        time.sleep(0.2)
    if process.returncode:
        raise InputError(f"hf-deepfake {words[0]} failed: {process.stderr.read().decode()[-500:]}")
    return {"seconds": round(time.perf_counter() - began, 2), "megabytes": round(most / 1e6)}


def _resident(process: psutil.Process) -> int:
    """Bytes in RAM of a process and those below it; some may end meanwhile."""
    total = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def commands(tree: Path, checkpoint: Path, out: Path) -> dict[str, list[str]]:
    """What is measured, by name; `out` is an empty folder."""
    data, model = str(tree), str(checkpoint)
    return {
        "index": ["data", data],
        "audit, basic": ["audit", data, "--level", "basic", "--out", str(out / "basic")],
        "audit, full": ["audit", data, "--out", str(out / "full")],
        "predict": ["predict", data, "--checkpoint", model, "--json", "--out", str(out / "verdicts.jsonl")],
        "evaluate": ["evaluate", model, data, "--split", "all", "--out", str(out / "evaluated")],
    }


def slopes(sizes: Sequence[int], values: Sequence[float]) -> list[float]:
    """Exponents between neighbours: 1 is linear, 0 constant."""
    return [
        round(float(np.log(after / before) / np.log(more / fewer)), 2)
        for (fewer, more), (before, after) in zip(itertools.pairwise(sizes), itertools.pairwise(values), strict=True)
    ]


def draw(sizes: Sequence[int], figures: dict[str, dict[str, list[float]]]) -> Figure:
    """Time and memory over the number of images, all axes logarithmic."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    for axis, quantity, unit in zip(axes, ("seconds", "megabytes"), ("seconds", "MB"), strict=True):
        for marker, (name, values) in zip("os^Dv", figures.items(), strict=False):
            axis.plot(sizes, values[quantity], marker=marker, label=f"{name}, slope {values[quantity + '_slopes'][-1]}")
        axis.set(xscale="log", yscale="log", xlabel="images", ylabel=unit)
        axis.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
        axis.spines[["top", "right"]].set_visible(False)
    axes[1].set_ylim(100, 10_000)
    return figure


def main() -> int:
    """Parse the command line; see the module's description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="for the images, kept, and what is made of them")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="numbers of images")
    parser.add_argument("--output", type=Path, help="JSON file")
    parser.add_argument("--figure", type=Path, help="PNG")
    words = parser.parse_args()
    sizes = sorted(words.sizes)
    try:
        torch.manual_seed(0)
        model = build_model("test_resnet", image_size=32, pretrained="off").eval()
        checkpoint = words.folder / "checkpoint"
        if not checkpoint.exists():
            export_checkpoint(model, checkpoint, image_size=32)
        largest = words.folder / str(sizes[-1])
        draw_tree(largest, sizes[-1])
        measured: dict[str, list[dict[str, float]]] = {}
        for size in sizes:
            tree, out = words.folder / str(size), words.folder / f"out-{size}"
            link_tree(largest, tree, size)
            shutil.rmtree(out, ignore_errors=True)
            make_folder(out)
            for name, command in commands(tree, checkpoint, out).items():
                measured.setdefault(name, []).append(found := measure(command, out / "cache" / name))
                print(f"{name:14}{size:9,}{found['seconds']:10.1f} s{found['megabytes']:9,} MB", flush=True)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    figures: dict[str, dict[str, Any]] = {}
    for name, rows in measured.items():
        columns = {quantity: [row[quantity] for row in rows] for quantity in ("seconds", "megabytes")}
        figures[name] = columns | {f"{key}_slopes": slopes(sizes, values) for key, values in columns.items()}
        print(f"{name:14} slopes: seconds {figures[name]['seconds_slopes']}, MB {figures[name]['megabytes_slopes']}")
    if words.output:
        write_json(words.output, {"machine": f"{usable_cores()} x {cpu_name()}", "sizes": sizes, "commands": figures})
    if words.figure:
        save_figure(draw(sizes, figures), words.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
