"""Evaluate a checkpoint: `accelerate launch scripts/evaluate.py CHECKPOINT DATA …`; see `hf-deepfake evaluate`."""

import sys

from hf_deepfake.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
