"""What the folders, names and lists of the field's video data sets say, of clips and of frames cut out of them.

FaceForensics++ (Rössler et al. 2019): `original_sequences/youtube/c23/videos/000.mp4`,
`manipulated_sequences/Deepfakes/c23/videos/000_003.mp4`, and train.json, val.json and test.json, lists of pairs of
videos. Celeb-DF (Li et al. 2020): `Celeb-real/id0_0000.mp4`, `Celeb-synthesis/id0_id1_0000.mp4`,
`YouTube-real/00000.mp4`.
"""

import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_deepfake.data.groups import video_prefix

_SEQUENCES = re.compile(r"(?:^|/)(original|manipulated)_sequences/([^/]+)/(raw|c\d+|masks)/")
_CELEB_DF = re.compile(r"(?:^|/)(?:Celeb-real|YouTube-real|Celeb-synthesis)/")
_VIDEO = re.compile(r"\d{3}(_\d{3})?|\d\d(_\d\d)?__.+|id\d+(_id\d+)?_\d{4}|\d{5}")


def layout_columns(files: Sequence[str]) -> dict[str, list[str | None]]:
    """Read columns out of the paths of FaceForensics++ and Celeb-DF.

    Args:
        files: N paths of clips or frames, with `/`.

    Returns:
        Manipulation ("Deepfakes"), compression ("c23") and video (the path up to the video's name), N values each, None
        where a path does not say it; only those columns that say anything.
    """
    columns: dict[str, list[str | None]] = {"manipulation": [], "compression": [], "video": []}
    for file in files:
        found = _SEQUENCES.search(file)
        kind, method, compression = found.groups() if found else (None, None, None)
        columns["manipulation"].append(method if kind == "manipulated" else None)
        columns["compression"].append(compression)
        columns["video"].append(_video(file, found or _CELEB_DF.search(file)))
    return {name: values for name, values in columns.items() if any(values)}


def is_mask(file: str) -> bool:
    """Whether a clip of FaceForensics++ shows the masks of a manipulation and no person."""
    found = _SEQUENCES.search(file)
    return found is not None and found[3] == "masks"


def read_pairs(path: Path) -> set[str] | None:
    """Read a list of pairs of videos, as FaceForensics++ has for each split.

    Args:
        path: of a JSON file.

    Returns:
        Names of the two videos of each pair, such as 000 and 003, and of the swaps of both, 000_003 and 003_000; None
        where the file is no such list.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    pairs = content if isinstance(content, list) else []
    if not pairs or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        return None
    if not all(isinstance(name, str) for pair in pairs for name in pair):
        return None
    return {name for one, other in pairs for name in (one, other, f"{one}_{other}", f"{other}_{one}")}


def listed_splits(files: Sequence[str], listed: Mapping[str, int]) -> NDArray[np.int8]:
    """Find the split of each file by the lists of all splits.

    Args:
        files: N paths of clips or frames, with `/`.
        listed: index in `SPLITS` by name of a video.

    Returns:
        int8 (N,), by the topmost folder that is listed, else by the file's own name, with the frame's number or
        without; -1 where none is.
    """
    found = np.full(len(files), -1, np.int8)
    for row, file in enumerate(files):
        *folders, name = file.split("/")
        stem = posixpath.splitext(name)[0]
        found[row] = next((listed[one] for one in (*folders, stem, video_prefix(stem) or "") if one in listed), -1)
    return found


def _video(file: str, found: re.Match[str] | None) -> str | None:
    """The path up to the name of a video, which stands below the folders that were found."""
    if found is None:
        return None
    place = found.end()
    *folders, name = file[place:].split("/")
    stem = posixpath.splitext(name)[0]
    for depth, part in enumerate(folders):
        if _VIDEO.fullmatch(part):
            return file[:place] + "/".join(folders[: depth + 1])
    part = next((part for part in (stem, video_prefix(stem)) if part and _VIDEO.fullmatch(part)), None)
    return None if part is None else file[:place] + "/".join([*folders, part])
