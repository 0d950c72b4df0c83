"""The demo: train a small model on drawn images, then classify some of them as other people's code would."""

import json
import subprocess
import sys
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.image import imread

from hf_deepfake.cli.main import main
from hf_deepfake.config import LABELS, DataConfig
from hf_deepfake.data.load import prepare
from hf_deepfake.report.figures import FAKE, GROUND, INK, REAL, save_figure

RUN = Path("runs/demo")

CLASSIFY = """\
import json, sys
sys.modules["hf_deepfake"] = None  # any import of the package would fail
from transformers import pipeline
classify = pipeline("image-classification", model=sys.argv[1])
print(json.dumps([best[0] for best in classify(sys.argv[2:])]))
"""


def demo() -> int:
    """Train, export and report, then load the checkpoint in a fresh process that has no access to this package."""
    code = main(["train", "--recipe", "demo", "--data", "sample", "--output_dir", str(RUN), "--overwrite"])
    if code:
        return code
    data, _ = prepare(DataConfig(data=("sample",)))
    test = data["test"]
    labels = list(test["label"])
    chosen = [position for label in range(len(LABELS)) for position in _positions(labels, label, 4)]
    images = [test[position]["image"].filename for position in chosen]
    words = [sys.executable, "-c", CLASSIFY, str(RUN / "checkpoint"), *images]
    verdicts = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
    print("\nwith transformers alone, a real and then a fake image of the test split:")
    for number in (0, 4):
        print(f"{images[number]}: {verdicts[number]['label']} {verdicts[number]['score']:.3f}")
    save_figure(_sheet(images, [LABELS[labels[position]] for position in chosen], verdicts), RUN / "demo.png")
    print(f"\nrun         {RUN}\nimage       {RUN / 'demo.png'}\ncard        {RUN / 'checkpoint' / 'README.md'}")
    return 0


def _positions(labels: list[int], label: int, count: int) -> list[int]:
    """The first images of a class."""
    return [position for position, found in enumerate(labels) if found == label][:count]


def _sheet(images: list[str], truths: list[str], verdicts: list[dict]) -> Figure:
    """Images with their verdicts beside two figures of the checkpoint."""
    figure = Figure(figsize=(15.5, 4.5), facecolor=GROUND)
    grid = figure.add_gridspec(2, 4, left=0.01, right=0.5, top=0.88, bottom=0.03, hspace=0.16, wspace=0.05)
    for number, (image, truth, verdict) in enumerate(zip(images, truths, verdicts, strict=True)):
        axes = figure.add_subplot(grid[number // 4, number % 4])
        axes.imshow(imread(image))
        axes.set_axis_off()
        colour = REAL if verdict["label"] == "real" else FAKE
        axes.set_title(f"{truth}: says {verdict['label']} {verdict['score']:.2f}", fontsize=9, color=colour)
    grid = figure.add_gridspec(1, 2, left=0.52, right=0.995, top=0.97, bottom=0.01, wspace=0.02)
    for column, name in enumerate(("roc.png", "reliability.png")):
        axes = figure.add_subplot(grid[column])
        axes.imshow(imread(RUN / "checkpoint" / name), interpolation="lanczos")
        axes.set_axis_off()
    figure.text(0.012, 0.95, "Drawn images of the test split", fontsize=11, color=INK)
    return figure


if __name__ == "__main__":
    sys.exit(demo())
