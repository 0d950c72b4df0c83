"""Drawn scenes."""

import numpy as np
import pytest

from hf_deepfake.data.scene import Scene, draw_scene, noise


@pytest.mark.parametrize("size", [48, 128])
def test_a_scene_is_an_image_decided_by_its_seed(size):
    one, again, other = (draw_scene(np.random.default_rng(seed), size).image for seed in (0, 0, 1))
    assert one.shape == (size, size, 3)
    assert one.dtype == np.float32
    assert 0 <= one.min() < one.max() <= 1
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).mean() > 0.05


def test_head_coordinates():
    scene = Scene(np.zeros((1, 1, 3), np.float32), centre=(50.0, 40.0), scale=20.0, angle=0.0, turn=0.1)
    u, v = scene.to_head(np.array([50, 70], np.float32), np.array([40, 30], np.float32))
    np.testing.assert_allclose(u, [-0.1, 0.9], atol=1e-6)
    np.testing.assert_allclose(v, [0, -0.5], atol=1e-6)
    # Leaning by a quarter turn clockwise, what is right of the middle in the image is above it on the head.
    leaning = Scene(scene.image, scene.centre, scene.scale, angle=np.pi / 2, turn=0.0)
    u, v = leaning.to_head(np.array([70], np.float32), np.array([40], np.float32))
    np.testing.assert_allclose([u[0], v[0]], [0, -1], atol=1e-6)


def test_eyes_are_darker_than_cheeks():
    """The features lie where `to_head` says they do."""
    eyes, cheeks = [], []
    for seed in range(12):
        scene = draw_scene(np.random.default_rng(seed), 128)
        y, x = np.mgrid[0:128, 0:128].astype(np.float32)
        u, v = scene.to_head(x, y)
        grey = scene.image.mean(axis=2)
        eyes.append(grey[np.hypot(np.abs(u) - 0.305, v + 0.04) < 0.06].mean())
        cheeks.append(grey[np.hypot(np.abs(u) - 0.30, v - 0.30) < 0.06].mean())
    assert np.mean(eyes) < np.mean(cheeks) - 0.05


def test_noise_has_unit_variance_and_the_asked_for_grain():
    coarse, fine = (noise(np.random.default_rng(0), 128, cells) for cells in ((8, 8), (64, 64)))
    np.testing.assert_allclose([coarse.std(), fine.std()], 1, atol=1e-5)
    steps = [np.abs(np.diff(field, axis=1)).mean() for field in (coarse, fine)]
    assert steps[0] < steps[1] / 4
