"""Every file and module of the project that its texts name is there."""

import importlib
import importlib.util
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

import hf_deepfake

ROOT = Path(__file__).parents[1]
PACKAGE = Path(hf_deepfake.__file__).parent
FOLDERS = "hf_deepfake|scripts|docs|tests|space|examples|benchmarks|recipes"
PATH = re.compile(rf"(?<![\w./*~-])(?:\.\./)*((?:{FOLDERS})/[\w./-]*\w)(?![\w*{{])")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
SOURCE = re.compile(r"(?<![\w./*-])([\w-]+\.(?:py|sh|md|toml|cff))(?![\w*{(])")
REFERENCE = re.compile(r"(?<!`)`((?:hf_deepfake\.)?[a-z_]+(?:\.\w+)+)`(?!`)")

DATA = ("csv", "html", "jpg", "json", "parquet", "png", "pt", "safetensors", "sqlite", "yaml")
"""Suffixes of files that a reference cannot be told from by its form."""

MADE = frozenset({"table.md", "what_it_cost.md", "my_detector.py"})
"""Files that a command writes or a user brings."""

OTHERS = frozenset({"run_image_classification_no_trainer.py", "_ov_api.py"})
"""Files of other projects."""


@cache
def tracked() -> list[str]:
    words = ["git", "ls-files", "-co", "--exclude-standard"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no checkout")
    return done.stdout.splitlines()


def texts() -> list[Path]:
    """All files in which people read: Markdown, and sources for their docstrings and comments."""
    kinds = {".md", ".py", ".sh", ".toml", ".cff"}
    left_out = ("tests/", "benchmarks/profiles.md")
    return [ROOT / name for name in tracked() if Path(name).suffix in kinds and not name.startswith(left_out)]


def missing_files(text: str, folder: Path, markdown: bool = True) -> set[str]:
    """Files that a text beside others in `folder` names and that are not there; only Markdown has links."""
    names = {Path(name).name for name in tracked()} | MADE | OTHERS
    paths = {path for path in PATH.findall(text) if not any((one / path).exists() for one in (ROOT, folder, PACKAGE))}
    links = {path for path in LINK.findall(text) if "{" not in path and not (folder / path).exists()}
    return paths | (links if markdown else set()) | {name for name in SOURCE.findall(text) if name not in names}


def missing_modules(text: str) -> set[str]:
    """References such as `room.module.name` that lead nowhere in the package."""
    rooms = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    names = {name for name in REFERENCE.findall(text) if not name.endswith(DATA)}
    return {name for name in names if name.removeprefix("hf_deepfake.").split(".")[0] in rooms and not found(name)}


@cache
def found(reference: str) -> bool:
    """Whether a dotted name, from the package on, is a module or something in one."""
    parts = reference.removeprefix("hf_deepfake.").split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(["hf_deepfake", *parts[:length]])
        try:
            there = importlib.util.find_spec(name) is not None
        except ModuleNotFoundError:  # its parent is no package
            continue
        if there:
            value = importlib.import_module(name)
            for part in parts[length:]:
                fields = getattr(value, "__dataclass_fields__", {})
                if not hasattr(value, part) and part not in fields:
                    return False
                value = getattr(value, part, None)
            return True
    return False


def test_what_is_named_is_there():
    missing = {}
    for path in texts():
        text = path.read_text(encoding="utf-8")
        names = missing_files(text, path.parent, path.suffix == ".md")
        names |= missing_modules(text) if path.suffix == ".py" else set()
        if names:
            missing[str(path.relative_to(ROOT))] = sorted(names)
    assert missing == {}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("see docs/nothing.md and scripts/train.py", {"docs/nothing.md", "nothing.md"}),
        ("[the guide](../docs/guide.md)", {"../docs/guide.md", "docs/guide.md"}),
        ("read CONTRIBUTING_TO_NOTHING.md, then README.md", {"CONTRIBUTING_TO_NOTHING.md"}),
        ("as `hf_deepfake/cli/nothing.py` does", {"hf_deepfake/cli/nothing.py"}),
        ("`scripts/*.py` and runs/faces/checkpoint and https://x.org/docs/a.html", set()),
    ],
)
def test_what_is_not_there_is_found(text, names):
    assert missing_files(text, ROOT) >= names - {"nothing.md"}
    assert bool(missing_files(text, ROOT)) == bool(names)


def test_references_are_followed():
    text = (
        "`config.TrainConfig.epochs`, `metrics.classification.METRICS`, `evaluation.nothing`, "
        "`errors.Nothing`, `np.array`"
    )
    assert missing_modules(text) == {"evaluation.nothing", "errors.Nothing"}
