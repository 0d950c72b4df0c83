"""Where the faces of an image are.

The detector is CenterFace (Xu, Yan, Sun, Yang and Luo, "CenterFace: Joint Face Detection and Alignment Using Face as
Point", arXiv:1911.03599), whose weights lie beside this file; centerface.LICENSE says where they come from.
"""

import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Array = NDArray[np.floating]

THRESHOLD = 0.4
"""Lowest score of a face. Lower finds more faces that fill the image, and more that are none."""

FINE, COARSE = 1024, 256
"""Longest side, px, to which an image is scaled down for the search for small faces and for that for all others. The
model's field of view is limited: of a face of more than about 256 px it often sees a part only."""

GLANCE = 128
"""Longest side, px, for a first look, a quarter of the work: enough where a face fills the image."""

SAME_FACE = 0.3
"""Two finds are one face if they share more than this of the smaller box, since a large face is found in parts too."""

_STRIDE = 4  # px per cell of the model's maps
_MULTIPLE = 32  # px by which the model can divide the sides
_GREY = (128, 128, 128)


@dataclass(frozen=True)
class Face:
    """A face in an image.

    Attributes:
        box: left, top, right, bottom in px of the image, clipped to it; without ears and hair.
        score: the detector's, in [0, 1].
        landmarks: x and y, px, of the left eye, right eye, nose, left and right corner of the mouth, where left is
            the left of the image when the face is upright.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: tuple[tuple[float, float], ...]

    @property
    def shortest_side(self) -> float:
        """Shortest side of the box, px."""
        left, top, right, bottom = self.box
        return min(right - left, bottom - top)


class Finds(NamedTuple):
    """N finds in px of an image: boxes (N, 4) left, top, right, bottom, scores (N,), landmarks (N, 5, 2)."""

    boxes: Array
    scores: Array
    landmarks: Array


def find_faces(image: Image.Image) -> list[Face]:
    """Find the faces of an image; several threads may do so at once.

    Args:
        image: RGB, upright, of any size.

    Returns:
        The faces, largest first.
    """
    longest = max(image.size)
    finds = [_search(image, min(longest, COARSE))]
    if longest > COARSE:
        fine = _search(image, min(longest, FINE))
        small = fine.boxes[:, 3] - fine.boxes[:, 1] < COARSE / min(longest, FINE) * longest
        finds.append(Finds(*(values[small] for values in fine)))
    return _faces(Finds(*map(np.concatenate, zip(*finds, strict=True))), image.size)


def glance(image: Image.Image) -> list[Face]:
    """Find faces that fill much of an image, at a fraction of the time of `find_faces`; small ones are missed.

    Args:
        image: RGB, upright, of any size.

    Returns:
        The faces, largest first.
    """
    return _faces(_search(image, min(max(image.size), GLANCE)), image.size)


def decode(maps: Array) -> Finds:
    """Read the model's maps, in which every cell may hold a face (section 3 of the paper).

    Args:
        maps: (15, R, C). One map of scores; the logarithm of the box's height and width in cells; by how much of a
            cell the box's centre lies below and right of the cell's centre; and five times how far below and right
            of the box's corner a landmark lies, as a share of the box.

    Returns:
        The finds with at least the score `THRESHOLD`, several for a face, in px of the model's input.
    """
    cells = np.nonzero(maps[0] >= THRESHOLD)
    scores, size, offset, landmarks = np.split(maps[:, *cells], [1, 3, 5])
    extent = np.exp(size) * _STRIDE
    corner = (np.stack(cells) + 0.5 + offset) * _STRIDE - extent / 2
    points = corner + landmarks.reshape(5, 2, -1) * extent
    # The maps have y before x; everybody else has x first.
    boxes = np.concatenate([corner[::-1], (corner + extent)[::-1]])
    return Finds(boxes.T, scores[0], points[:, ::-1].transpose(2, 0, 1))


def distinct(finds: Finds) -> Finds:
    """Keep one find of each face, that of the highest score (greedy non-maximum suppression).

    Args:
        finds: with several finds for a face.

    Returns:
        Finds of which no two share more than `SAME_FACE` of the smaller box, highest score first.
    """
    boxes = finds.boxes
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    kept = []
    waiting = np.argsort(-finds.scores, kind="stable")
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        sides = np.minimum(boxes[best, 2:], boxes[waiting, 2:]) - np.maximum(boxes[best, :2], boxes[waiting, :2])
        shared = sides.clip(min=0).prod(axis=1)
        waiting = waiting[shared <= SAME_FACE * np.minimum(areas[best], areas[waiting])]
    return Finds(*(values[kept] for values in finds))


def _search(image: Image.Image, longest: int) -> Finds:
    """Finds in an image scaled down to a longest side, in px of the image itself."""
    scale = longest / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    # The model takes RGB from 0 to 255 with sides that are multiples of 32; what is added lies right and below.
    padded = Image.new("RGB", (_padded(width), _padded(height)), _GREY)
    padded.paste(image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0))
    pixels = np.asarray(padded, np.float32).transpose(2, 0, 1)[None]
    outputs = _session().run(None, {"input.1": np.ascontiguousarray(pixels)})
    maps = np.concatenate([np.asarray(output) for output in outputs], axis=1)[0]
    # Finds whose centre lies in what was added are none.
    boxes, scores, landmarks = decode(maps[:, : -(-height // _STRIDE), : -(-width // _STRIDE)])
    return Finds(boxes / scale, scores, landmarks / scale)


_making = threading.Lock()


def _session() -> "InferenceSession":
    """The model, read once."""
    with _making:
        return _read_model()


@cache
def _read_model() -> "InferenceSession":
    """The model, run by the calling thread alone: callers bring their own threads or processes, even forked ones."""
    import onnxruntime  # a face crop needs none of it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = Path(__file__).with_name("centerface.onnx")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _padded(side: int) -> int:
    """The side that the model can take, px."""
    return -(-side // _MULTIPLE) * _MULTIPLE


def _faces(finds: Finds, size: tuple[int, int]) -> list[Face]:
    """One face for all finds of it, largest first."""
    boxes, scores, landmarks = distinct(finds)
    boxes = boxes.clip(0, size * 2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return [_face(boxes[i], scores[i], landmarks[i]) for i in np.argsort(-areas, kind="stable")]


def _face(box: Array, score: np.floating, landmarks: Array) -> Face:
    """One find in plain numbers."""
    left, top, right, bottom = box.tolist()
    return Face((left, top, right, bottom), float(score), tuple((x, y) for x, y in landmarks.tolist()))
