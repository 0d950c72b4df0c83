"""What single degradations do to pixels whose values are known."""

import numpy as np
import pytest
from PIL import Image

from hf_deepfake.images import degradations as changes
from hf_deepfake.images.degrade import degrade

FLAT = Image.new("RGB", (224, 224), (100, 150, 200))


def test_values_by_hand():
    rng = np.random.default_rng(0)
    # Luma of (100, 150, 200) by ITU-R 601: .299 * 100 + .587 * 150 + .114 * 200 = 140.75.
    assert changes.grey(FLAT, 1, rng).getpixel((5, 5)) == (141, 141, 141)
    # Four levels are 0, 85, 170 and 255.
    assert changes.quantise(FLAT, 4, rng).getpixel((5, 5)) == (85, 170, 170)
    dot = Image.new("RGB", (224, 224))
    dot.putpixel((100, 100), (255, 255, 255))
    around = np.asarray(changes.average_blur(dot, 1, rng), int)[98:103, 98:103, 0]
    assert around.tolist() == [[0] * 5, *[[0, 28, 28, 28, 0]] * 3, [0] * 5]
    # A disc of radius 2 spreads evenly over its inside and reaches no further.
    disc = np.asarray(changes.defocus(dot, 2, rng), int)[..., 0]
    assert disc[100, 100] == disc[101, 100] > 0
    assert disc[100, 103:].sum() == 0


@pytest.mark.parametrize(("family", "deviation"), [("gaussian_noise", 0.05), ("laplace_noise", 0.05)])
def test_noise_has_the_stated_strength(family, deviation):
    noise = (np.asarray(degrade(FLAT, family, 3, 0), float) - np.asarray(FLAT, float)) / 255
    assert noise.std() == pytest.approx(deviation, rel=0.03)
    assert abs(noise.mean()) < 0.002


def test_shares_are_what_they_say():
    flat = np.asarray(FLAT)
    changed = (np.asarray(degrade(FLAT, "impulse_noise", 5, 0)) != flat).any(axis=-1).mean()
    assert changed == pytest.approx(0.06, rel=0.1)
    photons = np.asarray(degrade(FLAT, "poisson_noise", 3, 0), float)[..., 0] / 255 * 100
    assert photons.mean() == pytest.approx(photons.var(), rel=0.1)  # as of a Poisson distribution


def test_lengths_grow_with_the_image():
    edge = Image.new("L", (224, 224))
    edge.paste(255, (112, 0, 224, 224))
    widths = []
    for side in (224, 896):
        blurred = degrade(edge.resize((side, side)).convert("RGB"), "gaussian_blur", 5, 0)
        row = np.asarray(blurred, int)[side // 2, :, 0]
        widths.append(((row > 26) & (row < 230)).sum() / side)
    assert widths[1] == pytest.approx(widths[0], rel=0.15)
