"""What happens to images on their way: colour, blur, noise, compression, resolution, weather, screenshots.

Each is a function of an RGB image, a strength and a random generator; the image keeps its size. Lengths are in
pixels of an image whose shorter side is `REFERENCE`, and grow with the image.
"""

import io
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from PIL.Image import Resampling, Transform
from torch.nn import functional

Apply = Callable[[Image.Image, float, np.random.Generator], Image.Image]
"""From an RGB image, a strength and a generator to an RGB image of the same size."""

REFERENCE = 224
"""Shorter side, px, of the images for which lengths are given."""

_KERNELS = (Resampling.NEAREST, Resampling.BOX, Resampling.BILINEAR, Resampling.BICUBIC, Resampling.LANCZOS)


def scaled(image: Image.Image, length: float) -> float:
    """A length at the reference size, in pixels of this image."""
    return length * min(image.size) / REFERENCE


def sign_of(rng: np.random.Generator) -> int:
    """1 or -1."""
    return int(rng.choice((-1, 1)))


def unit(image: Image.Image) -> NDArray[np.float32]:
    """Pixels in [0, 1], float32 (H, W, 3)."""
    return (np.asarray(image) / 255).astype(np.float32)


def to_image(values: NDArray) -> Image.Image:
    """An image of values in [0, 1], clipped."""
    return Image.fromarray((np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8))


# Colour


