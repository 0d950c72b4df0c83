"""The Space: the page of hf_deepfake, with the checkpoint beside this file unless HF_DEEPFAKE_CHECKPOINT names one."""

import os
import sys
from pathlib import Path

from hf_deepfake.cli.main import main

if __name__ == "__main__":
    checkpoint = os.environ.get("HF_DEEPFAKE_CHECKPOINT", str(Path(__file__).parent / "checkpoint"))
    sys.exit(main(["serve", "--checkpoint", checkpoint]))
