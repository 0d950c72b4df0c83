"""What the detector says of an image, and where it looked."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from hf_deepfake.explain.overlay import draw_overlay, shade

Label = Literal["real", "fake"]


@dataclass(frozen=True)
class FaceVerdict:
    """What the model says about one face.

    Attributes:
        box: of the face, (left, top, right, bottom) in px of the upright image.
        label: "real" or "fake".
        score: softmax of that label, in [.5, 1].
        fake_probability: softmax of "fake", in [0, 1].
        unsure: the score lies in the checkpoint's abstention band.
    """

    box: tuple[float, float, float, float]
    label: Label
    score: float
    fake_probability: float
    unsure: bool


@dataclass(frozen=True, repr=False)
class Verdict:
    """What the model says about one image: that of the face which looks most like a fake. It prints as one line.

    On a face crop, or with `faces="off"`, label and score are those of transformers' pipeline.

    Attributes:
        label: "real" or "fake".
        score: softmax of that label, in [.5, 1]; temperature and operating point are folded in, so that .5 is
            the operating point itself.
        fake_probability: softmax of "fake", in [0, 1], folded likewise.
        unsure: the score should not be acted upon, because it lies in the checkpoint's abstention band or because no
            face large enough was found.
        faces: the faces that were evaluated, largest first; empty where none was looked for or found.
        reasons: sentences on what is special about this image, such as why it is unsure.
    """

    label: Label
    score: float
    fake_probability: float
    unsure: bool = False
    faces: tuple[FaceVerdict, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The verdict in a few words, such as "fake, score 0.93" or "unsure (leans to fake, score 0.55)"."""
        said = f"{self.label}, score {self.score:.2f}"
        return f"unsure (leans to {said})" if self.unsure else said

    def __str__(self) -> str:
        of = f" ({len(self.faces)} faces; the one most like a fake decides)" if len(self.faces) > 1 else ""
        return ". ".join([f"{self.title}{of}", *([" ".join(self.reasons)] if self.reasons else [])])

    def __repr__(self) -> str:
        return f"<Verdict: {self}>"

    def to_dict(self) -> dict[str, Any]:
        """The verdict in JSON's types."""
        return asdict(self)


@dataclass(frozen=True)
class Explanation:
    """A verdict and the map of what speaks for it.

    Attributes:
        verdict: on the image.
        image: the image as it was evaluated: upright, RGB.
        heatmap: float32 (H, W) in [0, 1], in the image's own pixels: how strongly each place speaks for the
            verdict's label; 0 outside the evaluated faces.
    """

    verdict: Verdict
    image: Image
    heatmap: NDArray[np.float32]

    @property
    def shaded(self) -> Image:
        """The image under its heat map: RGB, as large as the image."""
        return shade(self.image, self.heatmap)

    @property
    def overlay(self) -> Image:
        """A figure to show: the shaded image with boxes, colour bar and the verdict as caption; RGB."""
        boxes = [face.box for face in self.verdict.faces]
        return draw_overlay(self.image, self.heatmap, self.verdict.title, boxes)
