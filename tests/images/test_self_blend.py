import numpy as np
import pytest
from PIL import Image

from hf_deepfake.data.sample import draw_sample
from hf_deepfake.images import self_blend as blend
from hf_deepfake.images.faces import Face, find_faces
from hf_deepfake.images.open import open_image
from hf_deepfake.images.self_blend import HULLS, self_blend


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    """A drawn face of 224 px."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_sample(folder, count=1, size=224, seed=1)
    return open_image(folder / "images" / "real" / "0000.jpg")


def blends(image, count=40):
    return [self_blend(image, np.random.default_rng(seed)) for seed in range(count)]


def test_a_seed_makes_one_fake_and_another_seed_another(face):
    before = face.tobytes()
    first, again = blends(face, 8), blends(face, 8)
    assert face.tobytes() == before
    for (one, mask), (other, same) in zip(first, again, strict=True):
        assert one.tobytes() == other.tobytes()
        assert (mask == same).all()
        assert (one.size, one.mode, mask.shape, mask.dtype) == (face.size, "RGB", (224, 224), np.float32)
        assert 0 < mask.max() <= 1
        assert mask.min() == 0
    assert len({one.tobytes() for one, _ in first}) == 8


def test_outside_the_mask_one_copy_is_untouched(face):
    """About every other time the copy below is the image itself; the other times it is the varied one."""
    pixels = np.asarray(face)
    untouched = [bool((np.asarray(one)[mask == 0] == pixels[mask == 0]).all()) for one, mask in blends(face)]
    assert 10 <= sum(untouched) <= 30
    changed = [np.abs(np.asarray(one, int)[mask > 0.1] - pixels[mask > 0.1]).mean() for one, mask in blends(face)]
    assert min(changed) > 0.5


def test_the_mask_lies_on_the_face_and_its_border_is_soft(face):
    left, top, right, bottom = find_faces(face)[0].box
    for _, mask in blends(face):
        rows, columns = np.nonzero(mask > mask.max() / 2)
        assert left - 20 < columns.mean() < right + 20
        assert top - 20 < rows.mean() < bottom + 20
        assert 0.002 < (mask > 0).mean() < 0.6
        assert len(np.unique(mask)) > 10


def test_without_a_face_the_mask_lies_in_the_middle():
    flat = Image.new("RGB", (100, 60), (120, 130, 140))
    for _, mask in blends(flat, 10):
        rows, columns = np.nonzero(mask > 0)
        assert columns.mean() == pytest.approx(50, abs=12)
        assert rows.mean() == pytest.approx(30, abs=8)


def test_hulls_by_hand(monkeypatch):
    """Eyes 10 px apart at (45, 40) and (55, 40): the lower half's chin lies 5 px below the mouth."""
    marks = ((45.0, 40.0), (55.0, 40.0), (50.0, 47.0), (46.0, 53.0), (54.0, 53.0))
    upright = Face((40, 30, 60, 60), 1.0, marks)

    class Still:
        def integers(self, count):
            return 2

        def normal(self, mean, deviation, shape):
            return np.zeros(shape)

    mask = np.asarray(blend._outline(Image.new("RGB", (100, 100)), upright, Still()))
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max()) == (47, 58)
    assert (columns.min(), columns.max()) == (42, 57)
    assert len(HULLS) == 3


@pytest.mark.parametrize("size", [(32, 32), (40, 200)])
def test_any_size_will_do(face, size):
    one, mask = self_blend(face.resize(size), np.random.default_rng(0))
    assert (one.size, mask.shape) == (size, size[::-1])
