"""A data set of whole images made one of face crops, every image cropped and encoded alike."""

import json
import posixpath
import tempfile
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from hf_deepfake.config import LABELS, SPLITS, DataConfig
from hf_deepfake.data.archive import left_out_of, unpack
from hf_deepfake.data.image_names import without_path
from hf_deepfake.data.index import Listing, list_folder
from hf_deepfake.data.names import class_names
from hf_deepfake.data.walk import describe_left_out, says_image
from hf_deepfake.errors import ImageError, InputError
from hf_deepfake.files import local_path, replacing, try_folder, write_json
from hf_deepfake.images.crop import MIN_FACE, Margin, crop_region
from hf_deepfake.images.faces import find_faces
from hf_deepfake.images.open import open_image
from hf_deepfake.machine import usable_cores

DFDC_MARGIN = Margin(width=0.86, height=1.10, x=0.51, y=0.49)
"""Median of 594 face crops of the DFDC competition: tight squares that cut the forehead."""

JPEG = {"quality": 95, "subsampling": "4:4:4"}
"""One encoding for all images, so that nothing but what it shows tells the class of an image."""

RECORD = "crop.json"
"""File in the new set that says how it was cropped and what was left out."""


@dataclass(frozen=True)
class CropReport:
    """What became of each image of a set.

    Attributes:
        written: crops that were written now.
        kept: crops that were there from an earlier call.
        several: crops written now from images with several faces, of which the largest was taken.
        without_face: images in which no face was found.
        too_small: images whose largest face has a side of less than `MIN_FACE` px.
        broken: name and reason of each image that does not open.
        left_out: files that are no images by their names, by kind.
    """

    written: int
    kept: int
    several: int
    without_face: tuple[str, ...]
    too_small: tuple[str, ...]
    broken: tuple[tuple[str, str], ...]
    left_out: dict[str, int]

    def summary(self) -> str:
        """A line for each count that is not zero."""
        counts = {
            "written": self.written,
            "there already": self.kept,
            "with several faces, of which the largest was taken": self.several,
            "left out, no face found": len(self.without_face),
            f"left out, face smaller than {MIN_FACE} px": len(self.too_small),
            "left out, do not open": len(self.broken),
        }
        lines = [f"{count:>9,}  {what}" for what, count in counts.items() if count]
        return "\n".join(lines + [describe_left_out(self.left_out)] * bool(self.left_out))


def crop_set(
    source: str | Path,
    target: Path,
    *,
    margin: Margin = DFDC_MARGIN,
    real_names: tuple[str, ...] = (),
    fake_names: tuple[str, ...] = (),
) -> CropReport:
    """Crop every image of a data set to its largest face.

    Folders and names stay as they are, but for the names' ends, for all crops are JPEG of one encoding. They are
    not resized. Columns of tables come to one groups.csv; labels and splits that tables say, to a metadata.csv. What
    was cropped in an earlier call is not cropped again.

    Args:
        source: folder or zip with class folders, as `--data` takes it.
        target: folder for the crops: new, or of an earlier call with the same margin.
        margin: where the face lies in the crop.
        real_names: further folder names that mean real.
        fake_names: further folder names that mean fake.

    Returns:
        What became of the images; with the margin, also in the new set's crop.json.

    Raises:
        InputError: the source is no set of images, two of its images would get the same name, or the target
            holds something else.
    """
    target = try_folder(target)
    source, settings = local_path(source), {"margin": asdict(margin), "jpeg": JPEG}
    packed = zipfile.is_zipfile(source)
    if not (packed or source.is_dir()):
        raise InputError(f"{source} is neither a folder nor a zip; give one that holds images")
    claim(target, source, settings)
    with tempfile.TemporaryDirectory(dir=target, prefix=".") as unpacked:
        root = unpack(source, Path(unpacked)) if packed else source
        not_unpacked = left_out_of(root) if packed else Counter()
        listing = list_folder(root, class_names(DataConfig(real_names=real_names, fake_names=fake_names)))
        names = _new_names(listing)
        missing = [file for file, name in names.items() if not (target / name).exists()]
        # Decoding, searching and encoding all run outside Python's lock, so that threads do.
        with ThreadPoolExecutor(usable_cores()) as workers:
            outcomes = workers.map(lambda file: _crop(root, file, target / names[file], margin), missing)
            progress = tqdm(outcomes, desc="cropping", total=len(missing), unit=" images", disable=None)
            done = list(zip(missing, progress, strict=True))
    _write_tables(target, names, listing)
    counts = Counter(outcome for _, (outcome, _) in done)
    report = CropReport(
        written=counts["written"] + counts["several"],
        kept=len(names) - len(missing),
        several=counts["several"],
        without_face=tuple(file for file, (outcome, _) in done if outcome == "without_face"),
        too_small=tuple(file for file, (outcome, _) in done if outcome == "too_small"),
        broken=tuple((file, reason) for file, (outcome, reason) in done if outcome == "broken"),
        left_out=dict(listing.left_out + not_unpacked),
    )
    write_json(target / RECORD, settings | {"report": asdict(report)})
    return report


