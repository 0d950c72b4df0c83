"""The demo: train a small net on drawn pictures, then classify two of them as other people's code would."""

import subprocess
import sys
from pathlib import Path

from hf_deepfake.cli import main
from hf_deepfake.config import DataConfig
from hf_deepfake.data.load import prepare

RUN = Path("runs/demo")

CLASSIFY = """\
import sys
sys.modules["hf_deepfake"] = None  # any import of the package would fail
from transformers import pipeline
classify = pipeline("image-classification", model=sys.argv[1])
for picture in sys.argv[2:]:
    best = classify(picture)[0]
    print(f"{picture}: {best['label']} {best['score']:.3f}")
"""


def demo() -> int:
    """Train, export and report, then load the checkpoint in a fresh process that has no access to this package."""
    code = main(["train", "--recipe", "demo", "--data", "sample", "--output_dir", str(RUN), "--overwrite"])
    if code:
        return code
    data, _ = prepare(DataConfig(data=("sample",)))
    first = [list(data["test"]["label"]).index(label) for label in (0, 1)]
    pictures = [data["test"][position]["image"].filename for position in first]
    print("\nwith transformers alone, a real and then a fake picture of the test split:", flush=True)
    subprocess.run([sys.executable, "-c", CLASSIFY, str(RUN / "checkpoint"), *pictures], check=True)
    print(
        f"\nrun         {RUN}\ncard        {RUN / 'checkpoint' / 'README.md'}\nfigures     {RUN / 'checkpoint'}/*.png"
    )
    return 0


if __name__ == "__main__":
    sys.exit(demo())
