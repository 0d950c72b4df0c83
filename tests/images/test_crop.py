"""The region around a face, calculated by hand, and on drawn images."""

import pytest
from PIL import Image

from hf_deepfake.data.sample import draw_sample
from hf_deepfake.images.crop import ASPECT, Margin, crop_region, is_crop, measure_margin, typical_margin
from hf_deepfake.images.faces import Face, find_faces

# A whole face 78 px wide is 100 px high, so this margin's crops are squares of 200 px around it.
HALF = Margin(width=ASPECT / 2, height=0.5, x=0.5, y=0.5)


def a_face(left: float, top: float, width: float, height: float) -> Face:
    return Face((left, top, left + width, top + height), 0.9, ())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> list[Image.Image]:
    """Thirty drawn faces, 128 px."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_sample(folder, count=15, size=128, seed=4)
    return [Image.open(path).convert("RGB") for path in sorted(folder.glob("images/*/*.jpg"))]


def test_the_region_puts_the_face_where_the_margin_says():
    assert crop_region(a_face(361, 250, 78, 100), HALF, (1000, 800)) == (300, 200, 500, 400)
    low = Margin(width=ASPECT / 2, height=0.5, x=0.4, y=0.6)
    assert crop_region(a_face(361, 250, 78, 100), low, (1000, 800)) == (320, 180, 520, 380)


def test_the_region_has_the_shape_of_the_training_crops():
    upright = Margin(width=ASPECT / 2, height=0.25, x=0.5, y=0.5)
    assert crop_region(a_face(361, 250, 78, 100), upright, (1000, 800)) == (300, 100, 500, 500)


@pytest.mark.parametrize(("width", "height"), [(50, 100), (78, 60)])
def test_a_turned_or_cut_face_has_the_region_of_the_whole_one(width, height):
    face = a_face(400 - width / 2, 300 - height / 2, width, height)
    assert crop_region(face, HALF, (1000, 800)) == (300, 200, 500, 400)


def test_a_region_over_the_border_is_moved_inside():
    assert crop_region(a_face(0, 700, 78, 100), HALF, (1000, 800)) == (0, 600, 200, 800)


def test_a_region_larger_than_the_image_is_cut():
    assert crop_region(a_face(40, 30, 78, 100), HALF, (150, 400)) == (0, 0, 150, 200)


def test_a_region_is_never_empty():
    left, top, right, bottom = crop_region(a_face(99.9, 99.9, 0.1, 0.1), HALF, (100, 100))
    assert 0 <= left < right <= 100
    assert 0 <= top < bottom <= 100


def test_an_image_is_a_crop_if_the_region_covers_it():
    face = a_face(61, 50, 78, 100)  # its region is 200 px wide and high
    assert is_crop([face], HALF, (200, 200))
    assert is_crop([face], HALF, (150, 180))
    assert is_crop([face], HALF, (250, 250))  # covered by .64
    assert not is_crop([face], HALF, (270, 270))  # by .55
    assert not is_crop([], HALF, (200, 200))


def test_the_share_that_the_region_must_cover_may_be_given():
    margin = Margin(0.5, 0.5 / ASPECT, 0.5, 0.5)
    face = Face((60.0, 60.0 / ASPECT, 105.0, 60.0 / ASPECT + 45.0 / ASPECT), 1.0, ())
    left, top, right, bottom = crop_region(face, margin, (100, 100))
    covered = (right - left) * (bottom - top) / 10_000
    assert is_crop([face], margin, (100, 100), covered)
    assert not is_crop([face], margin, (100, 100), covered + 0.01)


def test_an_image_of_two_people_is_no_crop():
    face = a_face(61, 50, 78, 100)
    assert is_crop([face, a_face(0, 0, 31, 40)], HALF, (200, 200))
    assert not is_crop([face, a_face(0, 0, 47, 60)], HALF, (200, 200))


def test_margin_is_the_median_over_images_with_one_face(drawn):
    margin = measure_margin(drawn)
    assert margin is not None
    boxes = [faces[0].box for faces in map(find_faces, drawn) if len(faces) == 1]
    middles = sorted((top + bottom) / 2 / 128 for _, top, _, bottom in boxes)
    assert middles[(len(middles) - 1) // 2] <= margin.y <= middles[len(middles) // 2]
    assert margin.height == pytest.approx(margin.width / ASPECT)
    assert 0.35 < margin.width < 0.6
    assert 0.4 < margin.x < 0.6


def test_margin_is_in_shares_of_both_sides(drawn):
    square = measure_margin(drawn[:7])
    padded = []
    for image in drawn[:7]:
        wide = Image.new("RGB", (256, 128), (128, 128, 128))
        wide.paste(image, (128, 0))
        padded.append(wide)
    wide = measure_margin(padded)
    assert square is not None
    assert wide is not None
    assert wide.width == pytest.approx(square.width / 2, abs=0.02)
    assert wide.height == pytest.approx(square.height, abs=0.04)
    assert wide.x == pytest.approx(0.5 + square.x / 2, abs=0.02)
    assert wide.y == pytest.approx(square.y, abs=0.02)


def test_there_is_no_margin_without_faces(drawn):
    flat = Image.new("RGB", (128, 128), (128, 128, 128))
    assert measure_margin([]) is None
    assert measure_margin([flat, flat]) is None
    assert measure_margin([*drawn[:2], *[flat] * 5]) is None
    assert measure_margin([*drawn[:4], flat]) is not None


def test_each_source_counts_once_in_the_margin_of_several():
    tight, loose, looser = (Margin(share, 1.2 * share, 0.5, 0.4 + share / 10) for share in (0.9, 0.6, 0.5))
    assert typical_margin([tight]) == tight
    assert typical_margin([tight, loose, looser]) == loose
    assert typical_margin([tight, loose, None]) == Margin(0.75, pytest.approx(0.9), 0.5, pytest.approx(0.475))
    assert typical_margin([tight, None, None]) is None
    assert typical_margin([]) is None


def test_drawn_images_are_crops_by_their_own_margin(drawn):
    margin = measure_margin(drawn)
    assert margin is not None
    found = [(find_faces(image), image.size) for image in drawn]
    assert all(is_crop(faces, margin, size) for faces, size in found if faces)
    tight = Margin(margin.width * 1.8, margin.height * 1.8, 0.5, 0.5)
    assert not any(is_crop(faces, tight, size) for faces, size in found)


@pytest.mark.slow
def test_a_face_cropped_from_a_larger_image_is_where_the_margin_says(drawn):
    margin = measure_margin(drawn)
    assert margin is not None
    regions = []
    for image in drawn:
        large = Image.new("RGB", (600, 450), (90, 120, 90))
        large.paste(image.resize((200, 200), Image.Resampling.BICUBIC), (300, 150))
        if faces := find_faces(large):
            regions.append(large.crop(crop_region(faces[0], margin, large.size)))
    again = measure_margin(regions)
    assert len(regions) > 25
    assert again is not None
    assert (again.width, again.height, again.x, again.y) == pytest.approx(
        (margin.width, margin.height, margin.x, margin.y), abs=0.05
    )
