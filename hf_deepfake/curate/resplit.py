"""Remedies: new splits that share nothing, and files in which both classes look alike."""

import os
import re
import shutil
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from datasets import Dataset, Image
from numpy.typing import NDArray
from PIL.Image import Resampling

from hf_deepfake.audits.alike import connect, find_alike
from hf_deepfake.audits.measurements import Wanted, measure
from hf_deepfake.audits.search import same, together
from hf_deepfake.config import LABELS, SPLITS, DataConfig
from hf_deepfake.data.annotate import RESERVED
from hf_deepfake.data.image_names import name_images
from hf_deepfake.data.load import prepare
from hf_deepfake.data.split import UNKNOWN, make_splits
from hf_deepfake.errors import InputError
from hf_deepfake.files import refusal, try_folder
from hf_deepfake.images.open import open_image
from hf_deepfake.machine import usable_cores

_ALL = (0, 1, 2)  # the splits that are made


def split(config: DataConfig, target: str | Path, *, block: int | None = None) -> dict[str, dict[str, int]]:
    """Split a data set anew so that near duplicates, scenes and given groups stay whole.

    Writes `target/SPLIT/CLASS/NAME` (hard links to the source's files where the file system has them, else copies) and
    `target/groups.csv` with the columns file, group (what was kept whole), original (the image's name in the source)
    and whatever the source says. Splits get 80, 10 and 10 % of each class. What the fingerprints miss (the same person
    elsewhere) is not kept whole, unless the source's groups say so.

    Args:
        config: sources and options; given splits are not heeded, `split_seed` decides on the new ones.
        target: folder to make; it must not exist or be empty.
        block: where file names carry the order (frames of a video, images of a series), the numbers that stay
            together: `face_0012.jpg` is in block 12 // block of `face_`, real or fake.

    Returns:
        Images by split and class.

    Raises:
        InputError: a source cannot be used, a class has too few groups, or `target` is not empty or cannot be written.
    """
    if block is not None and block < 1:
        raise InputError(f"a block of {block} numbers holds nothing; give 1 or more")
    with _new_folder(try_folder(target)) as folder:
        table = _everything(config)
        size = len(table)
        labels = np.array(table["label"], np.int8)
        measured = measure(table, [Wanted(True, False, False)] * size)
        alike = find_alike(measured.codes, measured.colours)
        joined = [alike.near, alike.scenes]
        if "group" in table.column_names:
            joined.append(same(np.array(table["group"], object)))
        if block is not None:
            joined.append(same(np.array([_block(name, block) for name in name_images(table)], object)))
        units = connect(size, *joined)
        splits = make_splits(
            np.full(size, UNKNOWN, np.int8),
            {0: _ALL},
            np.array([f"{unit:032}" for unit in units], "S32"),
            np.full(size, None, object),
            labels,
            np.zeros(size, np.int64),
            config.validation_share,
            config.split_seed,
        )
        counts = pd.crosstab(splits, labels).reindex(index=_ALL, columns=range(len(LABELS)), fill_value=0)
        if not counts.to_numpy().all():
            raise InputError(
                f"{', '.join(config.data)} has too few groups to split: {len(set(units))} for {size} images; add some"
            )
        places = _places(table, labels, splits, None)
        for place, image in zip(places, table.cast_column("image", Image(decode=False))["image"], strict=True):
            _link(image["bytes"] or image["path"], folder / place)
        _write_groups(folder, table, places, [f"unit-{unit:06}" for unit in units])
    return {name: dict(zip(LABELS, counts.loc[place].tolist(), strict=True)) for place, name in enumerate(SPLITS)}


