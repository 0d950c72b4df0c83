"""Commands for the person who wants to trust a data set: audit, split, normalise."""

from typing import Any

from hf_deepfake.cli.parser import Parser, add_command, add_options, text_of
from hf_deepfake.config import DataConfig, build
from hf_deepfake.files import local_name, local_path, try_folder

AUDIT_EXAMPLES = """\
  hf-deepfake audit faces.zip --out audits/faces
  hf-deepfake audit faces.zip --against test_faces/ --out audits/faces

The exit code is 1 where a finding is fatal. OUT receives audit.html, audit.json and figures; its sheets show images
of the data, so share it as you may share these."""

SPLIT_EXAMPLES = """\
  hf-deepfake split faces.zip faces_split
  hf-deepfake split frames/ frames_split --block 100"""

NORMALISE_EXAMPLES = """\
  hf-deepfake normalise faces.zip faces_normalised
  hf-deepfake audit faces_normalised --out audits/normalised    (what is left)"""


def register(commands: Any) -> None:
    """Add these commands to the parser."""
    audit = add_command(
        commands, "audit", "SOURCE... --out DIR", "look for leaks and shortcuts in a data set", AUDIT_EXAMPLES, _audit
    )
    audit.add_argument("data", nargs="+", metavar="SOURCE", help=text_of("data"))
    audit.add_argument("--out", required=True, type=local_path, metavar="DIR", help="folder for the audit")
    audit.add_argument(
        "--against", type=local_name, metavar="SOURCE", help="a further source that must share nothing with the data"
    )
    audit.add_argument(
        "--level",
        choices=("full", "basic"),
        default="full",
        help="basic reads facts of a sample of files (default full)",
    )
    add_options(audit, DataConfig, leave_out="data")
    split = add_command(
        commands,
        "split",
        "SOURCE TARGET",
        "split a data set so that duplicates, scenes and groups stay whole",
        SPLIT_EXAMPLES,
        _split,
    )
    _add_places(split)
    split.add_argument("--block", type=int, metavar="N", help="keep blocks of N numbers in file names together")
    add_options(split, DataConfig, leave_out="data")
    normalise = add_command(
        commands,
        "normalise",
        "SOURCE TARGET",
        "write a data set again with one size and one encoder",
        NORMALISE_EXAMPLES,
        _normalise,
    )
    _add_places(normalise)
    add_options(normalise, DataConfig, leave_out="data")


def _add_places(command: Parser) -> None:
    """From where and to where."""
    command.add_argument("data", metavar="SOURCE", help=text_of("data"))
    command.add_argument("target", type=local_path, metavar="TARGET", help="new folder")


def _audit(given: dict[str, Any]) -> int:
    """`hf-deepfake audit`."""
    out, against, level = (given.pop(name) for name in ("out", "against", "level"))
    config = build(DataConfig, given)
    try_folder(out)
    from hf_deepfake.audits.audit_page import summary, write_audit
    from hf_deepfake.audits.search import audit

    found = audit(config, against=against, level=level)
    write_audit(found, out)
    print(f"{summary(found)}\n\naudit  {out / 'audit.html'}")
    return int(found.fatal)


def _split(given: dict[str, Any]) -> int:
    """`hf-deepfake split`."""
    target, block = given.pop("target"), given.pop("block")
    config = build(DataConfig, given)
    from hf_deepfake.curate.resplit import split

    for name, counts in split(config, target, block=block).items():
        print(f"{name:10}  " + ", ".join(f"{count:,} {label}" for label, count in counts.items()))
    return 0


def _normalise(given: dict[str, Any]) -> int:
    """`hf-deepfake normalise`."""
    target = given.pop("target")
    config = build(DataConfig, given)
    from hf_deepfake.curate.resplit import normalise

    print(f"{normalise(config, target):,} images written to {target}")
    return 0
