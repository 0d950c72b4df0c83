"""Change one thing of a recipe at a time, with a small model in the place of its own, and say what each change does.

    python benchmarks/ablate.py --recipe resnet50-robust --data data/ablation/dfdc data/ablation/ciplab \
        --pretrained efficientnet-lite0-57934424.pth --teacher runs/teacher/checkpoint --output_dir runs/ablation

The test split of the data decides, so give sets of `flagship_data.py`'s folder `ablation`, in which it holds validation
images. With `--calibration_data` sources foreign to the data decide, by the mean AUC of their origins, which then also
chooses the epoch of each run. `--changes` takes a YAML file of one's own changes: options by what a change is called;
those called "the recipe" are of all runs. Each run is a process of its own; the same command goes on from where it was
stopped.
"""

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from hf_deepfake.config import DecisionConfig, build
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.combine import METHODS, combine
from hf_deepfake.files import make_folder, replacing, write_json
from hf_deepfake.metrics.foreign import mean_auc
from hf_deepfake.metrics.score_table import SCORES_FILE, load_scores
from hf_deepfake.recipe import read_recipe
from hf_deepfake.report.compare import Comparison, compare_candidates, holm, load_candidates
from hf_deepfake.report.foreign_difference import foreign_difference
from hf_deepfake.report.report import REPORT_FILE
from hf_deepfake.training.apart import train_apart
from hf_deepfake.training.calibration_data import CALIBRATION

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


def foreign_auc(scores: pd.DataFrame) -> dict[str, float]:
    """AUC on each foreign origin and, by the empty name, their mean."""
    parts = {"": scores} | {str(name): part for name, part in scores.groupby("origin")}
    return {name: mean_auc(part["score"], part["label"], part["origin"]) for name, part in parts.items()}


def foreign_results(checkpoints: dict[str, Path]) -> list[dict[str, Any]]:
    """What each change does to the mean AUC over foreign origins; p is corrected over the changes (Holm 1979)."""
    tables = {name: load_scores(folder / SCORES_FILE) for name, folder in checkpoints.items()}
    foreign = {name: table[table["split"] == CALIBRATION] for name, table in tables.items()}
    rows: list[dict[str, Any]] = []
    for name, table in tables.items():
        test = table[table["split"] == "test"]
        own = mean_auc(test["score"], test["label"], np.zeros(len(test)))
        rows.append({"change": name, "foreign_auc": foreign_auc(foreign[name]), "in_source_auc": own})
        if name != BASE:
            value, p = foreign_difference(foreign[name], foreign[BASE])
            rows[-1] |= {"difference": asdict(value), "text": str(value), "p": p}
    tested = [row for row in rows if row.get("p") is not None]
    for row, p in zip(tested, holm([row["p"] for row in tested]), strict=True):
        row["p_holm"] = p
    return rows


def foreign_table(rows: list[dict[str, Any]]) -> str:
    """The results as Markdown."""
    origins = [name for name in rows[0]["foreign_auc"] if name]
    head = ["change", "mean foreign AUC", *(f"on {name}" for name in origins), "difference", "p, corrected"]
    cells = [[*head, "AUC in-source"], ["---"] * (len(head) + 1)]
    for row in rows:
        numbers = [f"{row['foreign_auc'][name]:.3f}" for name in ["", *origins]]
        p = f"{row['p_holm']:.2g}" if "p_holm" in row else ""
        cells.append([row["change"], *numbers, row.get("text", ""), p, f"{row['in_source_auc']:.3f}"])
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def keep(folder: Path, text: str, found: dict[str, Any]) -> int:
    """Write the table and all that was found, and show the table; 0, for the shell."""
    with replacing(folder / "table.md") as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    write_json(folder / "ablation.json", found)
    print("\n" + text)
    return 0


def read_changes(file: Path) -> dict[str, dict[str, Any]]:
    """Options by what a change is called."""
    try:
        changes = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{file} cannot be read as YAML ({type(error).__name__}); give a file of changes") from error
    if not isinstance(changes, dict) or not all(isinstance(change, dict) for change in changes.values()):
        raise InputError(
            f'{file} is no mapping from what a change is called to its options; write such as "no flip": {{flip: 0}}'
        )
    return changes


def main() -> int:
    """Parse the command line; see the module's description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", required=True, help="what is taken apart")
    parser.add_argument("--data", required=True, nargs="+", help="sets whose test split holds validation images")
    parser.add_argument("--pretrained", required=True, help="pretrained weights of the model that stands in")
    parser.add_argument("--calibration_data", nargs="+", help="foreign sources, which then decide")
    parser.add_argument("--changes", type=Path, metavar="YAML", help="changes in place of those of the flagship")
    parser.add_argument("--teacher", metavar="CHECKPOINT", help="for the change that adds one")
    parser.add_argument("--output_dir", required=True, type=Path, help="folder for the runs and the table")
    words = parser.parse_args()
    given = {"data": words.data, "pretrained": words.pretrained}
    try:
        changes = read_changes(words.changes) if words.changes else CHANGES
        if words.calibration_data:
            given |= {"calibration_data": words.calibration_data, "monitor": "foreign_auc"}
        base = read_recipe(words.recipe).options | STAND_IN | given | changes.get(BASE, {})
        runs = {BASE: {}} | {name: change for name, change in changes.items() if name != BASE}
        if words.teacher:
            runs["a teacher for half of each target"] = {"teacher": [words.teacher]}
        folders = {name: make_folder(words.output_dir) / str(place) for place, name in enumerate(runs)}
        for name, change in runs.items():
            if not (folders[name] / "checkpoint" / REPORT_FILE).exists():
                print(f"\n{name}", flush=True)
                train_apart(base | change | {"output_dir": str(folders[name])})
        checkpoints = {name: folder / "checkpoint" for name, folder in folders.items()}
        if words.calibration_data:
            rows = foreign_results(checkpoints)
            return keep(words.output_dir, foreign_table(rows), {"runs": rows})
        decision = build(DecisionConfig, {"data": words.data})
        log_odds, weights = METHODS
        combined = {
            "mirrored images evaluated too": ([BASE], log_odds, True),
            "weights of two seeds averaged": ([BASE, "another seed"], weights, False),
        }
        for name, (parts, method, flip) in combined.items():
            if not set(parts) <= set(checkpoints):  # of changes of one's own
                continue
            checkpoints[name] = words.output_dir / name.replace(" ", "_")
            if not (checkpoints[name] / REPORT_FILE).exists():
                combine(
                    [str(checkpoints[part]) for part in parts], decision, checkpoints[name], method=method, flip=flip
                )
        found = load_candidates(list(checkpoints.values()))
        named = [replace(one, name=name) for one, name in zip(found, checkpoints, strict=True)]
        comparison = compare_candidates(named, BASE)
        return keep(words.output_dir, table(comparison), comparison.to_dict())
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
