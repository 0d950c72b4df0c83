"""The sample set: drawn scenes, and the same scenes with a part of the face pasted over."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hf_deepfake.data.scene import Array, Scene, draw_scene, noise

QUALITY = 92
"""JPEG quality of all images: high enough to keep the traces of a fake, lossy as photographs are."""


def draw_sample(folder: Path, count: int = 300, size: int = 128, seed: int = 0) -> None:
    """Draw pairs of a scene and a fake made from it.

    Written are `images/real/` and `images/fake/` (JPEG), `images/groups.csv` (file, group = scene, manipulation)
    and, outside the images, `masks/` (8-bit grey PNG by the fake's name: how much of each pixel was pasted). Both
    images of a pair have the same size, format, quality and metadata.

    A fake is a soft-edged part of the face, from the same scene moved and recoloured ("warp") or from the face of the
    scene before ("swap"), a little blurred, laid over the scene, as face swaps and self-blended images
    are (Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022, section 3).

    Args:
        folder: existing folder to write to.
        count: number of pairs.
        size: side of the images, px.
        seed: decides on every pixel.
    """
    images = folder / "images"
    for name in ("real", "fake"):
        (images / name).mkdir(parents=True)
    (folder / "masks").mkdir()
    rows = ["file,group,manipulation"]
    donor = draw_scene(np.random.default_rng([seed, count]), size)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        scene = draw_scene(rng, size)
        kind = "warp" if rng.random() < 0.5 else "swap"
        fake, mask = _forge(rng, scene, scene if kind == "warp" else donor)
        name = f"{number:04d}"
        _image(scene.image).save(images / "real" / f"{name}.jpg", quality=QUALITY)
        _image(fake).save(images / "fake" / f"{name}.jpg", quality=QUALITY)
        _image(mask).save(folder / "masks" / f"{name}.png")
        rows += [f"real/{name}.jpg,scene-{name},", f"fake/{name}.jpg,scene-{name},{kind}"]
        donor = scene
    (images / "groups.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _forge(rng: np.random.Generator, scene: Scene, donor: Scene) -> tuple[Array, Array]:
    """Paste the inner face of `donor` into `scene`; also the mask, float32 (S, S) in [0, 1]."""
    size = len(scene.image)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    u, v = scene.to_head(x, y)
    # Eyes, nose and mouth, or one half of these.
    top, bottom = ((-0.42, 0.80), (-0.42, 0.20), (0.0, 0.80))[rng.choice(3, p=(0.6, 0.2, 0.2))]
    middle, high, wide = (top + bottom) / 2, (bottom - top) / 2, rng.uniform(0.46, 0.58)
    feather = rng.uniform(0.10, 0.22)
    depth = 1 - np.sqrt((u / wide) ** 2 + ((v - middle) / high) ** 2)
    mask = np.clip(depth / feather, 0, 1)
    mask = (mask * mask * (3 - 2 * mask)).astype(np.float32)

    pasted = _moved(rng, scene, donor)
    inner = mask[..., None]
    here, there = ((image * inner).sum((0, 1)) for image in (scene.image, pasted))
    pasted = pasted * (here / there) * (1 + rng.normal(0, 0.03, 3))  # colours matched, but not quite
    pasted *= np.clip(_light(scene.image) / _light(pasted), 0.6, 1.6)
    pasted += rng.uniform(0.6, 1.0) * (_blurred(pasted, rng.uniform(0.6, 0.95)) - pasted)
    pasted += rng.uniform(0.010, 0.018) * noise(rng, size, (size // 2, size // 2))[..., None]
    return np.clip(scene.image + inner * (pasted - scene.image), 0, 1).astype(np.float32), mask


def _moved(rng: np.random.Generator, scene: Scene, donor: Scene) -> Array:
    """The donor's image, moved so that its face lies about where the scene's is."""
    angle = donor.angle - scene.angle + rng.normal(0, 0.03)
    zoom = donor.scale / scene.scale * (1 + rng.normal(0, 0.03))
    cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
    # PIL asks where each target pixel comes from; the faces' middles, not the heads', are laid over each other.
    target, origin = (_face(one) + rng.normal(0, 0.01, 2) * one.scale for one in (scene, donor))
    shift = origin - np.array([[cosine, -sine], [sine, cosine]]) @ target
    matrix = (cosine, -sine, shift[0], sine, cosine, shift[1])
    channels = [
        Image.fromarray(channel).transform(channel.shape, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
        for channel in np.moveaxis(donor.image, 2, 0)
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=2)


def _face(scene: Scene) -> NDArray[np.float64]:
    """Position of the middle of the features, px."""
    return np.array(scene.centre) + scene.turn * scene.scale * np.array([np.cos(scene.angle), np.sin(scene.angle)])


def _light(image: Array) -> Array:
    """The light that falls on an image, (S, S, 1): what is left of its brightness at 6 x 6 px."""
    grey = Image.fromarray(image.mean(axis=2, dtype=np.float32))
    coarse = grey.resize((6, 6), Image.Resampling.BOX).resize(grey.size, Image.Resampling.BILINEAR)
    return np.asarray(coarse)[..., None] + 0.05


def _blurred(image: Array, sigma: float) -> Array:
    """Gaussian blur by three taps each way; `sigma` in px, below 1."""
    side = np.exp(-0.5 / sigma**2)
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = (side * padded[:-2] + padded[1:-1] + side * padded[2:]) / (1 + 2 * side)
    return (side * rows[:, :-2] + rows[:, 1:-1] + side * rows[:, 2:]) / (1 + 2 * side)


def _image(values: Array) -> Image.Image:
    """Values in [0, 1] as an 8-bit image."""
    return Image.fromarray((values * 255 + 0.5).astype(np.uint8))
