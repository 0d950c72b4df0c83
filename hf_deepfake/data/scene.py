"""Draws a scene with a face from random numbers: heights lit from one side, features, hair, background, noise.

No photograph is needed to try the package; the drawings have what detectors look at (texture, lighting, edges, noise).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.float32]

_SKIN = np.array([[0.97, 0.84, 0.74], [0.87, 0.67, 0.53], [0.68, 0.47, 0.34], [0.40, 0.26, 0.19]])
_HAIR = np.array([[0.10, 0.08, 0.07], [0.26, 0.16, 0.10], [0.47, 0.31, 0.17], [0.75, 0.60, 0.38], [0.62, 0.60, 0.58]])
_IRIS = np.array([[0.28, 0.17, 0.09], [0.30, 0.36, 0.20], [0.26, 0.40, 0.54], [0.16, 0.10, 0.07]])


@dataclass(frozen=True)
class Scene:
    """A drawn image and where its head is.

    Attributes:
        image: float32 (S, S, 3) RGB in [0, 1].
        centre: x and y of the head's middle, px.
        scale: half the height of the head, px.
        angle: how far the head leans, radians, clockwise.
        turn: how far it is turned to the right, as a share of `scale` by which the features shift.
    """

    image: Array
    centre: tuple[float, float]
    scale: float
    angle: float
    turn: float

    def to_head(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Pixel positions as head coordinates: right and down from between the eyes, in half heights of the head."""
        x, y = x - self.centre[0], y - self.centre[1]
        cosine, sine = np.cos(self.angle) / self.scale, np.sin(self.angle) / self.scale
        return (x * cosine + y * sine - self.turn).astype(np.float32), (y * cosine - x * sine).astype(np.float32)


def noise(rng: np.random.Generator, size: int, cells: tuple[int, int]) -> Array:
    """Band-limited noise, float32 (size, size), of about unit variance, with `cells` (rows, columns) random values."""
    grid = rng.standard_normal(cells).astype(np.float32)
    smooth = np.asarray(Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC))
    return smooth / max(float(smooth.std()), 1e-6)


