"""The face detector: its decoding by hand, and what it finds in drawn images."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hf_deepfake.data.sample import draw_sample
from hf_deepfake.images import faces
from hf_deepfake.images.faces import Finds, decode, distinct, find_faces, glance


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> list[Image.Image]:
    """Thirty drawn faces, 128 px."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_sample(folder, count=15, size=128, seed=3)
    return [Image.open(path).convert("RGB") for path in sorted(folder.glob("images/*/*.jpg"))]


def empty_maps(rows: int = 6, columns: int = 8) -> np.ndarray:
    return np.zeros((15, rows, columns), np.float32)


def centre(face: faces.Face) -> tuple[float, float]:
    left, top, right, bottom = face.box
    return (left + right) / 2, (top + bottom) / 2


def test_the_model_is_the_file_that_the_licence_describes():
    path = Path(faces.__file__).with_name("centerface.onnx")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == "fa78c35c899d87080da76be05c62d6bd22627f5ed8372d844cc1cd70dfc24c25"
    assert "Copyright (c) 2019 StarClouds" in path.with_suffix(".LICENSE").read_text(encoding="utf-8")


def test_a_cell_is_decoded_as_calculated_by_hand():
    maps = empty_maps()
    # Row 2, column 5: the cell's centre is at x = 22, y = 10; moved by (-.5, .25) cells to x = 20, y = 11.
    maps[:5, 2, 5] = 0.9, np.log(4), np.log(2), 0.25, -0.5  # 16 px high, 8 px wide: from (16, 3) to (24, 19)
    maps[5:7, 2, 5] = 0.25, 0.5  # left eye: a quarter down, half to the right
    maps[13:, 2, 5] = 1, 1.5  # right corner of the mouth: at the bottom, half a width outside
    found = decode(maps)
    assert found.boxes == pytest.approx(np.array([[16, 3, 24, 19]]), abs=1e-5)
    assert found.scores == pytest.approx([0.9])
    assert found.landmarks.shape == (1, 5, 2)
    assert found.landmarks[0, [0, 1, 4]] == pytest.approx(np.array([[20, 7], [16, 3], [28, 19]]), abs=1e-5)


def test_cells_below_the_threshold_hold_no_face():
    maps = empty_maps()
    maps[0] = faces.THRESHOLD - 0.01
    found = decode(maps)
    assert (found.boxes.shape, found.scores.shape, found.landmarks.shape) == ((0, 4), (0,), (0, 5, 2))


def test_of_finds_that_overlap_the_best_is_kept():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [2, 2, 5, 5], [8, 0, 18, 10]], np.float32)
    scores = np.array([0.6, 0.9, 0.5, 0.8, 0.7], np.float32)
    landmarks = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((5, 5, 2), np.float32)
    kept = distinct(Finds(boxes, scores, landmarks))
    # 0 lies over 1 by nine tenths, 3 within it altogether; 4 lies over it by three tenths, just not too much.
    assert kept.scores == pytest.approx([0.9, 0.7, 0.5])
    assert kept.landmarks[:, 0, 0].tolist() == [1, 4, 2]


def test_drawn_faces_are_found_once(drawn):
    found = [find_faces(image) for image in drawn]
    assert sum(len(each) == 1 for each in found) >= 28
    for each in found:
        for face in each:
            assert all(abs(value - 64) < 20 for value in centre(face))
            assert 0.3 * 128 < face.shortest_side < 0.75 * 128
            assert faces.THRESHOLD <= face.score <= 1


def test_a_first_look_finds_what_fills_the_image(drawn):
    for image in drawn[:3]:
        (face,) = glance(image.resize((512, 512), Image.Resampling.BICUBIC))
        assert np.array(face.box) / 4 == pytest.approx(find_faces(image)[0].box, abs=6)
    assert glance(Image.new("RGB", (300, 200), (90, 90, 90))) == []


def test_landmarks_lie_where_they_belong_in_the_box(drawn):
    for image in drawn:
        for face in find_faces(image):
            left, top, right, bottom = face.box
            assert all(left < x < right and top < y < bottom for x, y in face.landmarks)
            (eye, eye_y), (other_eye, other_y), (nose, nose_y), (mouth, mouth_y), (other_mouth, _) = face.landmarks
            assert eye < nose < other_eye
            assert mouth < other_mouth
            assert max(eye_y, other_y) < nose_y < mouth_y


def test_several_faces_are_found_each_in_its_place_largest_first(drawn):
    large, small = drawn[0].resize((384, 384)), drawn[1]
    image = Image.new("RGB", (700, 500), (90, 120, 90))
    image.paste(small, (20, 300))
    image.paste(large, (250, 60))
    found = find_faces(image)
    assert len(found) == 2
    for face, alone, zoom, corner in zip(found, (drawn[0], drawn[1]), (3, 1), ((250, 60), (20, 300)), strict=True):
        expected = np.array(centre(find_faces(alone)[0])) * zoom + corner
        assert centre(face) == pytest.approx(expected, abs=6 * zoom)


def test_a_face_that_fills_a_large_image_is_found_whole(drawn):
    for image in drawn[:3]:
        close = image.crop((12, 12, 116, 116))
        (alone,) = find_faces(close)
        (found,) = find_faces(close.resize((1560, 1560), Image.Resampling.BICUBIC))
        assert found.shortest_side == pytest.approx(15 * alone.shortest_side, rel=0.2)
        assert centre(found) == pytest.approx(15 * np.array(centre(alone)), abs=80)


def test_a_small_face_in_a_large_image_is_found(drawn):
    image = Image.new("RGB", (2000, 1500), (90, 120, 90))
    image.paste(drawn[0].resize((250, 250)), (1600, 1200))
    (face,) = find_faces(image)
    assert centre(face) == pytest.approx((1725, 1325), abs=40)


def test_boxes_end_at_the_border_of_the_image(drawn):
    for image in drawn[:5]:
        cut = image.crop((0, 0, 64, 128))
        for face in find_faces(cut):
            assert face.box[0] >= 0
            assert face.box[2] <= 64


@pytest.mark.parametrize("size", [(128, 128), (33, 500), (1, 1), (1100, 40)])
def test_nothing_is_found_where_there_is_no_face(size):
    flat = Image.new("RGB", size, (128, 128, 128))
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    assert find_faces(flat) == []
    assert find_faces(Image.fromarray(noise)) == []


def test_nothing_is_found_beside_the_faces_of_drawn_images(drawn):
    strips = [image.crop((0, 0, 128, 24)).resize((256, 48)) for image in drawn]
    assert [find_faces(strip) for strip in strips] == [[]] * len(strips)


def test_threads_find_what_one_alone_finds(drawn):
    alone = [find_faces(image) for image in drawn[:8]]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(find_faces, drawn[:8])) == alone
