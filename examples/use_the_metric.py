"""Measure scores that were saved, with an interval on every number, through the `evaluate` module.

    python examples/use_the_metric.py runs/demo/scores.parquet

A training run leaves `scores.parquet`; any other table with the columns split, label, score (P(fake)) and group
(who or what is in the image, empty where that is not known) will do.
"""

import argparse
from importlib.resources import files
from typing import Any

import evaluate
import pandas as pd


def main() -> None:
    """Print the metrics of the test split with their intervals."""
    parser = argparse.ArgumentParser(description="Measure saved scores.")
    parser.add_argument("scores", help="parquet file")
    parser.add_argument("--threshold", type=float, default=0.5, help="score from which an image counts as fake")
    given = parser.parse_args()

    table = pd.read_parquet(given.scores)
    test = table[table["split"] == "test"]
    metric: Any = evaluate.load(str(files("hf_deepfake") / "deepfake_metric"))
    result = metric.compute(
        predictions=test["score"].tolist(),
        references=test["label"].tolist(),
        threshold=given.threshold,
        intervals=True,
        groups=test["group"].tolist(),
    )
    for name, interval in result["intervals"].items():
        print(name, result[name], interval)
    for name, reason in result.get("undefined", {}).items():
        print(f"{name} is undefined: {reason}")


if __name__ == "__main__":
    main()