def hue(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Turn all hues, degrees to either side."""
    parts = list(image.convert("HSV").split())
    turn = round(sign_of(rng) * strength / 360 * 256)
    parts[0] = parts[0].point(lambda value: (value + turn) % 256)
    return Image.merge("HSV", parts).convert("RGB")


def saturation(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Multiply saturation by a factor, or by one over it."""
    return ImageEnhance.Color(image).enhance(strength ** sign_of(rng))


def brightness(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Multiply brightness by a factor, or by one over it."""
    return ImageEnhance.Brightness(image).enhance(strength ** sign_of(rng))


def contrast(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Multiply contrast by a factor, or by one over it."""
    return ImageEnhance.Contrast(image).enhance(strength ** sign_of(rng))


def grey(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Blend with its grey version."""
    return Image.blend(image, image.convert("L").convert("RGB"), strength)


# Blur and edges


def gaussian_blur(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Blur with a Gaussian."""
    return image.filter(ImageFilter.GaussianBlur(scaled(image, strength)))


def average_blur(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Take means over a square."""
    return image.filter(ImageFilter.BoxBlur(scaled(image, strength)))


def median_blur(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Take medians over squares of 3 by 3, this many times."""
    filters = ImageFilter.MedianFilter(3)
    for _ in range(max(1, round(scaled(image, strength)))):
        image = image.filter(filters)
    return image


def motion_blur(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Take means over a line of any direction."""
    length = max(2.0, scaled(image, strength))
    angle = rng.uniform(0, np.pi)
    along = np.linspace(-length / 2, length / 2, 4 * round(length) + 1)
    return to_image(spread(unit(image), along * np.cos(angle), along * np.sin(angle)))


def defocus(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Take means over a disc."""
    radius = max(1.0, scaled(image, strength))
    reach = np.arange(-radius, radius + 0.25, 0.25)
    x, y = (one.ravel() for one in np.meshgrid(reach, reach))
    inside = np.hypot(x, y) <= radius
    return to_image(spread(unit(image), x[inside], y[inside]))


def spread(pixels: NDArray[np.float32], x: NDArray, y: NDArray) -> NDArray[np.float32]:
    """Spread each pixel of (H, W, C) evenly over these offsets, in px."""
    across, down = (round(float(np.abs(one).max())) for one in (x, y))
    edges = np.arange(-down - 0.5, down + 1), np.arange(-across - 0.5, across + 1)
    kernel = torch.from_numpy(np.histogram2d(y, x, bins=edges)[0].astype(np.float32))
    bands = torch.from_numpy(pixels).permute(2, 0, 1)[:, None]
    padded = functional.pad(bands, (across, across, down, down), mode="replicate")
    return functional.conv2d(padded, (kernel / kernel.sum())[None, None])[:, 0].permute(1, 2, 0).numpy()


def sharpen(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Mask unsharply, by a share of the difference."""
    return image.filter(ImageFilter.UnsharpMask(scaled(image, 2), round(100 * strength), 0))


def emboss(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Blend with its relief."""
    return Image.blend(image, image.filter(ImageFilter.EMBOSS), strength)


# Noise


def gaussian_noise(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Add normal noise."""
    return to_image(unit(image) + rng.standard_normal((*image.size[::-1], 3), np.float32) * np.float32(strength))


def laplace_noise(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Add noise with heavier tails, of this standard deviation."""
    return to_image(unit(image) + rng.laplace(0, strength / np.sqrt(2), (*image.size[::-1], 3)))


def poisson_noise(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Count photons, of which white has this many."""
    return to_image(rng.poisson(unit(image) * strength) / strength)


def impulse_noise(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Make a share of the pixels black or white."""
    pixels = np.array(image)
    chance = rng.random(pixels.shape[:2], np.float32)
    pixels[chance < strength / 2] = 0
    pixels[chance > 1 - strength / 2] = 255
    return Image.fromarray(pixels)


def speckle(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Multiply by normal noise around 1."""
    pixels = unit(image)
    return to_image(pixels * (1 + rng.standard_normal(pixels.shape, np.float32) * np.float32(strength)))


# Compression and resolution


def _saved(image: Image.Image, form: str, quality: float) -> Image.Image:
    """Saved and opened again."""
    buffer = io.BytesIO()
    image.save(buffer, form, quality=round(quality))
    return Image.open(buffer).convert("RGB")


def jpeg(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Save as JPEG."""
    return _saved(image, "JPEG", strength)


def webp(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Save as WebP."""
    return _saved(image, "WEBP", strength)


def double_jpeg(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Save as JPEG, move the image against the grid of blocks, and save again."""
    first = _saved(image, "JPEG", rng.uniform(strength, 100))
    x, y = rng.integers(1, 8, 2).tolist()
    return _rolled(_saved(_rolled(first, x, y), "JPEG", strength), -x, -y)


def _rolled(image: Image.Image, x: int, y: int) -> Image.Image:
    """Shifted, with what leaves on one side coming back on the other."""
    return Image.fromarray(np.roll(np.asarray(image), (y, x), (0, 1)))


def pixelate(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Show squares of one colour each."""
    small = _smaller(image, strength, Resampling.BOX)
    return small.resize(image.size, Resampling.NEAREST)


def pooling(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Keep the largest or the smallest value of each square, and enlarge smoothly."""
    side = max(2, round(scaled(image, strength)))
    pixels = torch.from_numpy(unit(image)).permute(2, 0, 1)[None] * (sign := sign_of(rng))
    pooled = sign * functional.max_pool2d(pixels, side, ceil_mode=True)
    return to_image(pooled[0].permute(1, 2, 0).numpy()).resize(image.size, Resampling.BILINEAR)


def quantise(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Keep a number of levels of each colour."""
    steps = strength - 1
    return to_image(np.round(unit(image) * steps) / steps)


def resize(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Shrink to a shorter side and enlarge again, each by a kernel of chance."""
    return _smaller(image, REFERENCE / strength, _kernel(rng)).resize(image.size, _kernel(rng))


def _smaller(image: Image.Image, times: float, kernel: Resampling) -> Image.Image:
    """Shrunk, to one pixel at least."""
    return image.resize((max(1, round(image.width / times)), max(1, round(image.height / times))), kernel)


def _kernel(rng: np.random.Generator) -> Resampling:
    """Any of the kernels with which images are resized."""
    return _KERNELS[rng.integers(len(_KERNELS))]


def screenshot(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Show in another size on a page, take an image of the screen, save, and crop roughly.

    The strength from 0 to 1 sets how far size and quality go, and how much of the page is left.
    """
    shown = image.resize(_times(image, 1 + sign_of(rng) * strength * rng.uniform(0.3, 0.6)), _kernel(rng))
    margin = [round(rng.uniform(0, 0.12) * strength * side) for side in (*shown.size, *shown.size)]
    page = int(rng.choice((0, 24, 240, 255)))
    saved = _saved(ImageOps.expand(shown, tuple(margin), (page,) * 3), "JPEG", 95 - 50 * strength)
    return saved.resize(image.size, _kernel(rng))


def _times(image: Image.Image, factor: float) -> tuple[int, int]:
    """Both sides times a factor."""
    return max(1, round(image.width * factor)), max(1, round(image.height * factor))


def dropout(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Cover a share of the image by rectangles of one colour each."""
    pixels = np.array(image)
    height, width = pixels.shape[:2]
    count = int(rng.integers(2, 9))
    for _ in range(count):
        aspect = np.sqrt(rng.uniform(0.5, 2))
        tall, wide = (max(1, round(one * np.sqrt(strength / count))) for one in (height * aspect, width / aspect))
        top, left = rng.integers(0, max(1, height - tall)), rng.integers(0, max(1, width - wide))
        pixels[top : top + tall, left : left + wide] = rng.integers(0, 256, 3)
    return Image.fromarray(pixels)


def elastic(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Bend smoothly: the corners of a grid of 8 by 8 move, its borders do not."""
    x, y = (np.linspace(0, side, 9) for side in image.size)
    corners = np.stack(np.meshgrid(x, y), axis=-1)
    corners[1:-1, 1:-1] += rng.standard_normal((7, 7, 2)) * scaled(image, strength)
    mesh = [
        (
            (int(x[column]), int(y[row]), int(x[column + 1]), int(y[row + 1])),
            tuple(corners[[row, row + 1, row + 1, row], [column, column, column + 1, column + 1]].ravel()),
        )
        for row in range(8)
        for column in range(8)
    ]
    return image.transform(image.size, Transform.MESH, mesh, Resampling.BILINEAR)
