from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from clips import encode
from PIL import Image

from hf_deepfake.images.video import probe, read_frames
from hf_deepfake.images.video_rgb import guessed_matrix, quarter_turns, square, to_rgb

BT709, BT601 = 1, 5
LIMITED, FULL = 1, 2

# Y, Cb, Cr by hand from E'Y = Kr R + Kg G + Kb B (BT.601: .299, .587, .114; BT.709: .2126, .7152, .0722), in 16 to 235
# and 16 to 240, or in 0 to 255: red in BT.601 is 16 + 219 * .299 = 81, 128 - 224 * .299 / 1.772 = 90, 128 + 112 = 240.
CODED = {
    (BT601, LIMITED): {"red": (81, 90, 240), "green": (145, 54, 34), "white": (235, 128, 128), "black": (16, 128, 128)},
    (BT601, FULL): {"red": (76, 85, 255), "green": (150, 44, 21), "white": (255, 128, 128), "black": (0, 128, 128)},
    (BT709, LIMITED): {
        "red": (63, 102, 240),
        "green": (173, 42, 26),
        "white": (235, 128, 128),
        "black": (16, 128, 128),
    },
    (BT709, FULL): {"red": (54, 99, 255), "green": (182, 30, 12), "white": (255, 128, 128), "black": (0, 128, 128)},
}
SHOWN = {"red": (255, 0, 0), "green": (0, 255, 0), "white": (255, 255, 255), "black": (0, 0, 0)}


def plain(coded, width=64, height=48):
    """A frame of one colour."""
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, value in zip(frame.planes, coded, strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    return frame


def middle(clip):
    (frame,) = read_frames(clip, count=1)
    return frame.image.getpixel((frame.image.width // 2, frame.image.height // 2))


@pytest.mark.parametrize("colour", SHOWN)
@pytest.mark.parametrize(("matrix", "span"), CODED)
@pytest.mark.parametrize(("codec", "form"), [("libx264", "mp4"), ("libvpx-vp9", "webm")])
def test_colours_by_matrix_and_range(codec, form, matrix, span, colour):
    frame = plain(CODED[matrix, span][colour])
    frame.colorspace, frame.color_range = matrix, span
    options = {"crf": "10"} if codec == "libx264" else {"crf": "10", "b": "0"}
    clip = encode([frame] * 2, codec, form, colorspace=matrix, color_range=span, options=options)
    assert middle(clip) == pytest.approx(SHOWN[colour], abs=4)


@pytest.mark.parametrize(("height", "matrix"), [(576, BT601), (720, BT709)])
def test_a_clip_that_names_no_matrix_is_taken_by_its_height(height, matrix):
    assert guessed_matrix(height) == matrix
    clip = encode([plain(CODED[matrix, LIMITED]["red"], 64, height)])
    assert middle(clip) == pytest.approx((255, 0, 0), abs=4)


def test_rgb_and_grey_stay(tmp_path):
    red = Image.new("RGB", (64, 48), (250, 10, 20))
    assert middle(encode([red] * 2, "libx264rgb", "matroska", pixels="rgb24")) == pytest.approx((250, 10, 20), abs=4)
    grey = encode([Image.new("L", (64, 48), 77).convert("RGB")] * 2, "ffv1", "matroska", pixels="gray")
    assert middle(grey) == pytest.approx((77, 77, 77), abs=3)


def test_ten_bits_and_high_dynamic_range():
    red = Image.new("RGB", (64, 48), (200, 30, 30))
    clip = encode([red] * 3, "libx265", "mp4", pixels="yuv420p10le")
    assert middle(clip) == pytest.approx((200, 30, 30), abs=4)
    assert not probe(clip).hdr
    hlg = encode([red] * 3, "libx265", "mp4", pixels="yuv420p10le", color_trc=18, color_primaries=9, colorspace=9)
    assert probe(hlg).hdr
    assert middle(hlg)[0] > 100 > middle(hlg)[1]  # without tone mapping, but as a picture


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_a_phone_s_clip_stands_upright(rotation):
    """Red above, blue below, green to the left: stored lying, with a note how to turn it back."""
    pixels = np.zeros((120, 96, 3), np.uint8)
    pixels[:60], pixels[60:] = (220, 30, 30), (30, 30, 220)
    pixels[:, :24] = 30, 200, 30
    upright = Image.fromarray(pixels)
    lying = upright.rotate(-rotation, expand=True)
    clip = encode([lying] * 3, rotation=rotation, options={"crf": "10"})
    (frame,) = read_frames(clip, count=1)
    facts = probe(clip)
    assert frame.image.size == (facts.width, facts.height) == (96, 120)
    assert facts.rotated == (rotation != 0)
    assert np.abs(np.asarray(frame.image, int) - pixels).mean() < 4


def test_quarter_turns():
    assert [quarter_turns(angle) for angle in (0, 90, 180, -180, -90, 270, 3)] == [0, 1, 2, 2, 3, 3, 0]


def test_pixels_that_are_not_square_are_stretched():
    assert square(720, 576, Fraction(16, 15)) == (768, 576)
    assert square(720, 480, Fraction(8, 9)) == (720, 540)
    for aspect in (None, Fraction(0), Fraction(1, 100), Fraction(100)):
        assert square(720, 576, aspect) == (720, 576)
    frame = plain(CODED[BT601, LIMITED]["red"], 60, 48)
    image = to_rgb(frame, Fraction(2), VideoReformatter())
    assert (image.size, image.getpixel((60, 24))) == ((120, 48), pytest.approx((255, 0, 0), abs=3))
    clip = encode([frame] * 2, sample_aspect_ratio=Fraction(4, 3))
    assert (probe(clip).width, probe(clip).height) == (80, 48)
    assert next(read_frames(clip, count=1)).image.size == (80, 48)
