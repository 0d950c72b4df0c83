"""Train recipes on the same data with the same budget, and compare what comes out.

    python benchmarks/compare_recipes.py --data dfdc-faces.zip --output_dir runs/recipes --images 1600 --epochs 2
    python benchmarks/compare_recipes.py --data dfdc/ ciplab/ --output_dir runs/recipes --minutes 5 --also runs/mine
    python benchmarks/compare_recipes.py ... --recipes compact-cnn resnet50-frozen --weights resnet50=resnet50.pth

Each recipe keeps its model, image size, batches, augmentation, rates and weights of classes; what is the same for all
is the data, the number of epochs, and the images of an epoch or the time of training. A recipe that trains its
classifier alone does so all the time, and one with two stages for one epoch. --also puts runs beside them that were
trained on the same data otherwise. Without --weights a model starts from random weights, since those of
ImageNet come from the Hub. The same command goes on from where it was stopped.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from hf_deepfake.config import LABELS, DataConfig, TrainConfig, build
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.evaluate import load_split
from hf_deepfake.evaluation.scorers import score
from hf_deepfake.files import make_folder, replacing, write_json
from hf_deepfake.models.build import build_model, freeze_statistics, unfreeze
from hf_deepfake.models.checkpoint import checkpoint_name, load_checkpoint
from hf_deepfake.recipe import read_recipe, recipe_names
from hf_deepfake.report.compare import Comparison, compare_candidates, load_candidates
from hf_deepfake.report.figures import comparison_figure, save_figure
from hf_deepfake.report.report import REPORT_FILE, Report
from hf_deepfake.training.apart import train_apart
from hf_deepfake.training.device import make_accelerator
from hf_deepfake.training.stages import make_optimizer, plan_stages

LEFT_OUT = ("demo",)
"""The recipe of the drawn images is no system to compare."""

TIMED = 64
"""Test images on which serving is timed, from files to scores, in float32."""

PROBE_STEPS = 4
"""Steps on noise from which a recipe's speed is known; the fastest counts."""


def shared_budget(options: dict[str, Any], epochs: int, images: int) -> dict[str, int]:
    """Options that give a recipe the budget of all others.

    Args:
        options: the recipe's.
        epochs: of both stages together.
        images: of an epoch.

    Returns:
        Epochs of each stage, and steps of an epoch.
    """
    head = 0
    if options.get("head_epochs"):
        head = 1 if options.get("epochs", 1) else epochs
    steps = images // options.get("batch_size", TrainConfig.batch_size)
    return {"head_epochs": head, "epochs": epochs - head, "steps_per_epoch": max(steps, 1)}


def images_in(config: TrainConfig, minutes: float) -> int:
    """Images that an epoch can have so that a run's steps take some minutes, from steps on noise.

    Args:
        config: the run, with the epochs that it shall have.
        minutes: of all epochs together, without validation.

    Returns:
        How many; what decoding costs beside the model is not counted, so that runs last a little longer.
    """
    accelerator = make_accelerator(config)
    timm_model = build_model(config.model, image_size=config.image_size, drop_rate=config.drop_rate, pretrained="off")
    timm_model = timm_model.to(accelerator.device, memory_format=torch.channels_last)  # ty: ignore[no-matching-overload]
    pixels = torch.randn(config.batch_size, 3, config.image_size, config.image_size, device=accelerator.device)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(config.batch_size, device=accelerator.device) % len(LABELS)
    seconds = 0.0
    for stage in plan_stages(replace(config, steps_per_epoch=1), config.batch_size):
        unfreeze(timm_model, stage.last_blocks)
        model, optimizer = accelerator.prepare(timm_model, make_optimizer(timm_model, stage, config))
        times = []
        for _ in range(PROBE_STEPS):
            began = time.perf_counter()
            model.train()
            freeze_statistics(timm_model, config.freeze_batchnorm)
            accelerator.backward(functional.cross_entropy(model(pixels).float(), labels))
            optimizer.step()
            optimizer.zero_grad()
            times.append(time.perf_counter() - began)
        seconds += stage.epochs * min(times) / config.batch_size
        accelerator.unwrap_model(model, keep_fp32_wrapper=False)
        accelerator.free_memory()
    return int(60 * minutes / seconds)


def train(name: str, folder: Path, words: argparse.Namespace) -> None:
    """Train a recipe in a process of its own, or go on with it."""
    options = read_recipe(name).options
    options |= {"data": words.data, "output_dir": str(folder), "explained": 0, "audit": "off"}
    options["pretrained"] = words.weights.get(options["model"], "off")
    options |= shared_budget(options, words.epochs, words.images)
    record = folder / "run.json"
    if record.exists():
        options["steps_per_epoch"] = json.loads(record.read_text(encoding="utf-8"))["options"]["steps_per_epoch"]
    elif words.minutes:
        options |= shared_budget(options, words.epochs, images_in(build(TrainConfig, options), words.minutes))
    train_apart(options)


