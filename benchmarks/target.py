"""Measure how long training takes to reach a given validation AUC, ours against the transformers example's way.

    python benchmarks/target.py --data faces.zip --pretrained WEIGHTS --out ours.json
    python benchmarks/target.py --data faces.zip --pretrained WEIGHTS --way theirs --out theirs.json
    python benchmarks/target.py --draw ours.json theirs.json --out target.json --figure target.png

Each way trains the same model from the same weights for as many steps, with the same peak learning rate; validation is
scored a few times an epoch, outside the clock. To run two ways side by side, give each a core of its own.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from datasets import DatasetDict
from matplotlib.figure import Figure
from peers import transformers_example

from hf_deepfake.config import DataConfig, TrainConfig, build
from hf_deepfake.data.load import prepare
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.inference import predict_logits
from hf_deepfake.files import write_json
from hf_deepfake.machine import cpu_name, usable_cores
from hf_deepfake.metrics.calibration import fake_probability
from hf_deepfake.metrics.classification import compute_metrics
from hf_deepfake.models.build import build_model, data_config
from hf_deepfake.recipe import read_recipe
from hf_deepfake.report.figures import save_figure
from hf_deepfake.training.device import make_accelerator
from hf_deepfake.training.loop import Loop
from hf_deepfake.training.resume import RunFolder

CHECKS = 4
"""Looks at the validation split an epoch."""

Curve = list[tuple[float, float]]
"""Seconds of training so far, and the validation AUC then."""


def ours(config: TrainConfig, data: DatasetDict) -> Curve:
    """The package's own loop, validated after each of its epochs."""
    run = RunFolder.open(config)
    run.clear()
    model = build_model(config.model, image_size=config.image_size, pretrained=config.pretrained)
    loop = Loop(config, make_accelerator(config), run, model, data, data_config(model, config.image_size))
    loop.fit()
    curve, seconds = [], 0.0
    for entry in loop.position.history:
        seconds += entry["seconds"]
        curve.append((seconds, entry["auc"]))
    return curve


def theirs(config: TrainConfig, data: DatasetDict) -> Curve:
    """The example's way, validated as often."""
    curve: Curve = []
    seconds = 0.0
    number = config.steps_per_epoch or 1
    steps = transformers_example(config, data["train"], config.workers or 0, config.epochs * number)
    validation = data["validation"]
    for _ in range(config.epochs):
        began = time.perf_counter()
        for _step in range(number):
            model = next(steps)
        seconds += time.perf_counter() - began
        logits = predict_logits(model, validation, data_config(model, config.image_size), config.workers or 0, "no")
        value = compute_metrics(fake_probability(logits), validation["label"])["auc"] or 0.0
        curve.append((seconds, value))
        print(f"{seconds:7.0f} s  AUC {curve[-1][1]:.3f}", flush=True)
    return curve


def measure(words: argparse.Namespace) -> dict[str, Any]:
    """Train one way."""
    data, _ = prepare(DataConfig(data=(words.data,)))
    steps = max(1, len(data["train"]) // 32 // CHECKS)
    with tempfile.TemporaryDirectory() as folder:
        recipe = read_recipe("small").options
        chosen = {"data": words.data, "output_dir": f"{folder}/run", "pretrained": words.pretrained}
        chosen |= {"epochs": CHECKS * words.epochs, "steps_per_epoch": steps, "workers": words.workers}
        config = build(
            TrainConfig, recipe, chosen, {"initial_image_size": words.initial_image_size, "model": words.model}
        )
        curve = theirs(config, data) if words.way == "theirs" else ours(replace(config, overwrite=True), data)
    name = "transformers' example" if words.way == "theirs" else "ours"
    if words.initial_image_size:
        name += f", {words.initial_image_size} px growing to {config.image_size}"
    return {"name": name, "model": config.model, "steps": CHECKS * words.epochs * steps, "curve": curve}


def reached(curve: Curve, target: float) -> float | None:
    """Seconds at which the AUC is reached, on the line between two looks; None if it never is, 0 for chance or less."""
    if target <= 0.5:
        return 0.0
    for (before, low), (after, high) in pairwise([(0.0, 0.5), *curve]):
        if high >= target:
            return before + (after - before) * (target - low) / (high - low)
    return None


def draw(runs: list[dict[str, Any]], target: float) -> Figure:
    """AUC over minutes of training."""
    figure, axis = plt.subplots(figsize=(7, 3.8), layout="constrained")
    for run, marker in zip(runs, "os^Dv", strict=False):
        seconds, values = zip(*run["curve"], strict=True)
        axis.plot([one / 60 for one in seconds], values, marker=marker, label=run["name"])
    axis.axhline(target, color="grey", linestyle=":", linewidth=1)
    axis.set(xlabel="minutes of training", ylabel="validation AUC", xlim=(0, None))
    axis.legend(frameon=False, loc="lower right")
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def compare(words: argparse.Namespace) -> dict[str, Any]:
    """Hold the ways against the example's best AUC, which it reaches last."""
    runs = [json.loads(Path(file).read_text(encoding="utf-8")) for file in words.draw]
    (example,) = (run for run in runs if run["name"].startswith("transformers"))
    target = max(value for _, value in example["curve"])
    slowest = reached(example["curve"], target) or 0.0
    for run in runs:
        run["seconds_to_target"] = reached(run["curve"], target)
        seconds = run["seconds_to_target"]
        share = f", {seconds / slowest:.2f} of the example's time" if seconds is not None and slowest else ""
        said = "never" if seconds is None else f"{seconds:.0f} s{share}"
        print(f"{run['name']}: AUC {target:.3f} after {said}; best {max(value for _, value in run['curve']):.3f}")
    if words.figure:
        save_figure(draw(runs, target), words.figure)
    return {"machine": f"{cpu_name()}, a core of its own for each way", "target_auc": target, "ways": runs}


def main() -> int:
    """Parse the command line; see the module's description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="", help="any source of hf-deepfake")
    parser.add_argument("--way", choices=("ours", "theirs"), default="ours", help="what trains (default ours)")
    parser.add_argument("--model", default="tf_efficientnet_lite0", help="timm backbone (default that of small)")
    parser.add_argument("--pretrained", default="off", help="pretrained weights")
    parser.add_argument("--initial_image_size", type=int, help="ours: side of the first images, px")
    parser.add_argument("--epochs", type=int, default=2, help="passes over the data (default 2)")
    parser.add_argument("--workers", type=int, default=usable_cores(), help="of the loader (default one per core)")
    parser.add_argument("--draw", nargs="+", metavar="JSON", help="compare results instead of training")
    parser.add_argument("--figure", type=Path, help="PNG of the curves")
    parser.add_argument("--out", type=Path, required=True, help="JSON file")
    words = parser.parse_args()
    try:
        write_json(words.out, compare(words) if words.draw else measure(words))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
