"""The command line `hf-deepfake`: thin commands that turn words into a configuration and call the package."""

import argparse
import difflib
import logging
import os
import sys
import typing
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from typing import Any, NoReturn

from hf_deepfake.config import GROUPS, DataConfig, TrainConfig, build, read_recipe
from hf_deepfake.errors import InputError

TRAIN_EXAMPLES = """\
examples:
  hf-deepfake train --data sample --recipe demo --output_dir runs/demo
  hf-deepfake train --data faces.zip --model resnet50 --head_epochs 1 --epochs 8 --output_dir runs/faces
  accelerate launch scripts/train.py --data faces.zip --model resnet50 --output_dir runs/faces   (several processes)

The best epoch by a validation metric is exported to OUTPUT_DIR/checkpoint and scored once on the test split.
Ctrl-C or SIGTERM saves the run; the same command with --resume goes on."""

DATA_EXAMPLES = """\
examples:
  hf-deepfake data faces.zip
  hf-deepfake data faces.zip more_faces/ --on_leak error"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raise `InputError` in place of a usage text."""
        raise InputError(f"{message[0].lower()}{message[1:]}; see {self.prog} --help")


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        words: arguments; by default those of the process.

    Returns:
        Exit code: 0 done; 2 something the user gave cannot be used, said in one sentence on standard error;
        128 + n stopped by signal n, with everything saved.
    """
    main_process = os.environ.get("RANK", "0") == "0"
    logging.basicConfig(level=logging.WARNING if main_process else logging.ERROR, format="%(message)s")
    try:
        parser = _parser()
        options, unknown = parser.parse_known_args(words)
        if unknown:
            raise InputError(_unknown(unknown[0], options))
        given = vars(options)
        command: Callable[[dict[str, Any]], int] = given.pop("command")
        given.pop("known")
        return command(given)
    except InputError as error:
        if main_process:
            print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> Parser:
    """All commands with their options."""
    parser = Parser(
        prog="hf-deepfake",
        description="Tell real face pictures from deepfakes, with numbers that survive a second look.",
        epilog="hf-deepfake COMMAND --help explains a command and all its options.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    train = _add_command(
        commands,
        "train",
        "--data SOURCE... --output_dir DIR",
        "train a detector, export it and measure it",
        TRAIN_EXAMPLES,
        _train,
    )
    train.add_argument("--recipe", metavar="NAME", help="options of a recipe: a name in the package or a YAML file")
    _add_options(train, TrainConfig)
    data = _add_command(
        commands, "data", "SOURCE...", "say what a data set holds: splits, classes, leaks", DATA_EXAMPLES, _data
    )
    data.add_argument("data", nargs="+", metavar="SOURCE", help=_text("data"))
    _add_options(data, DataConfig, leave_out="data")
    return parser


def _add_command(
    commands: Any, name: str, usage: str, text: str, examples: str, call: Callable
) -> argparse.ArgumentParser:
    """A command's parser."""
    command = commands.add_parser(
        name,
        usage=f"hf-deepfake {name} {usage} [options]",
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=examples,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=call)
    return command


def _add_options(parser: argparse.ArgumentParser, kind: type[DataConfig], leave_out: str | None = None) -> None:
    """An option for each field of a configuration; only what is given reaches it."""
    hints = typing.get_type_hints(kind)
    wanted = [item for item in fields(kind) if item.name != leave_out]
    parser.set_defaults(known=[f"--{item.name}" for item in wanted])
    group: Any = parser.add_argument_group(GROUPS["data"])
    for item in wanted:
        if item.name in GROUPS and item.name != "data":
            group = parser.add_argument_group(GROUPS[item.name])
        hint = hints[item.name]
        kinds = typing.get_args(hint) or (hint,)
        words: dict[str, Any] = {"default": argparse.SUPPRESS, "help": _explained(item)}
        if hint is bool:
            words["action"] = "store_true"
        elif typing.get_origin(hint) is typing.Literal:
            words["metavar"] = "|".join(kinds)
        else:
            words["metavar"] = "N" if int in kinds else "TEXT" if str in kinds else "X"
            if tuple in (typing.get_origin(hint), *map(typing.get_origin, kinds)):
                words["nargs"] = "+"
        group.add_argument(f"--{item.name}", **words)


def _explained(item: Field) -> str:
    """An option's text with its default."""
    text = item.metadata["text"].replace("%", "%%")
    shown = item.default not in (None, "", ()) and item.default is not False
    return f"{text} (default {item.default})" if shown else text


def _text(name: str) -> str:
    """The text of a data option."""
    return next(item.metadata["text"] for item in fields(DataConfig) if item.name == name)


def _unknown(word: str, options: argparse.Namespace) -> str:
    """What to say of an argument that no command knows."""
    near = difflib.get_close_matches(word.partition("=")[0], options.known, n=1)
    return f"unknown argument {word}; " + (f"did you mean {near[0]}?" if near else "see --help for what there is")


def _train(given: dict[str, Any]) -> int:
    """`hf-deepfake train`."""
    recipe = given.pop("recipe")
    config = build(TrainConfig, read_recipe(recipe) if recipe else {}, given)
    from hf_deepfake.training.resume import Stopped
    from hf_deepfake.training.run import train

    try:
        result = train(config)
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        return 128 + stopped.signal_number
    if os.environ.get("RANK", "0") == "0":
        print(result.report.summary())
        print(f"\ncheckpoint  {result.checkpoint}\nreport      {result.checkpoint / 'report.json'}")
    return 0


def _data(given: dict[str, Any]) -> int:
    """`hf-deepfake data`."""
    config = build(DataConfig, given)
    from hf_deepfake.data.load import prepare

    _, report = prepare(config)
    print(report.summary())
    return 0


if __name__ == "__main__":
    sys.exit(main())
