"""The families of degradations with their severities, drawn at random for training and one by one for tests."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from hf_deepfake.errors import InputError
from hf_deepfake.images import degradations as changes
from hf_deepfake.images import video_compression as video
from hf_deepfake.images import weather
from hf_deepfake.images.degradations import Apply

SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Family:
    """A kind of degradation.

    Attributes:
        apply: what it does.
        strengths: its strengths at severities 1 to 5.
        unit: what a strength is; lengths are in px of an image whose shorter side is 224 px.
    """

    apply: Apply
    strengths: tuple[float, float, float, float, float]
    unit: str


FAMILIES = {
    "hue": Family(changes.hue, (8, 15, 30, 45, 60), "degrees"),
    "saturation": Family(changes.saturation, (1.2, 1.5, 2, 3, 5), "factor, or one over it"),
    "grey": Family(changes.grey, (0.2, 0.4, 0.6, 0.8, 1), "share"),
    "brightness": Family(changes.brightness, (1.15, 1.3, 1.5, 1.8, 2.2), "factor, or one over it"),
    "contrast": Family(changes.contrast, (1.15, 1.3, 1.6, 2, 3), "factor, or one over it"),
    "gaussian_blur": Family(changes.gaussian_blur, (0.5, 1, 1.5, 2.5, 4), "sigma, px"),
    "average_blur": Family(changes.average_blur, (0.5, 1, 2, 3, 5), "radius, px"),
    "median_blur": Family(changes.median_blur, (1, 2, 3, 5, 8), "times 3 by 3 px"),
    "motion_blur": Family(changes.motion_blur, (3, 5, 9, 13, 19), "length, px"),
    "defocus": Family(changes.defocus, (1, 1.5, 2.5, 4, 6), "radius, px"),
    "sharpen": Family(changes.sharpen, (0.5, 1, 2, 3, 5), "share of the detail added"),
    "emboss": Family(changes.emboss, (0.15, 0.3, 0.5, 0.7, 0.9), "share"),
    "gaussian_noise": Family(changes.gaussian_noise, (0.01, 0.03, 0.05, 0.08, 0.12), "sigma, of 1"),
    "laplace_noise": Family(changes.laplace_noise, (0.01, 0.03, 0.05, 0.08, 0.12), "sigma, of 1"),
    "poisson_noise": Family(changes.poisson_noise, (500, 200, 100, 50, 25), "photons for white"),
    "impulse_noise": Family(changes.impulse_noise, (0.002, 0.005, 0.015, 0.03, 0.06), "share of pixels"),
    "speckle": Family(changes.speckle, (0.03, 0.06, 0.1, 0.18, 0.3), "sigma, share of the pixel"),
    "jpeg": Family(changes.jpeg, (90, 75, 60, 40, 30), "quality"),
    "webp": Family(changes.webp, (90, 75, 50, 30, 10), "quality"),
    "double_jpeg": Family(changes.double_jpeg, (90, 75, 60, 40, 30), "quality of the second"),
    "h264_still": Family(video.h264_still, (18, 23, 28, 34, 40), "CRF"),
    "h264_clip": Family(video.h264_clip, (18, 23, 28, 34, 40), "CRF"),
    "pixelate": Family(changes.pixelate, (1.5, 2, 3, 4, 6), "side of a square, px"),
    "pooling": Family(changes.pooling, (2, 3, 4, 5, 6), "side of a square, px"),
    "quantise": Family(changes.quantise, (64, 32, 16, 8, 5), "levels"),
    "dropout": Family(changes.dropout, (0.02, 0.05, 0.1, 0.15, 0.25), "share covered"),
    "elastic": Family(changes.elastic, (0.7, 1.5, 2.5, 3.5, 5), "sigma of the corners, px"),
    "fog": Family(weather.fog, (0.2, 0.35, 0.5, 0.65, 0.8), "share"),
    "snow": Family(weather.snow, (0.05, 0.1, 0.18, 0.28, 0.4), "share"),
    "rain": Family(weather.rain, (0.1, 0.2, 0.35, 0.5, 0.7), "share"),
    "spatter": Family(weather.spatter, (0.03, 0.06, 0.12, 0.2, 0.3), "share covered"),
    "resize": Family(changes.resize, (160, 128, 112, 80, 56), "shorter side in between, px"),
    "screenshot": Family(changes.screenshot, (0.2, 0.4, 0.6, 0.8, 1), "of 1"),
}
"""All families by name; a higher severity changes more."""

MILD = {
    "jpeg": (1, 2, 3, 4),
    "h264_still": (2,),
    "h264_clip": (2,),
    "gaussian_blur": (1, 2, 3),
    "resize": (1, 2, 3),
    "gaussian_noise": (1, 2, 3),
}
"""What an image meets on any platform, by family and severities: JPEG of quality 40 and more, H.264 of CRF 23, blur
of a sigma up to 1.5 px, a shorter side of 112 px and more, noise up to .05. The worst of these is what a detector has
to be good for."""

MOST = 3
"""Degradations of one training image at most."""


def degrade(image: Image.Image, family: str, severity: int, seed: int | tuple[int, ...]) -> Image.Image:
    """Degrade an image in a stated way.

    Args:
        image: RGB.
        family: of `FAMILIES`.
        severity: 1 to 5.
        seed: of what is left to chance; the same seed gives the same image.

    Returns:
        RGB, of the same size.

    Raises:
        InputError: there is no such family or severity.
    """
    if family not in FAMILIES or severity not in SEVERITIES:
        raise InputError(
            f"there is no degradation {family} of severity {severity}; give 1 to 5 of {', '.join(FAMILIES)}"
        )
    kind = FAMILIES[family]
    return kind.apply(image, kind.strengths[severity - 1], np.random.default_rng(seed))


def degrade_at_random(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Degrade a training image: one to three different families in any order, each of any severity.

    Args:
        image: RGB.
        rng: draws families, severities and what they leave to chance.

    Returns:
        RGB, of the same size.
    """
    names = list(FAMILIES)
    for place in rng.permutation(len(names))[: rng.integers(1, MOST + 1)]:
        kind = FAMILIES[names[place]]
        image = kind.apply(image, kind.strengths[rng.integers(len(SEVERITIES))], rng)
    return image


@dataclass(frozen=True)
class Degrade:
    """Degrades the images of a training run, or all images in one stated way; for `data.batch.DecodedImages`.

    Attributes:
        seed: of the run; with an image's index it seeds all that is drawn, so that neither the class of an image
            nor the order of images has a say.
        condition: a family and a severity; None draws for each image.
        share: of images that are degraded, 0 to 1.
    """

    seed: int
    condition: tuple[str, int] | None = None
    share: float = 1.0

    def __call__(self, image: Image.Image, index: int) -> Image.Image:
        """Degrade an image by its index."""
        if self.condition is None:
            rng = np.random.default_rng((self.seed, index))
            return degrade_at_random(image, rng) if rng.random() < self.share else image
        return degrade(image, *self.condition, seed=(self.seed, index))


def conditions(level: Literal["mild", "full"]) -> Iterator[tuple[str, int]]:
    """Name families with severities.

    Args:
        level: "full" for all of them; "mild" for the mild set.

    Yields:
        Family and severity.
    """
    chosen = MILD if level == "mild" else dict.fromkeys(FAMILIES, SEVERITIES)
    for family, severities in chosen.items():
        for severity in severities:
            yield family, severity