def draw_scene(rng: np.random.Generator, size: int) -> Scene:
    """Draw one scene.

    Args:
        rng: decides on everything: pose, colours, light, hair, texture.
        size: side of the image, px.

    Returns:
        The scene.
    """
    scene = Scene(
        image=_background(rng, size),
        centre=(size * (0.5 + rng.uniform(-0.05, 0.05)), size * (0.51 + rng.uniform(-0.04, 0.04))),
        scale=size * rng.uniform(0.33, 0.40),
        angle=rng.normal(0, 0.09),
        turn=rng.uniform(-0.13, 0.13),
    )
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    u, v = scene.to_head(x, y)
    soft = 1.2 / scene.scale  # edges fade over about a pixel
    light = np.array([rng.uniform(-0.8, 0.8), rng.uniform(-0.7, 0.1), rng.uniform(0.7, 1.2)])
    tint = 1 + rng.normal(0, 0.04, 3)
    skin = _between(rng, _SKIN)
    hair = _between(rng, _HAIR)
    image = scene.image

    head = u + scene.turn  # the outline stays where it is when the features turn
    width = rng.uniform(0.68, 0.78) * (1 - rng.uniform(0.16, 0.30) * np.clip(v, 0, 1) ** 2)
    radius = (head / width) ** 2 + v**2
    face = _inside(1 - np.sqrt(radius), soft)
    length = rng.choice([0.0, 0.5, 1.2])  # how far down the hair hangs
    volume = rng.uniform(1.12, 1.28)
    strands = 1 + 0.16 * noise(rng, size, (5, size // 3)) + 0.10 * noise(rng, size, (9, size // 2))
    gloss = 0.75 + 0.35 * np.clip(-light[0] * head * 0.5 - v * 0.5, -0.6, 1)
    lock = (hair * (strands * gloss)[..., None]).astype(np.float32)

    # From back to front: long hair, neck and clothes, face, features, fringe.
    behind = np.sqrt(
        (head / (width.max() * volume)) ** 2 + (np.where(v < 0, v / 1.12, v / max(length + 0.25, 0.4))) ** 2
    )
    _lay(image, lock * 0.8, _inside(1 - behind, soft * 2))
    neck = _inside(0.36 - np.abs(head), soft) * _inside(v - 0.3, soft)
    _lay(image, skin * (0.62 + 0.12 * light[0] * np.sign(head) * np.abs(head))[..., None], neck)
    cloth = (rng.uniform(0.15, 0.75) + rng.uniform(-0.15, 0.15, 3)) * (
        1 + 0.06 * noise(rng, size, (size // 4, size // 4))
    )[..., None]
    _lay(image, cloth, _inside(v - 1.18 - 0.25 * np.abs(head) ** 1.5, soft * 2))

    shade, shine = _shading(rng, u, v, radius, light, scene.scale)
    pores = 0.018 * noise(rng, size, (size // 2, size // 2)) + 0.020 * noise(rng, size, (size // 6, size // 6))
    flush = np.exp(-(((np.abs(u) - 0.36) / 0.2) ** 2) - ((v - 0.3) / 0.2) ** 2)[..., None] * np.array(
        [0.05, -0.02, -0.02]
    )
    surface = skin * (shade * (1 + pores))[..., None] + flush + 0.16 * shine[..., None]
    _lay(image, surface, face)
    _features(rng, image, u, v, soft, skin, hair, shade, light)

    line = rng.uniform(-0.72, -0.50) + rng.uniform(0.2, 0.6) * head**2 + rng.uniform(-0.3, 0.3) * head
    cap = _inside(1 - np.sqrt((head / (width * volume)) ** 2 + (v / 1.13) ** 2), soft * 2)
    _lay(image, lock, cap * _inside(line - v + 0.02 * noise(rng, size, (6, size // 4)), soft * 3))

    image *= tint.astype(np.float32)
    image += rng.uniform(0.008, 0.016) * rng.standard_normal(image.shape, np.float32)  # the camera's
    np.clip(image, 0, 1, out=image)
    return scene


def _between(rng: np.random.Generator, colours: NDArray) -> NDArray:
    """A colour somewhere between two neighbours of a list."""
    place = rng.uniform(0, len(colours) - 1)
    low = min(int(place), len(colours) - 2)
    return colours[low] + (place - low) * (colours[low + 1] - colours[low]) + rng.normal(0, 0.015, 3)


def _inside(depth: Array, soft: float) -> Array:
    """Opacity, rising from 0 to 1 where a signed depth goes from -soft to soft."""
    share = np.clip(depth / (2 * soft) + 0.5, 0, 1)
    return share * share * (3 - 2 * share)


def _lay(image: Array, colour: NDArray, opacity: Array) -> None:
    """Lay a colour (3,) or (S, S, 3) over the image."""
    image += (colour - image) * opacity[..., None]


def _background(rng: np.random.Generator, size: int) -> Array:
    """Two blurred colours with a coarse and a fine texture."""
    one, other = rng.uniform(0.15, 0.75, (2, 1)) + rng.uniform(-0.12, 0.12, (2, 3))
    mix = _inside(noise(rng, size, (int(rng.integers(2, 5)), int(rng.integers(2, 5)))), 1.0)[..., None]
    texture = 0.05 * noise(rng, size, (size // 10, size // 10)) + 0.02 * noise(rng, size, (size // 3, size // 3))
    return np.clip(one + (other - one) * mix + texture[..., None], 0, 1).astype(np.float32)


def _shading(
    rng: np.random.Generator, u: Array, v: Array, radius: Array, light: NDArray, scale: float
) -> tuple[Array, Array]:
    """Diffuse light and shine on the face, from the slopes of its heights."""

    def bump(x: float, y: float, wide: float, high: float) -> Array:
        return np.exp(-(((u - x) / wide) ** 2) - ((v - y) / high) ** 2)

    height = 0.75 * np.sqrt(np.clip(1.08 - radius, 0.02, None))
    height += rng.uniform(0.10, 0.16) * bump(0, 0.12, 0.10, 0.26) + 0.09 * bump(0, 0.27, 0.13, 0.09)
    for side in (-1, 1):
        height -= rng.uniform(0.05, 0.08) * bump(side * 0.30, -0.04, 0.17, 0.11)
        height += 0.05 * bump(side * 0.38, 0.22, 0.2, 0.16)
    height += 0.05 * bump(0, 0.56, 0.22, 0.09) + 0.05 * bump(0, 0.84, 0.18, 0.12) - 0.02 * bump(0, 0.69, 0.2, 0.05)
    down, right = np.gradient(height * scale)
    normal = np.stack([-right, -down, np.ones_like(u)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    towards = light / np.linalg.norm(light)
    facing = np.clip(normal @ towards, 0, 1)
    half = towards + np.array([0, 0, 1])  # between light and viewer (Blinn-Phong)
    shine = np.clip(normal @ (half / np.linalg.norm(half)), 0, 1) ** 24
    return (0.38 + 0.70 * facing).astype(np.float32), shine.astype(np.float32)


def _features(
    rng: np.random.Generator,
    image: Array,
    u: Array,
    v: Array,
    soft: float,
    skin: NDArray,
    hair: NDArray,
    shade: Array,
    light: NDArray,
) -> None:
    """Eyes, brows, nostrils and mouth."""
    lit = shade[..., None]
    iris = _between(rng, _IRIS)
    apart, opened, arch = rng.uniform(0.28, 0.33), rng.uniform(0.055, 0.085), rng.uniform(0.02, 0.07)
    gaze = rng.uniform(-0.03, 0.03)
    for side in (-1, 1):
        across, level = (u - side * apart) / 0.15, v + 0.04
        lid = opened * (1 - across**2)  # below zero beyond the corners, where `_inside` then shows nothing
        eye = _inside(np.minimum(level + lid, 0.75 * lid - level), soft * 0.7)
        _lay(
            image,
            skin * 0.55 * lit,
            _inside(0.035 - np.abs(level + lid + 0.01), soft) * _inside(1 - np.abs(across), 0.15),
        )
        _lay(image, np.array([0.92, 0.90, 0.88]) * lit, eye)
        distance = np.hypot(u - side * apart - gaze, level + 0.01)
        _lay(image, iris * (0.6 + 0.6 * lit), eye * _inside(0.068 - distance, soft * 0.7))
        _lay(image, np.array([0.03, 0.03, 0.03]), eye * _inside(0.030 - distance, soft * 0.7))
        glint = np.hypot(u - side * apart - gaze - 0.03 * light[0], level + 0.035)
        _lay(image, np.ones(3), 0.9 * eye * _inside(0.016 - glint, soft * 0.7))
        _lay(
            image,
            skin * 0.18,
            0.85 * _inside(0.014 - np.abs(level + lid), soft * 0.8) * _inside(1 - np.abs(across), 0.1),
        )
        brow = v + 0.235 + arch * (1 - ((u - side * (apart + 0.03)) / 0.2) ** 2)
        end = np.abs(u - side * (apart + 0.03)) / 0.21
        hairs = _inside(0.028 * (1.15 - end) - np.abs(brow), soft * 1.2) * _inside(1 - end, 0.1)
        _lay(image, hair * 0.55 * (0.5 + 0.5 * lit), 0.8 * hairs)
        nostril = np.hypot((u - side * 0.065) / 1.5, v - 0.335)
        _lay(image, skin * 0.30, 0.75 * _inside(0.024 - nostril, soft * 1.2))
    wide, full, smile = rng.uniform(0.21, 0.28), rng.uniform(0.045, 0.075), rng.uniform(-0.02, 0.06)
    taper = 1 - (u / wide) ** 2
    level = v - 0.56 + smile * (u / wide) ** 2
    lips = skin * np.array([0.80, 0.50, 0.50]) + np.array([0.06, 0.0, 0.01])
    upper = full * taper * (1 - 0.35 * np.exp(-((u / 0.05) ** 2)))
    _lay(image, lips * 0.88 * lit, 0.9 * _inside(np.minimum(level + upper, -level), soft))
    _lay(image, lips * 1.08 * lit, 0.9 * _inside(np.minimum(1.2 * full * taper - level, level), soft))
    _lay(image, skin * np.array([0.32, 0.20, 0.20]), 0.8 * _inside(0.010 * taper - np.abs(level), soft * 0.8))
