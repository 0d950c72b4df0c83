"""What all commands share: a parser whose errors are one sentence, and options made of a configuration's fields."""

import argparse
import difflib
import typing
from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any, NoReturn

from hf_deepfake.config import DataConfig
from hf_deepfake.errors import InputError
from hf_deepfake.options import FACTS, ONE_BY_ONE

Command = Callable[[dict[str, Any]], int]
"""What runs a command: from the options that were given to the exit code."""


GROUPS = {
    "data": "images",
    "criterion": "the verdict, decided on validation scores or on calibration data",
    "output_dir": "the run",
    "audit": "what to look at before training",
    "model": "model",
    "head_epochs": "stages: the classifier alone, then the model",
    "batch_size": "steps",
    "flip": "augmentation of training images",
    "monitor": "the epoch that is kept",
    "explained": "the maps of where the model looks",
    "save_fp16": "publishing",
    "mixed_precision": "machine",
}
"""Headings of the options, by the first option of each group."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raise `InputError` in place of a usage text."""
        raise InputError(f"{message[0].lower()}{message[1:]}; see {self.prog} --help")

    def explain_unknown(self, word: str) -> str:
        """What to say of an argument that this command does not know."""
        near = difflib.get_close_matches(word.partition("=")[0], self._option_string_actions, n=1)
        return f"unknown argument {word}; " + (f"did you mean {near[0]}?" if near else "see --help for what there is")


def add_command(commands: Any, name: str, usage: str, text: str, examples: str, call: Command) -> Parser:
    """Add a command.

    Args:
        commands: what `add_subparsers` returned.
        name: of the command.
        usage: its arguments, without the options in general.
        text: what it does, in lower case without a full stop.
        examples: lines of examples, and what else is to be said below the options.
        call: runs it.

    Returns:
        The command's parser, which takes its options.
    """
    command = commands.add_parser(
        name,
        usage=f"hf-deepfake {name} {usage} [options]",
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"examples:\n{examples}",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=call, parser=command)
    return command


def add_options(parser: Parser, kind: type[DataConfig], leave_out: str | None = None) -> None:
    """Add an option for each field of a configuration; only what is given reaches it.

    Args:
        parser: of a command.
        kind: the configuration.
        leave_out: a field that gets no option.
    """
    hints = typing.get_type_hints(kind)
    group: Any = parser.add_argument_group(GROUPS["data"])
    for item in fields(kind):
        if item.name == leave_out:
            continue
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
            if FACTS[item].several:
                # A list of names would swallow the sources that come after it.
                words |= {"action": "append"} if item.name in ONE_BY_ONE else {"nargs": "+"}
        group.add_argument(f"--{item.name}", **words)


def text_of(name: str) -> str:
    """The text of a data option."""
    return next(item.metadata["help"] for item in fields(DataConfig) if item.name == name)


def _explained(item: Field) -> str:
    """An option's text with its default."""
    text = item.metadata["help"]
    shown = item.default not in (None, "", ()) and item.default is not False
    return f"{text} (default {item.default})" if shown else text
