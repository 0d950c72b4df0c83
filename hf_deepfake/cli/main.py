"""The entry point: all commands, and the one place where an error becomes a sentence and an exit code."""

import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version

from hf_deepfake.cli import auditing, detecting, measuring, publishing, training
from hf_deepfake.cli.parser import Command, Parser
from hf_deepfake.errors import InputError


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        words: arguments; by default those of the process.

    Returns:
        Exit code: 0 done; 2 something the user gave cannot be used, said in one sentence on standard error; 3 trained,
        but not pushed; 128 + n stopped by signal n, with everything saved that can be gone on from.
    """
    main_process = os.environ.get("RANK", "0") == "0"
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that is no text, or a terminal without UTF-8
    logging.basicConfig(level=logging.WARNING if main_process else logging.ERROR, format="%(message)s")
    try:
        options, unknown = _parser().parse_known_args(words)
        given = vars(options)
        command: Command = given.pop("command")
        parser: Parser = given.pop("parser")
        if unknown:
            raise InputError(parser.explain_unknown(unknown[0]))
        code = command(given)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that nothing is flushed to it at exit
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except InputError as error:
        if main_process:
            print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> Parser:
    """All commands with their options."""
    parser = Parser(
        prog="hf-deepfake",
        description="Tell real face images from deepfakes, with numbers that survive a second look.",
        epilog="hf-deepfake COMMAND --help explains a command and all its options.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"hf-deepfake {version('hf-deepfake')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for module in (training, auditing, measuring, detecting, publishing):
        module.register(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