def claim(target: Path, source: Path, settings: dict[str, Any]) -> None:
    """Make the folder of a new set and mark it as ours.

    Args:
        target: the folder.
        source: of what is cropped.
        settings: what was cropped how; a call with others must not go on in the same folder.

    Raises:
        InputError: it lies in the source, holds something else, or crops with other settings.
    """
    if target.resolve().is_relative_to(source.resolve()):
        raise InputError(f"{target} lies in {source}, whose images are read; choose a folder outside")
    try:
        target.mkdir(parents=True, exist_ok=True)
        if (target / RECORD).exists():
            earlier = json.loads((target / RECORD).read_text(encoding="utf-8"))
            if {name: earlier.get(name) for name in settings} != settings:
                raise InputError(f"{target} holds crops with another margin or number of frames; choose another folder")
        elif any(target.iterdir()):
            raise InputError(f"{target} holds something else than crops; choose a new folder")
        else:
            write_json(target / RECORD, settings)
    except (OSError, AttributeError, json.JSONDecodeError) as error:
        raise InputError(f"{target} cannot be used ({error}); choose another folder") from error


def _new_names(listing: Listing) -> dict[str, str]:
    """Names of the crops by those of the images, all relative and with `/`."""
    # Without a suffix, what stands behind the last dot is part of the name: frame.0001.
    names = {file: f"{posixpath.splitext(file)[0] if says_image(file) else file}.jpg" for file in listing.files}
    if len(set(names.values())) < len(names):
        twice = next(name for name, count in Counter(names.values()).items() if count > 1)
        raise InputError(f"several images would be cropped to {twice}; rename all but one")
    return names


def _crop(root: Path, file: str, target: Path, margin: Margin) -> tuple[str, str]:
    """Crop one image; what became of it ("written", "several", or the field of the report) and why."""
    try:
        image = open_image(root / file)
    except ImageError as error:
        return "broken", without_path(str(error), str(root / file), file)
    faces = find_faces(image)
    if not faces:
        return "without_face", ""
    if faces[0].shortest_side < MIN_FACE:
        return "too_small", ""
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        image.crop(crop_region(faces[0], margin, image.size)).save(temporary, "JPEG", **JPEG)
    return ("several" if len(faces) > 1 else "written"), ""


def _write_tables(target: Path, names: dict[str, str], listing: Listing) -> None:
    """Write what tables said of the images that have a crop."""
    crops = [names[file] for file in listing.files]
    there = [(target / name).exists() for name in crops]
    if listing.columns:
        with replacing(target / "groups.csv") as temporary:
            pd.DataFrame({"file": crops, **listing.columns})[there].to_csv(temporary, index=False)
    if listing.from_tables:
        table = pd.DataFrame({"file_name": crops, "label": [LABELS[label] for label in listing.labels]})
        if (listing.splits >= 0).all():
            table["split"] = [SPLITS[split] for split in listing.splits]
        with replacing(target / "metadata.csv") as temporary:
            table[there].to_csv(temporary, index=False)
