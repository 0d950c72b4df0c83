"""Evaluate images: `accelerate launch --multi_gpu --num_processes N scripts/predict.py FILE... --out OUT`."""

import sys

from hf_deepfake.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["predict", *sys.argv[1:]]))
