import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from hf_deepfake.audits.alike import connect, find_alike
from hf_deepfake.audits.fingerprint import fingerprint
from hf_deepfake.data.scene import draw_scene

COUNT = 60


def drawn(seed, size=160):
    return Image.fromarray((draw_scene(np.random.default_rng(seed), size).image * 255).astype(np.uint8))


@pytest.fixture(scope="module")
def images():
    return [drawn(seed) for seed in range(COUNT)]


def alike(images):
    prints = [fingerprint(image) for image in images]
    return find_alike(np.stack([code for code, _ in prints]), np.stack([colour for _, colour in prints]))


def saved(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def trimmed(image, left, top, right, bottom):
    width, height = image.size
    box = (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    return image.crop(box)


CHANGES = {
    "copied": lambda image: image.copy(),
    "re-saved": lambda image: saved(image, 50),
    "resized": lambda image: image.resize((96, 96)),
    "stretched": lambda image: image.resize((200, 160)),
    "mirrored": ImageOps.mirror,
    "grey": lambda image: image.convert("L").convert("RGB"),
    "cropped to its middle": lambda image: trimmed(image, 0.025, 0.025, 0.025, 0.025),
    "cropped all round": lambda image: trimmed(image, 0.05, 0.05, 0.05, 0.05),
    "cropped at an edge": lambda image: trimmed(image, 0.05, 0, 0, 0),
    "cropped at a corner": lambda image: trimmed(image, 0, 0, 0.05, 0.05),
    "all at once": lambda image: saved(ImageOps.mirror(trimmed(image, 0.05, 0.05, 0, 0)).resize((112, 112)), 60),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_planted_near_duplicates_are_found_and_nothing_else(images, change):
    planted = [change(image) for image in images[::3]]
    found = alike(images + planted)
    assert found.near.tolist() == [[3 * place, COUNT + place] for place in range(len(planted))]


def test_clean_images_are_not_alike(images):
    found = alike(images)
    assert len(found.near) == len(found.scenes) == 0


def test_a_moved_face_in_the_same_scene_is_a_scene():
    whole = drawn(3, 240)
    frames = [whole.crop((20, 20, 220, 220)), whole.crop((24, 23, 224, 223))]
    found = alike([drawn(4), *frames, drawn(5)])
    assert [1, 2] in found.near.tolist() + found.scenes.tolist()


def test_scenes_need_like_colours():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2**63, (1, 11, 4), np.uint64).repeat(2, axis=0)
    codes[1, :, 0] ^= np.uint64(0b1111110)  # 6 coarse bits in one band: too far for a near duplicate
    codes[1, :, 0] ^= np.uint64(0b1111 << 30)
    codes[1, :, 0] ^= np.uint64(0b11 << 50)
    codes[1, 0, 0] = codes[0, 0, 0] ^ np.uint64(0b11 | 0b111 << 30 | 0b11 << 50)  # 7 bits, at most 3 in a band
    colours = np.full((2, 8, 8, 3), 100, np.uint8)
    assert find_alike(codes, colours).scenes.tolist() == [[0, 1]]
    colours[1] += 10
    assert find_alike(codes, colours).scenes.tolist() == [[0, 1]]
    colours[1] += 1
    assert find_alike(codes, colours).scenes.tolist() == []


def test_many_copies_hang_together_by_few_pairs(images):
    found = alike([images[0]] * 50 + images[1:3])
    assert found.near.tolist() == [[0, place] for place in range(1, 50)]


def test_connect():
    assert connect(6, np.array([[0, 3]]), np.array([[3, 5], [1, 2]])).tolist() == [0, 1, 1, 0, 2, 0]
    assert connect(2).tolist() == [0, 1]
