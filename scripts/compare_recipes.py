"""Train recipes on the same pictures for the same number of epochs, and compare what comes out.

    python scripts/compare_recipes.py --data dfdc-faces.zip --output_dir runs/recipes --pictures 1600 --epochs 2
    python scripts/compare_recipes.py ... --recipes compact-cnn resnet50-frozen --weights resnet50=resnet50.pth

Each recipe keeps its net, picture size, batches, augmentation, rates and weights of classes; what is the same for all
is the data, the pictures of an epoch and the number of epochs. A recipe that trains its classifier alone does so all
the time, and one with two stages for one epoch. Without --weights a net starts from random weights, since those of
ImageNet come from the Hub. The same command goes on from where it was stopped.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hf_deepfake.config import DataConfig, TrainConfig, build
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.compare import Comparison, compare, load_candidates
from hf_deepfake.evaluation.evaluate import load_split, score
from hf_deepfake.evaluation.figures import comparison_figure, save_figure
from hf_deepfake.evaluation.report import REPORT_FILE, Report
from hf_deepfake.files import make_folder, replacing, write_json
from hf_deepfake.models.checkpoint import load_checkpoint
from hf_deepfake.recipe import read_recipe, recipe_names

LEFT_OUT = ("demo",)
"""The recipe of the drawn pictures is no system to compare."""

TIMED = 64
"""Test pictures on which serving is timed, from files to scores, in float32."""


def shared_budget(options: dict[str, Any], epochs: int, pictures: int) -> dict[str, int]:
    """Options that give a recipe the budget of all others.

    Args:
        options: the recipe's.
        epochs: of both stages together.
        pictures: of an epoch.

    Returns:
        Epochs of each stage, and steps of an epoch.
    """
    head = 0
    if options.get("head_epochs"):
        head = 1 if options.get("epochs", 1) else epochs
    steps = pictures // options.get("batch_size", TrainConfig.batch_size)
    return {"head_epochs": head, "epochs": epochs - head, "steps_per_epoch": max(steps, 1)}


def train(name: str, folder: Path, words: argparse.Namespace) -> None:
    """Train a recipe in a process of its own, or go on with it."""
    options = read_recipe(name).options
    options |= shared_budget(options, words.epochs, words.pictures)
    options |= {"data": [words.data], "output_dir": str(folder), "explained": 0, "audit": "off"}
    options["pretrained"] = words.weights.get(options["model"], "off")
    build(TrainConfig, options)
    command = [sys.executable, "-m", "hf_deepfake.cli.main", "train"]
    for key, value in options.items():
        if isinstance(value, bool):
            command += [f"--{key}"] if value else []
        else:
            command += [f"--{key}", *map(str, value if isinstance(value, list) else [value])]
    command += ["--resume"] if (folder / "run.json").exists() else []
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise InputError(f"{name} stopped with exit code {done.returncode}; mend it and give the same command again")


def serving_speed(checkpoint: Path, data: str) -> float:
    """Images a second from files to scores, the second of two passes."""
    pictures = load_split(DataConfig(data=(data,)), "test")[0]["test"]
    pictures = pictures.select(range(min(TIMED, len(pictures))))
    loaded = load_checkpoint(checkpoint)
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        score(loaded, pictures)
        seconds = time.perf_counter() - began
    return len(pictures) / seconds


def describe(name: str, checkpoint: Path, speed: float) -> dict[str, Any]:
    """What the table says of a recipe."""
    report = Report.load(checkpoint / REPORT_FILE)
    epochs, options = report.training["epochs"], report.training["options"]
    return {
        "recipe": name,
        "start": "random" if options["pretrained"] == "off" else options["pretrained"],
        "image_size": report.checkpoint.image_size,
        "parameters": report.checkpoint.parameters,
        "megabytes": (checkpoint / "model.safetensors").stat().st_size / 1e6,
        "training_images_per_second": epochs[-1]["images_per_second"],
        "serving_images_per_second": speed,
    }


def table(rows: list[dict[str, Any]], comparison: Comparison, best: str) -> str:
    """The recipes by AUC, as Markdown, and what can be said of each against the best."""
    rows = sorted(rows, key=lambda row: -(comparison.results[row["recipe"]].metrics["auc"].value or 0))
    head = ["recipe", "AUC", "accuracy", "AUC below the best", "start", "px", "M weights", "MB", "training", "serving"]
    cells = [head, ["---"] * len(head)]
    for row in rows:
        name, metrics = row["recipe"], comparison.results[row["recipe"]].metrics
        cells.append(
            [
                name,
                str(metrics["auc"]),
                str(metrics["accuracy"]),
                "" if name == best else _below(comparison, best, name),
                row["start"],
                str(row["image_size"]),
                f"{row['parameters'] / 1e6:.1f}",
                f"{row['megabytes']:.0f}",
                f"{row['training_images_per_second']:.1f}",
                f"{row['serving_images_per_second']:.1f}",
            ]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def _below(comparison: Comparison, best: str, name: str) -> str:
    """By how much one lies below the best, and whether that is a difference."""
    (one,) = (one for one in comparison.differences if one.metric == "auc" and name in {one.first, one.second})
    sign = 1 if one.first == best else -1
    ends = sorted(sign * (end or 0) for end in (one.value.low, one.value.high))
    shown = "" if one.verdict in {"better", "worse"} else " (no difference shown)"
    return f"{sign * (one.value.value or 0):.3f} [{ends[0]:.3f}, {ends[1]:.3f}]{shown}"


def main() -> int:
    """Parse the command line; see the module's description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [name for name in recipe_names() if name not in LEFT_OUT]
    parser.add_argument("--data", required=True, help="any source of hf-deepfake")
    parser.add_argument("--output_dir", required=True, type=Path, help="folder for the runs and the table")
    parser.add_argument("--recipes", nargs="+", default=known, metavar="NAME", help="default: all systems")
    parser.add_argument("--pictures", type=int, default=1600, help="pictures of an epoch (default 1600)")
    parser.add_argument("--epochs", type=int, default=2, help="epochs of both stages together (default 2)")
    parser.add_argument("--weights", nargs="+", default=[], metavar="MODEL=FILE", help="start weights by timm name")
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
            rows.append(describe(name, checkpoint, serving_speed(checkpoint, words.data)))
            folders.append(checkpoint)
        candidates = load_candidates(folders)
        best = max(candidates, key=lambda one: one.result.metrics["auc"].value or 0).name
        comparison = compare(candidates, best)
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
