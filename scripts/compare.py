"""Compare models: `accelerate launch scripts/compare.py MODEL MODEL … --data …`; see `hf-deepfake compare`."""

import sys

from hf_deepfake.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["compare", *sys.argv[1:]]))
