"""Commands for the person who trains: train, recipes, data, pack."""

import os
import sys
import textwrap
from typing import Any

from hf_deepfake.cli.parser import add_command, add_options, text_of
from hf_deepfake.config import DataConfig, TrainConfig, build
from hf_deepfake.files import local_name, local_path
from hf_deepfake.recipe import read_recipe, recipe_names

NOT_PUSHED = 3
"""Exit code of a run that is finished and lies here, but could not be pushed."""

TRAIN_EXAMPLES = """\
  hf-deepfake train --data sample --recipe demo --output_dir runs/demo
  hf-deepfake train --data faces.zip --model resnet50 --head_epochs 1 --epochs 8 --output_dir runs/faces
  accelerate launch scripts/train.py --data faces.zip --model resnet50 --output_dir runs/faces   (several processes)

The best epoch by a validation metric is exported to OUTPUT_DIR/checkpoint and scored once on the test split.
Ctrl-C or SIGTERM saves the run; the same command with --resume goes on. A run that cannot be pushed is finished all the
same: it exits with 3 and says how to push it later."""

RECIPES_EXAMPLES = """\
  hf-deepfake recipes
  hf-deepfake train --recipe compact-cnn --data faces.zip --epochs 3 --output_dir runs/compact

An option on the command line replaces the recipe's. Weights of ImageNet come from the Hub, or --pretrained FILE."""

CROSSVAL_EXAMPLES = """\
  hf-deepfake crossval a.zip b.zip c.zip --leave_out origin --output_dir runs/crossval --epochs 3
  hf-deepfake crossval faces.zip --leave_out group --folds 5 --output_dir runs/folds
  accelerate launch -m hf_deepfake.cli.main crossval a.zip b.zip --output_dir runs/crossval   (folds side by side)

Each fold is a run in OUTPUT_DIR; the same command goes on where it was stopped. OUTPUT_DIR/crossval.json holds all."""

DATA_EXAMPLES = """\
  hf-deepfake data faces.zip
  hf-deepfake data faces.zip more_faces/ --on_leak error"""

PACK_EXAMPLES = """\
  hf-deepfake pack faces.zip faces_packed
  hf-deepfake train --data faces_packed --output_dir runs/faces

The new folder is a source like any other, with the same splits and groups; leaks are mended first, as for training."""


def register(commands: Any) -> None:
    """Add these commands to the parser."""
    train = add_command(
        commands,
        "train",
        "--data SOURCE... --output_dir DIR",
        "train a detector, export it and measure it",
        TRAIN_EXAMPLES,
        _train,
    )
    train.add_argument(
        "--recipe", type=local_name, metavar="NAME", help="options of a recipe: a name in the package or a YAML file"
    )
    add_options(train, TrainConfig)
    crossval = add_command(
        commands,
        "crossval",
        "SOURCE... --output_dir DIR",
        "train without each origin, or each fold of groups, and measure on it",
        CROSSVAL_EXAMPLES,
        _crossval,
    )
    crossval.add_argument("data", nargs="+", metavar="SOURCE", help=text_of("data"))
    crossval.add_argument(
        "--leave_out",
        choices=("origin", "group"),
        default="origin",
        help="each origin in turn, or folds whose groups stay whole (default origin)",
    )
    crossval.add_argument("--folds", type=int, default=5, metavar="N", help="how many folds of groups (default 5)")
    crossval.add_argument(
        "--recipe", type=local_name, metavar="NAME", help="options of a recipe: a name in the package or a YAML file"
    )
    add_options(crossval, TrainConfig, leave_out="data")
    add_command(commands, "recipes", "", "list the recipes and what they reported", RECIPES_EXAMPLES, _recipes)
    data = add_command(
        commands, "data", "SOURCE...", "say what a data set holds: splits, classes, leaks", DATA_EXAMPLES, _data
    )
    data.add_argument("data", nargs="+", metavar="SOURCE", help=text_of("data"))
    add_options(data, DataConfig, leave_out="data")
    text = "write a data set as parquet files with the images inside"
    pack = add_command(commands, "pack", "SOURCE OUT", text, PACK_EXAMPLES, _pack)
    pack.add_argument("data", metavar="SOURCE", help=text_of("data"))
    pack.add_argument("out", type=local_path, metavar="OUT", help="new folder")
    add_options(pack, DataConfig, leave_out="data")


def _recipes(given: dict[str, Any]) -> int:
    """`hf-deepfake recipes`."""
    for name in recipe_names():
        recipe = read_recipe(name)
        print(f"{name}\n  {recipe.about}")
        for title, text in (("reported", recipe.reported), ("note", recipe.note)):
            if text:
                print(textwrap.fill(f"{title}: {text}", 100, initial_indent="  ", subsequent_indent="    "))
        print()
    return 0


def _train(given: dict[str, Any]) -> int:
    """`hf-deepfake train`."""
    recipe = given.pop("recipe")
    config = build(TrainConfig, read_recipe(recipe).options if recipe else {}, given)
    from hf_deepfake.training.run import train
    from hf_deepfake.training.signals import Stopped

    try:
        result = train(config)
    except Stopped as stopped:
        if os.environ.get("RANK", "0") == "0":
            print(stopped, file=sys.stderr)
        return 128 + stopped.signal_number
    if os.environ.get("RANK", "0") == "0":
        print(result.report.summary())
        print(f"\ncheckpoint  {result.checkpoint}\nreport      {result.checkpoint / 'report.json'}")
        if result.url:
            print(f"pushed to   {result.url}")
    if result.not_pushed:
        print(f"error: {result.not_pushed}", file=sys.stderr)
        return NOT_PUSHED
    return 0


def _crossval(given: dict[str, Any]) -> int:
    """`hf-deepfake crossval`."""
    leave_out, folds, recipe = (given.pop(name) for name in ("leave_out", "folds", "recipe"))
    from hf_deepfake.training.crossval import cross_validate

    result = cross_validate((read_recipe(recipe).options if recipe else {}) | given, leave_out, folds)
    if os.environ.get("RANK", "0") == "0":
        print(result.summary())
    return 0


def _data(given: dict[str, Any]) -> int:
    """`hf-deepfake data`."""
    config = build(DataConfig, given)
    from hf_deepfake.data.load import prepare

    _, report = prepare(config)
    print(report.summary())
    return 0


def _pack(given: dict[str, Any]) -> int:
    """`hf-deepfake pack`."""
    out = given.pop("out")
    config = build(DataConfig, given)
    from hf_deepfake.curate.pack import pack

    print(f"{pack(config, out).summary()}\n\npacked  {out}")
    return 0
