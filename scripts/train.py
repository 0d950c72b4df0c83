"""Train a detector: `accelerate launch scripts/train.py --data … --output_dir …`, the same as `hf-deepfake train`."""

import sys

from hf_deepfake.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