def serving_speed(checkpoint: Path, data: list[str]) -> float:
    """Images a second from files to scores, the second of two passes."""
    images = load_split(DataConfig(data=tuple(data)), "test")[0]["test"]
    images = images.select(range(min(TIMED, len(images))))
    loaded = load_checkpoint(checkpoint)
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        score(loaded, images)
        seconds = time.perf_counter() - began
    return len(images) / seconds


def describe(name: str, checkpoint: Path, speed: float) -> dict[str, Any]:
    """What the table says of a recipe."""
    report = Report.load(checkpoint / REPORT_FILE)
    epochs, options = report.training["epochs"], report.training["options"]
    batches = sum(round(one["seconds"] * one["images_per_second"] / options["batch_size"]) for one in epochs)
    return {
        "recipe": name,
        "start": "random" if options["pretrained"] == "off" else options["pretrained"],
        "image_size": report.checkpoint.image_size,
        "parameters": report.checkpoint.parameters,
        "megabytes": (checkpoint / "model.safetensors").stat().st_size / 1e6,
        "images": batches * options["batch_size"],
        "training_images_per_second": epochs[-1]["images_per_second"],
        "training_minutes": sum(epoch["seconds"] for epoch in epochs) / 60,
        "serving_images_per_second": speed,
    }


def table(rows: list[dict[str, Any]], comparison: Comparison, best: str) -> str:
    """The recipes by AUC, as Markdown, and what can be said of each against the best."""
    rows = sorted(rows, key=lambda row: -(comparison.results[row["recipe"]].metrics["auc"].value or 0))
    cells_of = {row["recipe"]: comparison.matrix[row["recipe"]] for row in rows}
    sources = sorted(set.intersection(*map(set, cells_of.values())))
    sources = sources if len(sources) > 1 else []  # of one source, its AUC is said already
    head = ["recipe", "AUC", *(f"on {source}" for source in sources), "accuracy", "AUC below the best", "start", "px"]
    head += ["M weights", "MB", "images", "minutes", "training", "serving"]
    cells = [head, ["---"] * len(head)]
    for row in rows:
        name, metrics = row["recipe"], comparison.results[row["recipe"]].metrics
        cells.append(
            [
                name,
                str(metrics["auc"]),
                *(str(cells_of[name][source]) for source in sources),
                str(metrics["accuracy"]),
                "" if name == best else _below(comparison, best, name),
                row["start"],
                str(row["image_size"]),
                f"{row['parameters'] / 1e6:.1f}",
                f"{row['megabytes']:.0f}",
                f"{row['images']:,}",
                f"{row['training_minutes']:.1f}",
                f"{row['training_images_per_second']:.1f}",
                f"{row['serving_images_per_second']:.1f}",
            ]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def _below(comparison: Comparison, best: str, name: str) -> str:
    """By how much one lies below the best, and whether that is a difference."""
    (one,) = (one for one in comparison.differences if one.metric == "auc" and name in {one.first, one.second})
    shown = "" if one.verdict in {"better", "worse"} else " (no difference shown)"
    return f"{one.value if one.first == best else -one.value}{shown}"


def main() -> int:
    """Parse the command line; see the module's description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [name for name in recipe_names() if name not in LEFT_OUT]
    parser.add_argument("--data", required=True, nargs="+", help="any sources of hf-deepfake")
    parser.add_argument("--output_dir", required=True, type=Path, help="folder for the runs and the table")
    parser.add_argument("--recipes", nargs="+", default=known, metavar="NAME", help="default: all systems")
    parser.add_argument("--images", type=int, default=1600, help="images of an epoch (default 1600)")
    parser.add_argument("--minutes", type=float, help="of training steps, in place of a number of images")
    parser.add_argument(
        "--also", nargs="+", default=[], type=Path, metavar="DIR", help="checkpoints to put beside them"
    )
    parser.add_argument("--epochs", type=int, default=2, help="epochs of both stages together (default 2)")
    parser.add_argument(
        "--weights", nargs="+", default=[], metavar="MODEL=FILE", help="pretrained weights by timm name"
    )
    words = parser.parse_args()
    words.weights = dict(pair.partition("=")[::2] for pair in words.weights)
    try:
        make_folder(words.output_dir)
        rows, folders = [], []
        for name in words.recipes:
            folder = words.output_dir / name
            checkpoint = folder / "checkpoint"
            if not (checkpoint / REPORT_FILE).exists():
                print(f"\n{name}", flush=True)
                train(name, folder, words)
            folders.append(checkpoint)
        folders += [run / "checkpoint" for run in words.also]
        for checkpoint in folders:
            rows.append(describe(checkpoint_name(checkpoint), checkpoint, serving_speed(checkpoint, words.data)))
        candidates = load_candidates(folders)
        best = max(candidates, key=lambda one: one.result.metrics["auc"].value or 0).name
        comparison = compare_candidates(candidates, best)
        text = table(rows, comparison, best)
        with replacing(words.output_dir / "table.md") as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
        write_json(words.output_dir / "comparison.json", {"recipes": rows} | comparison.to_dict())
        save_figure(comparison_figure(comparison.results), words.output_dir / "comparison.png")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n" + text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
