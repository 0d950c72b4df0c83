import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from hf_deepfake.audits.fingerprint import CROPS, MIRROR, fingerprint
from hf_deepfake.data.scene import draw_scene


@pytest.fixture(scope="module")
def image():
    values = draw_scene(np.random.default_rng(5), 200).image
    return Image.fromarray((values * 255).astype(np.uint8))


def distance(one, other):
    """Differing coarse bits, and all differing bits."""
    bits = np.bitwise_count(one ^ other).astype(int)
    return bits[0], bits.sum()


def saved(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def cropped(image, crop):
    width, height = image.size
    left, top, right, bottom = crop
    return image.crop((round(left * width), round(top * height), round(right * width), round(bottom * height)))


def test_shapes_and_the_bit_that_is_not_used(image):
    codes, colours = fingerprint(image)
    assert (codes.shape, codes.dtype) == ((len(CROPS), 4), np.uint64)
    assert (colours.shape, colours.dtype) == ((8, 8, 3), np.uint8)
    assert (codes[:, 0] < 2**63).all()
    assert MIRROR[0] < 2**63


def test_mirroring_flips_the_known_bits(image):
    code, mirrored = (fingerprint(one)[0][0] for one in (image, ImageOps.mirror(image)))
    assert distance(code ^ MIRROR, mirrored)[1] <= 2
    # 8 columns of which 4 are odd, in 8 rows; and 16 of which 8 are odd in 16 rows.
    assert np.bitwise_count(MIRROR).tolist()[0] == 32
    assert np.bitwise_count(MIRROR).sum() == 128


@pytest.mark.parametrize(
    "change", [lambda p: saved(p, 60), lambda p: p.resize((90, 110)), lambda p: p.resize((400, 400))]
)
def test_processing_changes_few_bits(image, change):
    coarse, all_bits = distance(fingerprint(image)[0][0], fingerprint(change(image))[0][0])
    assert coarse <= 2
    assert all_bits <= 16


@pytest.mark.parametrize("place", range(len(CROPS)))
def test_a_crop_has_nearly_the_code_of_its_place(image, place):
    crop = fingerprint(cropped(image, CROPS[place]))[0][0]
    coarse, all_bits = distance(fingerprint(image)[0][place], crop)
    assert coarse <= 2
    assert all_bits <= 16


def test_another_image_is_far():
    one, other = (
        Image.fromarray((draw_scene(np.random.default_rng(seed), 128).image * 255).astype(np.uint8)) for seed in (1, 2)
    )
    assert distance(fingerprint(one)[0][0], fingerprint(other)[0][0])[1] > 72


def test_flat_images_are_all_alike():
    codes = [fingerprint(Image.new("RGB", (64, 48), colour))[0] for colour in ("white", "black", (90, 20, 7))]
    assert not np.any(codes)


def test_colours_are_mean_colours():
    image = Image.new("RGB", (160, 80), (200, 10, 30))
    image.paste((0, 0, 0), (0, 0, 80, 80))
    colours = fingerprint(image)[1]
    assert (colours[:, :4] == 0).all()
    assert (colours[:, 4:] == (200, 10, 30)).all()
