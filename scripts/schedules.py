"""Draw the learning rate of every recipe by step, as its stages give it to the loop: `schedules.py FIGURE.png`."""

import sys
from pathlib import Path

from matplotlib.figure import Figure

from hf_deepfake.config import TrainConfig, build
from hf_deepfake.errors import InputError
from hf_deepfake.files import replacing
from hf_deepfake.recipe import read_recipe, recipe_names
from hf_deepfake.report.figures import GROUND, INK, dress
from hf_deepfake.training.stages import plan_stages

IMAGES, COLUMNS = 10_000, 4
"""Training images of the data set that the figure supposes, and recipes in a row."""


def rates(name: str) -> list[float]:
    """The rate of each step of a recipe's run, if no metric ever stalls."""
    config = build(TrainConfig, read_recipe(name).options, {"data": "sample", "output_dir": "unused"})
    return [stage.rate(step) for stage in plan_stages(config, IMAGES) for step in range(stage.steps)]


def draw() -> Figure:
    """A panel for each recipe."""
    names = recipe_names()
    figure = Figure(figsize=(12, 2.1 * -(-len(names) // COLUMNS)), layout="constrained", facecolor=GROUND)
    grid = figure.subplots(-(-len(names) // COLUMNS), COLUMNS, squeeze=False).ravel()
    for axes, name in zip(grid, names, strict=False):
        values = rates(name)
        axes.plot(range(len(values)), values, color=INK, linewidth=1.4)
        axes.set_ylim(0, 1.1 * max(values))
        axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        dress(axes, name, "step", "")
    for axes in grid[len(names) :]:
        axes.axis("off")
    return figure


def main(target: str) -> int:
    """Draw the figure; see the module's description."""
    try:
        with replacing(Path(target)) as temporary:
            draw().savefig(temporary, format="png", dpi=90)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
