"""Evaluate the images of a data set on the Hub as they arrive, without downloading it whole.

    python examples/stream_a_hub_data_set.py OWNER/CHECKPOINT OWNER/DATA --split test --count 1000

The data set needs a column image. The checkpoint is a folder or the Hub's OWNER/NAME. Verdicts are printed as JSON,
one a line, in the order of the data set.
"""

import argparse
import json

from datasets import load_dataset

from hf_deepfake import Detector, ImageError


def main() -> None:
    """Print the verdict on each image."""
    parser = argparse.ArgumentParser(description="Evaluate the images of a data set on the Hub.")
    parser.add_argument("checkpoint")
    parser.add_argument("data")
    parser.add_argument("--split", default="test")
    parser.add_argument("--count", type=int, default=None, help="how many images; default all")
    given = parser.parse_args()

    detector = Detector.from_pretrained(given.checkpoint)
    rows = load_dataset(given.data, split=given.split, streaming=True)
    if given.count is not None:
        rows = rows.take(given.count)
    # The detector takes images a batch at a time, so that no more than two batches are ever held.
    for result in detector.stream(row["image"] for row in rows):
        said = {"error": str(result)} if isinstance(result, ImageError) else result.to_dict()
        print(json.dumps(said))


if __name__ == "__main__":
    main()
