"""Weather over an image: fog, snow, rain, and drops on the lens.

Functions of an image, a strength and a random generator, like those of `degradations`.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from PIL.Image import Resampling

from hf_deepfake.images.degradations import scaled, spread, to_image, unit


def fog(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Blend with pale clouds, by up to this share."""
    clouds = _clouds(image, rng, octaves=(1, 2, 3, 4, 5))[..., None]
    cover = strength * (0.5 + 0.5 * clouds)
    return to_image(unit(image) * (1 - cover) + (0.75 + 0.25 * clouds) * cover)


def snow(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Lighten, and let white flakes fall on this share of the image."""
    flakes = _falling(image, strength, rng, length=4, size=2.0, slant=0.6)
    return to_image(np.maximum(unit(image) * (1 - strength) + strength, flakes))


def rain(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Darken, and let thin streaks fall on this share of the image."""
    streaks = _falling(image, strength, rng, length=20, size=0.7, slant=0.25)
    return to_image(unit(image) * (1 - 0.5 * strength) * (1 - 0.6 * streaks) + 0.5 * streaks)


def spatter(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Cover this share of the image by drops of water or mud."""
    clouds = _clouds(image, rng, octaves=(4, 5, 6))
    edge = np.quantile(clouds, 1 - strength)
    drops = np.clip((clouds - edge) * 12, 0, 1)[..., None]
    colour = np.array(((0.7, 0.75, 0.8), (0.25, 0.17, 0.1))[rng.integers(2)], np.float32)
    return to_image(unit(image) * (1 - 0.8 * drops) + colour * 0.8 * drops)


def _clouds(image: Image.Image, rng: np.random.Generator, octaves: tuple[int, ...]) -> NDArray[np.float32]:
    """Smooth noise in [0, 1] of the image's size (H, W), each octave half as strong as the coarser one."""
    clouds = np.zeros(image.size[::-1], np.float32)
    for octave in octaves:
        noise = Image.fromarray(rng.random((2**octave + 1, 2**octave + 1), np.float32))
        clouds += np.asarray(noise.resize(image.size, Resampling.BICUBIC)) / 2**octave
    low, high = clouds.min(), clouds.max()
    return (clouds - low) / (high - low)


def _falling(
    image: Image.Image, share: float, rng: np.random.Generator, *, length: float, size: float, slant: float
) -> NDArray[np.float32]:
    """White streaks on black in [0, 1], (H, W, 1): `length` by `size` px, up to `slant` to either side of the plumb."""
    area = scaled(image, length) * scaled(image, size)
    points = rng.random(image.size[::-1], np.float32) < share / max(area, 1.0)
    points[[0, -1]] = points[:, [0, -1]] = False  # what lies on the border would go on beyond it
    dots = Image.fromarray(points.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(scaled(image, size) / 2))
    along = np.linspace(0, scaled(image, length), 4 * round(scaled(image, length)) + 1)
    streaks = spread(unit(dots)[..., None], along * rng.uniform(-slant, slant), along)
    return np.clip(streaks / max(float(np.quantile(streaks, 1 - share / 2)), 1e-6), 0, 1)