def normalise(config: DataConfig, target: str | Path, *, size: int = 224, quality: int = 90) -> int:
    """Write a data set again with one size and one encoder, so that files no longer tell the classes apart.

    The middle square of each image is scaled to `size` and saved as a baseline JPEG of one quality, 4:2:0, without
    metadata, as `target/SPLIT/CLASS/NAME.jpg`; `target/groups.csv` has the columns file, original and whatever the
    source says. What the pixels hold stays: traces of earlier encoders and scalings, sharpness, noise, colours, and
    the bytes that these take. Audit the result.

    Args:
        config: sources and options.
        target: folder to make; it must not exist or be empty.
        size: side of the images, px. Scaling down wipes out most traces of earlier encoders, so choose one well below
            the images' own; enlarging blurs.
        quality: JPEG quality, 1 to 100.

    Returns:
        Number of images.

    Raises:
        InputError: a source cannot be used, a number is out of range, or `target` is not empty or cannot be written.
    """
    if not 32 <= size <= 4096 or not 1 <= quality <= 100:
        raise InputError(f"size {size} or quality {quality} is out of range; give 32 to 4096 px and 1 to 100")
    with _new_folder(try_folder(target)) as folder:
        splits, report = prepare(config)
        report.warn_of_losses()
        table = together(splits)
        part = np.repeat(_ALL, [len(splits[name]) for name in SPLITS])
        places = _places(table, np.array(table["label"], np.int8), part, ".jpg")
        sources = [
            image["bytes"] or image["path"] for image in table.cast_column("image", Image(decode=False))["image"]
        ]
        jobs = [_Job(source, folder / place, size, quality) for source, place in zip(sources, places, strict=True)]
        with ProcessPoolExecutor(usable_cores()) as workers:
            for _ in workers.map(_save, jobs, chunksize=32):
                pass
        _write_groups(folder, table, places, None)
    return len(table)


class _Job(NamedTuple):
    """An image to be saved anew."""

    source: str | bytes
    target: Path
    size: int
    quality: int


def _save(job: _Job) -> None:
    """Scale the middle square of an image and save it."""
    image = open_image(job.source)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.resize((job.size, job.size), Resampling.BICUBIC, box=(left, top, left + side, top + side))
    square.info.clear()
    square.save(job.target, "JPEG", quality=job.quality, subsampling="4:2:0")


@contextmanager
def _new_folder(target: Path) -> Generator[Path]:
    """A folder beside `target` that takes its place when the block ends well, and goes when it does not."""
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise InputError(f"{target} exists and is not an empty folder; choose another or remove it")
    folder = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        for name in SPLITS:
            for label in LABELS:
                (folder / name / label).mkdir(parents=True)
        yield folder
        folder.replace(target)
    except OSError as error:
        raise InputError(f"{target} could not be written: {refusal(error)}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _everything(config: DataConfig) -> Dataset:
    """All images that open."""
    splits, report = prepare(replace(config, on_leak="keep"))
    report.warn_of_losses()
    return together(splits)


def _block(name: str, block: int) -> str | None:
    """The block of a file name's last number; None without a number."""
    found = re.fullmatch(r"(.*?)(\d+)(\D*)", Path(name).stem)
    return found and f"{found[1]}{int(found[2]) // block}{found[3]}"


def _places(table: Dataset, labels: NDArray[np.int8], splits: NDArray, suffix: str | None) -> list[str]:
    """Where each image goes, under its own name, with a number where two would be the same."""
    seen: Counter[str] = Counter()
    places = []
    for name, label, part in zip(name_images(table), labels, splits, strict=True):
        path = Path(name)
        plain = place = f"{SPLITS[part]}/{LABELS[label]}/{path.stem}"
        while seen[place.casefold()]:
            seen[plain.casefold()] += 1
            place = f"{plain}~{seen[plain.casefold()]}"
        seen[place.casefold()] += 1
        # Embedded images have no file name; their format is told from the content when they are read again.
        places.append(f"{place}{suffix or path.suffix or '.jpg'}")
    return places


def _link(source: str | bytes, place: Path) -> None:
    """Put an image in its place, as a hard link where that is possible."""
    if isinstance(source, bytes):
        place.write_bytes(source)
        return
    try:
        os.link(source, place)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, place)


def _write_groups(folder: Path, table: Dataset, places: list[str], groups: list[str] | None) -> None:
    """Write groups.csv: what the source says of each image, where it came from, and what was kept whole."""
    columns = {name: table[name] for name in table.column_names if name not in RESERVED | {"original"}}
    given = {} if groups is None else {"group": groups}
    frame = pd.DataFrame({"file": places, **columns, **given, "original": name_images(table)})
    frame.to_csv(folder / "groups.csv", index=False, encoding="utf-8")
