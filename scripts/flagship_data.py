"""Lay out the flagship's data: every crop that may be trained on, and the same without a look at the test images.

    python scripts/flagship_data.py --faces dfdc-faces.zip --composites real-and-fake-face.zip --reserved reserved.txt \
        --crops DeepFake-Detection --out data

`--crops` is a clone with `metadata.csv` and `faces_224/NAME.jpg`, one crop a video. Three times two sets come out:

- `data/dfdc`, `data/ciplab`: train, validation and test for the one last run.
- `data/blind/...`: the same with images of the training groups in place of the test split.
- `data/ablation/...`: the validation split in the place of the test split, images of training groups in the place of
  the validation split, and of DFDC the zip's own training images alone. What compares runs here has evaluated
  validation images by models that were chosen and calibrated on others.
"""

import argparse
import csv
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from hf_deepfake.config import DataConfig
from hf_deepfake.curate.resplit import split
from hf_deepfake.data.archive import unpack
from hf_deepfake.errors import InputError
from hf_deepfake.files import make_folder

HELD = {"dfdc": 300, "ciplab": 120}
"""Training groups that stand in for another split."""

Row = tuple[str, dict[str, str], Path]
"""Path in the set (SPLIT/CLASS/NAME), what is known of it (group, manipulation ...), and where the image is."""


def dfdc_rows(faces: Path, crops: Path, reserved: set[str]) -> list[Row]:
    """Validation and test of the zip, and for training every crop whose source video is not reserved.

    Args:
        faces: the unpacked zip, with `groups.csv`.
        crops: clone with `metadata.csv` and `faces_224`.
        reserved: names of source videos that no training may touch.

    Returns:
        The rows.
    """
    rows = [(file.lower(), facts, faces / file) for file, facts in read_facts(faces) if not file.startswith("Train")]
    closed = reserved | {facts["group"] for _, facts, _ in rows}
    with (crops / "metadata.csv").open(newline="", encoding="utf-8") as lines:
        for line in csv.DictReader(lines):
            name, label = Path(line["videoname"]).stem, line["label"].lower()
            group = Path(line["original"]).stem if label == "fake" else name
            image = crops / "faces_224" / f"{name}.jpg"
            if not {name, group} & closed and image.exists():
                rows.append((f"train/{label}/{name}.jpg", {"group": group}, image))
    return rows


def read_facts(folder: Path) -> list[tuple[str, dict[str, str]]]:
    """File of each image of a set, and the other columns of its `groups.csv`."""
    with (folder / "groups.csv").open(newline="", encoding="utf-8") as lines:
        return [(line.pop("file"), line) for line in csv.DictReader(lines)]


def blind(rows: list[Row], count: int) -> list[Row]:
    """Training groups in the place of the test split."""
    held = some_groups(rows, count)
    return _moved(rows, lambda group: {"train": "test" if group in held else "train", "validation": "validation"})


def ablation(rows: list[Row], count: int) -> list[Row]:
    """The validation split in the place of the test split, and training groups in its own."""
    held = some_groups(rows, count)
    return _moved(rows, lambda group: {"train": "validation" if group in held else "train", "validation": "test"})


def some_groups(rows: list[Row], count: int) -> set[str]:
    """Training groups drawn at random, the same each time."""
    groups = {facts["group"] for file, facts, _ in rows if file.startswith("train/")}
    return set(random.Random(0).sample(sorted(groups), count))


def _moved(rows: list[Row], place: Callable[[str], dict[str, str]]) -> list[Row]:
    """Rows in other splits; those whose split has no place are left out."""
    moved = []
    for file, facts, image in rows:
        name, _, rest = file.partition("/")
        target = place(facts["group"]).get(name)
        if target:
            moved.append((f"{target}/{rest}", facts, image))
    return moved


def write(folder: Path, rows: list[Row]) -> None:
    """Write a set as hard links, copies where the file system has none, with its `groups.csv`."""
    for file, _, image in rows:
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(image.resolve(), target)
        except OSError:
            shutil.copy(image, target)
    columns = [name for name in rows[0][1] if name != "original"]
    with (folder / "groups.csv").open("w", newline="", encoding="utf-8") as lines:
        table = csv.writer(lines)
        table.writerow(["file", *columns])
        table.writerows([file, *(facts[name] for name in columns)] for file, facts, _ in rows)
    print(f"{folder}: {len(rows):,} images")


def main() -> int:
    """Parse the command line; see the module's description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", required=True, type=Path, help="dfdc-faces.zip")
    parser.add_argument("--composites", required=True, type=Path, help="real-and-fake-face.zip")
    parser.add_argument("--crops", required=True, type=Path, help="clone with metadata.csv and faces_224")
    parser.add_argument("--reserved", required=True, type=Path, help="file of source videos, a line each")
    parser.add_argument("--out", required=True, type=Path, help="new folder")
    words = parser.parse_args()
    try:
        if words.out.exists():
            raise InputError(f"{words.out} exists; give --out a new folder")
        make_folder(words.out)
        faces = unpack(words.faces, words.out / "unpacked") / "Dataset"
        reserved = set(words.reserved.read_text(encoding="utf-8").split())
        split(DataConfig(data=(str(words.composites),)), words.out / "split")
        composites = [(file, facts, words.out / "split" / file) for file, facts in read_facts(words.out / "split")]
        dfdc = dfdc_rows(faces, words.crops, reserved)
        own = {Path(file).name for file, _ in read_facts(faces)}
        for name, rows in {"dfdc": dfdc, "ciplab": composites}.items():
            write(words.out / name, rows)
            write(words.out / "blind" / name, blind(rows, HELD[name]))
            few = [row for row in rows if Path(row[0]).name in own] if name == "dfdc" else rows
            write(words.out / "ablation" / name, ablation(few, HELD[name]))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
