"""Properties of images by which errors are grouped: light, detail, compression, and how the face is held."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import Dataset, Image

from hf_deepfake.audits.facts import file_facts
from hf_deepfake.audits.statistics import statistics
from hf_deepfake.images.faces import Face, find_faces
from hf_deepfake.images.open import open_image
from hf_deepfake.machine import usable_cores

MEASURED = ("brightness", "contrast", "saturation", "sharpness", "noise", "quality", "face", "turn", "tilt")
"""Those of `metrics.error_groups.ATTRIBUTES` that are measured here."""

_ALONE = 64  # with fewer images, starting workers costs more than it saves


def measure_attributes(dataset: Dataset) -> pd.DataFrame:
    """Measure images on all cores that this process may use.

    Args:
        dataset: N rows with the column image.

    Returns:
        float64 (N, `MEASURED`), NaN for what an image does not have.

    Raises:
        ImageError: an image cannot be opened.
    """
    images = dataset.select_columns(["image"]).cast_column("image", Image(decode=False))["image"]
    sources = [image["bytes"] or image["path"] for image in images]
    if len(sources) < _ALONE or usable_cores() == 1:
        rows = list(map(attributes, sources))
    else:
        with ProcessPoolExecutor(usable_cores()) as workers:
            rows = list(workers.map(attributes, sources, chunksize=16))
    return pd.DataFrame(rows, columns=list(MEASURED), dtype=np.float64)


def attributes(source: str | bytes) -> dict[str, float]:
    """Measure one image.

    Args:
        source: path, or the file's bytes.

    Returns:
        `MEASURED` by name: brightness (luma), contrast and noise in [0, 255], saturation in [0, 1], sharpness as
        `audits.statistics` has it, JPEG quality; the shorter side of the largest face, px, and how it is turned and
        tilted (see `pose`). NaN for no JPEG and no face.
    """
    encoded = Path(source).read_bytes() if isinstance(source, str) else source
    image = open_image(encoded)
    seen = statistics(image)
    faces = find_faces(image)
    turn, tilt = pose(faces[0]) if faces else (np.nan, np.nan)
    return {
        "brightness": 0.299 * seen["red"] + 0.587 * seen["green"] + 0.114 * seen["blue"],
        **{name: seen[name] for name in ("contrast", "saturation", "sharpness", "noise")},
        "quality": file_facts(encoded)["quality"],
        "face": faces[0].shortest_side if faces else np.nan,
        "turn": turn,
        "tilt": tilt,
    }


def pose(face: Face) -> tuple[float, float]:
    """Tell how a head is held from the face's five landmarks.

    Args:
        face: with landmarks.

    Returns:
        How far the nose lies from the middle between the eyes, along the line through them and in their distance (0
        for a frontal face, about .5 where the nose covers an eye), and the angle between that line and the
        image's rows in degrees, both without sign.
    """
    left, right, nose = (np.array(point) for point in face.landmarks[:3])
    along = right - left
    distance = max(float(np.hypot(*along)), 1e-6)
    turn = float((nose - (left + right) / 2) @ along) / distance**2
    tilt = np.degrees(np.arctan2(along[1], along[0]))
    return abs(turn), abs(float(tilt))
