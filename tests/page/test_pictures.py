import base64
import io

import numpy as np
import pytest
from PIL import Image

from hf_deepfake.page import pictures


def decode(address):
    return Image.open(io.BytesIO(base64.b64decode(address.partition("base64,")[2])))


@pytest.fixture
def heatmap():
    """Strong in the upper right corner of 200 x 100 px, nothing elsewhere."""
    made = np.zeros((100, 200), np.float32)
    made[:30, 150:] = 1
    return made


def test_an_image_and_its_map(heatmap):
    found = pictures.picture(Image.new("RGB", (200, 100), "red"), heatmap)
    assert (found.width, found.height) == (800, 400)
    assert decode(found.source).size == decode(found.map).size == (800, 400)
    opacity = np.asarray(decode(found.map).convert("RGBA"))[..., 3]
    assert opacity[50, 750] == pytest.approx(0.65 * 255, abs=2)
    assert opacity[300, 100] == 0


def test_a_face_is_cut_with_a_little_around_it_and_never_beyond_the_image(heatmap):
    image = Image.new("RGB", (200, 100))
    image.paste("white", (150, 0, 200, 50))
    crop, part = pictures.crop_face(image, heatmap, (150.0, 0.0, 200.0, 50.0))
    assert (crop.width, crop.height) == (200, 200)
    assert part.shape == (65, 65)  # 1.3 times 50, moved inside
    assert np.asarray(decode(crop.source))[20, 180].min() > 200


def test_where_a_map_is_strongest(heatmap):
    assert pictures.strongest(heatmap) == ("top", "right")
    assert pictures.strongest(np.roll(heatmap, (45, -75), (0, 1))) == ("middle", "middle")
    assert pictures.strongest(0.1 * heatmap) is None
    assert pictures.strongest(np.zeros((0, 0), np.float32)) is None


def test_thumbnail_and_file(tmp_path):
    assert decode(pictures.thumbnail(Image.new("RGB", (300, 100)))).size == (72, 72)
    Image.new("RGB", (40, 40)).save(tmp_path / "a.jpg")
    assert decode(pictures.inline_file(tmp_path / "a.jpg")).size == (40, 40)


def test_the_map_of_a_large_image_lies_where_it_did():
    heatmap = np.zeros((1600, 3200), np.float32)
    heatmap[800:, :1600] = 1
    found = pictures.picture(Image.new("RGB", (3200, 1600)), heatmap)
    opacity = np.asarray(decode(found.map).convert("RGBA"))[..., 3]
    assert opacity.shape == (400, 800)
    assert opacity[210:, :390].min() > 160
    assert opacity[:190].max() < 5
    assert opacity[:, 410:].max() < 5
