import numpy as np
import pytest
from PIL import Image, ImageEnhance

from hf_deepfake.images.scene_cuts import colours, is_cut


def halves(one, other, size=(64, 64)):
    image = Image.new("RGB", size, one)
    image.paste(other, (0, 0, size[0] // 2, size[1]))
    return image


def test_colours_by_hand():
    """Shades are 63.75 apart: 255 is shade 4, 51 is 0.8 of the way from shade 0 to 1."""
    found = colours(halves((0, 0, 0), (255, 51, 0)))
    assert found.shape == (125,)
    assert found.sum() == pytest.approx(1)
    assert {int(place): round(float(found[place]), 3) for place in np.flatnonzero(found > 1e-9)} == {
        0: 0.5,
        4 * 25 + 0 * 5: 0.1,
        4 * 25 + 1 * 5: 0.4,
    }


def test_scenes_of_other_colours_are_cut_and_a_move_is_not():
    room = halves((200, 180, 160), (90, 60, 40), (640, 360))
    closer = room.crop((60, 30, 600, 330)).resize((640, 360))
    darker = ImageEnhance.Brightness(room).enhance(0.95)
    garden = halves((60, 120, 50), (130, 180, 230), (640, 360))
    assert not is_cut(colours(room), colours(room))
    assert not is_cut(colours(room), colours(closer))
    assert not is_cut(colours(room), colours(darker))
    assert is_cut(colours(room), colours(garden))
    assert is_cut(colours(garden), colours(room))


def test_a_quarter_in_other_colours_is_the_limit():
    for share, cut in ((0.1875, False), (0.3125, True)):
        image = Image.new("RGB", (64, 64), (200, 200, 200))
        image.paste((10, 10, 10), (0, 0, int(64 * share), 64))
        assert is_cut(colours(Image.new("RGB", (64, 64), (200, 200, 200))), colours(image)) is cut
