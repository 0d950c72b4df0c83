"""Weather over a flat grey image, of which every pixel is known before."""

import numpy as np
import pytest
from PIL import Image

from hf_deepfake.images.weather import fog, rain, snow, spatter

GREY = Image.new("RGB", (224, 224), (51, 51, 51))  # a fifth of white


def changed(call, strength, seed=0):
    """Values in [0, 1], (H, W, 3)."""
    return np.asarray(call(GREY, strength, np.random.default_rng(seed)), float) / 255


def test_fog_is_a_blend_with_clouds_of_three_quarters_to_one():
    pixels = changed(fog, 0.6)[..., 0]
    # Cloudless: .2 * .7 + .75 * .3; thickest: .2 * .4 + 1 * .6.
    assert pixels.min() == pytest.approx(0.14 + 0.225, abs=0.01)
    assert pixels.max() == pytest.approx(0.08 + 0.6, abs=0.01)


def test_snow_lightens_all_and_whitens_a_share():
    pixels = changed(snow, 0.1)[..., 0]
    assert pixels.min() == pytest.approx(0.2 * 0.9 + 0.1, abs=0.01)
    assert pixels.max() == 1
    assert 0.02 < (pixels > 0.9).mean() < 0.2


def test_rain_darkens_between_its_streaks():
    pixels = changed(rain, 0.2)[..., 0]
    dry = 0.2 * (1 - 0.5 * 0.2)
    assert np.median(pixels) == pytest.approx(dry, abs=0.02)
    # In the middle of a streak: .18 * .4 + .5.
    assert pixels.max() == pytest.approx(dry * 0.4 + 0.5, abs=0.01)


def test_drops_cover_their_share_and_are_of_one_colour():
    seen = set()
    for seed in range(8):
        pixels = changed(spatter, 0.12, seed)
        covered = (np.abs(pixels - 0.2) > 0.5 / 255).any(axis=-1)
        assert covered.mean() == pytest.approx(0.12, rel=0.1)
        # In the middle of a drop .2 * .2 of what is behind it, and .8 of water or of mud.
        thickest = pixels[np.abs(pixels - 0.2).sum(axis=-1) == np.abs(pixels - 0.2).sum(axis=-1).max()][0]
        water, mud = ([0.04 + 0.8 * part for part in colour] for colour in ((0.7, 0.75, 0.8), (0.25, 0.17, 0.1)))
        kind = "water" if np.allclose(thickest, water, atol=0.02) else "mud"
        assert kind == "water" or np.allclose(thickest, mud, atol=0.02)
        seen.add(kind)
    assert seen == {"water", "mud"}


@pytest.mark.parametrize("call", [fog, snow, rain, spatter])
def test_the_generator_alone_decides(call):
    same, again, other = (changed(call, 0.3, seed) for seed in (1, 1, 2))
    assert np.array_equal(same, again)
    assert not np.array_equal(same, other)
