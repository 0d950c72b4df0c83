"""Change one thing of a recipe at a time, with a small model in the place of its own, and say what each change does.

    python benchmarks/ablate.py --recipe resnet50-robust --data data/ablation/dfdc data/ablation/ciplab \
        --pretrained efficientnet-lite0-57934424.pth --teacher runs/teacher/checkpoint --output_dir runs/ablation

The test split of the data decides, so give sets of `flagship_data.py`'s folder `ablation`, in which it holds validation
images. Each run is a process of its own; the same command goes on from where it was stopped.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from hf_deepfake.config import DecisionConfig, build
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.combine import METHODS, combine
from hf_deepfake.files import make_folder, replacing, write_json
from hf_deepfake.recipe import read_recipe
from hf_deepfake.report.compare import Comparison, compare, load_candidates
from hf_deepfake.report.report import REPORT_FILE
from hf_deepfake.training.apart import train_apart

BASE = "the recipe"

STAND_IN = {
    "model": "tf_efficientnet_lite0",
    "image_size": 96,
    "epochs": 2,
    "steps_per_epoch": 100,
    "batch_size": 32,
    "lr": 7e-4,
    "save_fp16": False,
    "explained": 0,
    "audit": "off",
}
"""What makes a run short enough for ten of them on a CPU; none of it is what is asked."""

CHANGES: dict[str, dict[str, Any]] = {
    "another seed": {"seed": 1},
    "images shuffled, not in pairs": {"sampling": "shuffle"},
    "no degradations": {"degrade": 0},
    "no averaged weights (EMA)": {"ema": None},
    "origins as large as they are": {"origin_sampling_alpha": 0.0},
    "all fakes self-blended": {"self_blend": 1.0},
    "half of the fakes self-blended": {"self_blend": 0.5},
}
"""Single changes, by what the table calls them."""


def table(comparison: Comparison) -> str:
    """What each change does to the AUC on all images and on each source, as Markdown."""
    sources = sorted(comparison.matrix[BASE])
    head = ["change", "AUC", *(f"on {source}" for source in sources), "AUC minus the recipe's", "p, corrected"]
    cells = [head, ["---"] * len(head)]
    differences = {one.second: one for one in comparison.differences if one.metric == "auc"}
    for name, result in comparison.results.items():
        row = [name, str(result.metrics["auc"]), *(str(comparison.matrix[name][source]) for source in sources)]
        if name == BASE:
            cells.append([*row, "", ""])
            continue
        one = differences[name]
        cells.append([*row, str(-one.value), "" if one.p_holm is None else f"{one.p_holm:.2g}"])
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def main() -> int:
    """Parse the command line; see the module's description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", required=True, help="what is taken apart")
    parser.add_argument("--data", required=True, nargs="+", help="sets whose test split holds validation images")
    parser.add_argument("--pretrained", required=True, help="pretrained weights of the model that stands in")
    parser.add_argument("--teacher", required=True, metavar="CHECKPOINT", help="for the change that adds one")
    parser.add_argument("--output_dir", required=True, type=Path, help="folder for the runs and the table")
    words = parser.parse_args()
    given = {"data": words.data, "pretrained": words.pretrained}
    try:
        base = read_recipe(words.recipe).options | STAND_IN | given
        runs = {BASE: {}} | CHANGES | {"a teacher for half of each target": {"teacher": words.teacher}}
        folders = {name: make_folder(words.output_dir) / str(place) for place, name in enumerate(runs)}
        for name, change in runs.items():
            if not (folders[name] / "checkpoint" / REPORT_FILE).exists():
                print(f"\n{name}", flush=True)
                train_apart(base | change | {"output_dir": str(folders[name])})
        checkpoints = {name: folder / "checkpoint" for name, folder in folders.items()}
        decision = build(DecisionConfig, {"data": words.data})
        log_odds, weights = METHODS
        combined = {
            "mirrored images evaluated too": ([BASE], log_odds, True),
            "weights of two seeds averaged": ([BASE, "another seed"], weights, False),
        }
        for name, (parts, method, flip) in combined.items():
            checkpoints[name] = words.output_dir / name.replace(" ", "_")
            if not (checkpoints[name] / REPORT_FILE).exists():
                combine(
                    [str(checkpoints[part]) for part in parts], decision, checkpoints[name], method=method, flip=flip
                )
        found = load_candidates(list(checkpoints.values()))
        comparison = compare([replace(one, name=name) for one, name in zip(found, checkpoints, strict=True)], BASE)
        text = table(comparison)
        with replacing(words.output_dir / "table.md") as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
        write_json(words.output_dir / "ablation.json", comparison.to_dict())
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n" + text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
