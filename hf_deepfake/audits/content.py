"""What an image shows besides a face's own looks: how many faces, how large, where, and whether it is grey."""

import numpy as np
from PIL import Image

from hf_deepfake.images.faces import find_faces

CONTENT = {
    "faces": "faces",
    "face_height": "height of the main face",
    "face_x": "main face, from left",
    "face_y": "main face, from top",
    "outside": "share of the image outside faces",
    "greyness": "greyness",
}
"""Names of the features, with what they are called in a report."""


def content(image: Image.Image) -> dict[str, float]:
    """Measure what an image shows.

    Args:
        image: RGB.

    Returns:
        `CONTENT` by name: sizes and places of the largest face as shares of the image's sides, NaN without a face;
        `outside` in [0, 1]; `greyness` 1 for a grey image, less the more colour there is.
    """
    faces = find_faces(image)
    covered = np.zeros((64, 64), bool)
    shares = np.array([face.box for face in faces]).reshape(-1, 4) / np.tile(image.size, 2)
    for left, top, right, bottom in np.clip(np.round(shares * 64), 0, 64).astype(int):
        covered[top:bottom, left:right] = True
    main = shares[0] if len(faces) else np.full(4, np.nan)
    small = np.asarray(image.resize((64, 64), Image.Resampling.BOX, reducing_gap=2.0), np.float64)
    return {
        "faces": float(len(faces)),
        "face_height": float(main[3] - main[1]),
        "face_x": float(main[0] + main[2]) / 2,
        "face_y": float(main[1] + main[3]) / 2,
        "outside": 1 - float(covered.mean()),
        "greyness": 1 - float((small.max(axis=2) - small.min(axis=2)).mean()) / 255,
    }
