import io

import numpy as np
from PIL import Image

from hf_deepfake.explain.overlay import viridis
from hf_deepfake.forensics.views import SIDE, draw_views, error_level, noise_residual, spectrum, window

LEVELS = {tuple(viridis()[3 * level : 3 * level + 3]): level for level in range(256)}


def levels(view):
    """Values of a view in [0, 255], from its colours."""
    return np.array([[LEVELS[tuple(pixel)] for pixel in row] for row in np.asarray(view).tolist()])


def noise(size=64):
    return np.random.default_rng(0).integers(0, 255, (size, size, 3), np.uint8)


def test_window_keeps_the_grid_of_blocks():
    image = Image.fromarray(np.indices((1200, 2000)).sum(axis=0).astype(np.uint8)).convert("RGB")
    cut = window(image)
    assert cut.size == (SIDE, SIDE)
    left, top = (2000 - SIDE) // 16 * 8, (1200 - SIDE) // 16 * 8
    assert cut.getpixel((0, 0))[0] == (left + top) % 256
    assert window(image.resize((50, 40))).size == (50, 40)


def test_error_level_tells_saved_from_unsaved():
    pixels = noise()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, subsampling=0)
    saved = np.asarray(Image.open(buffer))
    # The left half has been through the same JPEG before and hardly changes again.
    pixels[:, :32] = saved[:, :32]
    found = levels(error_level(Image.fromarray(pixels)))
    assert found[:, :32].mean() < 0.5 * found[:, 32:].mean()
    assert not levels(error_level(Image.new("RGB", (64, 64), (90, 90, 90)))).any()


def test_noise_residual_by_hand():
    pixels = np.full((33, 33, 3), 100, np.uint8)
    pixels[10, 20] = 106  # a lone pixel is removed whole: 6 of 12 is half of the scale
    found = levels(noise_residual(Image.fromarray(pixels)))
    assert found[10, 20] == 127
    assert found.sum() == 127


def test_spectrum_shows_a_period():
    columns = 127 + 100 * np.sin(2 * np.pi * np.arange(64) / 8)
    image = Image.fromarray(np.tile(columns, (64, 1)).astype(np.uint8)).convert("RGB")
    found = levels(spectrum(image))
    assert found.shape == (64, 64)
    peaks = {tuple(place) for place in np.argwhere(found >= 250)}
    assert (32, 32 + 64 // 8) in peaks
    assert (32, 32 - 64 // 8) in peaks
    assert all(abs(row - 32) <= 1 for row, _ in peaks)


def test_views_are_laid_side_by_side():
    sheet = draw_views({"one": Image.new("RGB", (10, 10), "red"), "two": Image.new("RGB", (20, 10), "lime")})
    colours = set(map(tuple, np.asarray(sheet).reshape(-1, 3).tolist()))
    assert (255, 0, 0) in colours
    assert (0, 255, 0) in colours
    assert draw_views(dict.fromkeys("abc", Image.new("RGB", (10, 10)))).height > 1.8 * sheet.height
