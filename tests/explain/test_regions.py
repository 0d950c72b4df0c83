import numpy as np
import pytest
import torch
from datasets import Dataset
from datasets import Image as ImageFeature
from PIL import Image
from torch import nn
from torch.nn.functional import avg_pool2d

from hf_deepfake.data.sample import draw_sample
from hf_deepfake.errors import InputError
from hf_deepfake.explain import regions
from hf_deepfake.explain.probe import Probe
from hf_deepfake.explain.regions import PARTS, compare, find_masks, measure_masks, measure_regions, part_of_pixels
from hf_deepfake.images.faces import Face

CONFIG = {"input_size": (3, 64, 64), "mean": [0, 0, 0], "std": [1, 1, 1], "interpolation": "bicubic"}


class Window(nn.Module):
    """The logit of fake is the brightness of the upper left corner, so that the right map is bright there alone."""

    num_features = 1

    def __init__(self, side):
        super().__init__()
        self.side = side
        self.fc = nn.Linear(1, 2)
        with torch.no_grad():
            self.fc.weight[:] = torch.tensor([[-20.0], [20.0]])

    def forward_features(self, pixels):
        window = torch.zeros_like(pixels[:, :1])
        window[:, :, : self.side, : self.side] = pixels[:, :1, : self.side, : self.side]
        return avg_pool2d(window, 4)

    def forward_head(self, features):
        return self.fc(features.mean(dim=(2, 3)))

    def forward(self, pixels):
        return self.forward_head(self.forward_features(pixels))


def image_set(folder, greys, label=1, **columns):
    """Plain images of 64 px as a data set."""
    folder.mkdir(parents=True)
    paths = [str(folder / f"{number}.png") for number in range(len(greys))]
    for path, grey in zip(paths, greys, strict=True):
        Image.new("RGB", (64, 64), (grey, grey, grey)).save(path)
    data = Dataset.from_dict({"image": paths, "label": [label] * len(paths), **columns})
    return data.cast_column("image", ImageFeature())


def save_mask(folder, name, side):
    """A mask of 128 px over the upper left corner."""
    mask = np.zeros((128, 128), np.uint8)
    mask[: 2 * side, : 2 * side] = 255
    folder.mkdir(exist_ok=True)
    Image.fromarray(mask).save(folder / f"{name}.png")


def test_masks_lie_beside_drawn_images(tmp_path):
    draw_sample(tmp_path, count=2, size=64)
    files = [str(tmp_path / "images" / kind / "0001.jpg") for kind in ("real", "fake")]
    data = Dataset.from_dict({"image": files, "label": [0, 1]}).cast_column("image", ImageFeature())
    masks = find_masks(data, 64)
    drawn = np.asarray(Image.open(tmp_path / "masks" / "0001.png"))
    assert list(masks) == [1]
    assert np.array_equal(masks[1], drawn >= 128)
    assert find_masks(data, 32)[1].shape == (32, 32)
    (tmp_path / "masks" / "0001.png").unlink()
    assert find_masks(data, 64) == {}


def test_masks_by_hand(tmp_path):
    # Two fakes of which the corner that the model sees was pasted, a black one without a map, and one without a mask.
    data = image_set(tmp_path / "images" / "fake", [255, 255, 0, 255])
    for name in range(3):
        save_mask(tmp_path / "masks", name, 40)
    masks = find_masks(data, 64)
    assert list(masks) == [0, 1, 2]
    model = Window(32).eval()
    probe = Probe.open(model, data, CONFIG, "gradcam", fine=False)
    found = measure_masks(model, probe, masks, None, np.random.default_rng(0))
    # 3 % of 64 px is 1.9 px: one row, one column and their corner more.
    area, reached = 40**2 / 64**2, 41**2 / 64**2
    assert found["mask"].value == pytest.approx((1 + 1 + area) / 3)
    assert found["pointing"].value == pytest.approx((1 + 1 + reached) / 3)
    assert found["mask_area"].value == pytest.approx(area)
    assert found["pointing_area"].value == pytest.approx(reached)
    assert found["mask_specific"].value == pytest.approx(0)  # all masks are the same
    assert {metric.n for metric in found.values()} == {3}


def test_compare_by_hand():
    inside = np.array([[0.75, 0.5], [0.25, 0.5]])
    random, area = np.array([[0.5, 0.0], [0.0, 0.25]]), np.array([[0.25, 0.25], [0.25, 0.5]])
    found = compare("x", inside, random, area, None)
    assert {name: metric.value for name, metric in found.items()} == {
        "x": 0.625,
        "x_area": 0.375,
        "x_random": 0.375,
        "x_difference": 0.25,
        "x_specific": 0.125,  # .5 - .25 for the first image, 0 - 0 for the second
    }


def test_one_image_has_no_others():
    found = compare("x", *np.array([[[0.5]], [[0.25]], [[0.25]]]), None)
    assert (found["x"].value, found["x"].low) == (0.5, None)
    assert found["x_specific"].value is None


LANDMARKS = ((16.0, 16.0), (48.0, 16.0), (48.0, 36.0), (40.0, 52.0), (56.0, 52.0))


def test_parts_of_a_face():
    parts = part_of_pixels(np.array(LANDMARKS), 64)
    # The eyes are 32 px apart, so each part reaches 16 px far.
    assert [parts[16, 16], parts[16, 48], parts[36, 48], parts[52, 48]] == [0, 1, 2, 3]
    assert [parts[0, 0], parts[40, 16], parts[31, 16], parts[32, 16]] == [-1, -1, 0, -1]
    assert [parts[25, 48], parts[26, 48], parts[43, 48], parts[44, 48]] == [1, 2, 2, 3]
    assert (parts == 0).sum() == pytest.approx(np.pi * 16**2, rel=0.02)
    assert len(PARTS) == 4


@pytest.fixture
def one_face(monkeypatch):
    """A detector that finds the same face in any image, 64 px or more."""

    def find_faces(image):
        scale = image.width / 64
        return [Face((0, 0, 1, 1), 1.0, tuple((scale * x, scale * y) for x, y in LANDMARKS))]

    monkeypatch.setattr(regions, "find_faces", find_faces)


def share_of_eye():
    """Share of the left eye's pixels in those of all parts."""
    parts = part_of_pixels(np.array(LANDMARKS), 64)
    return (parts == 0).sum() / (parts >= 0).sum()


def test_regions_by_hand(tmp_path, one_face):
    # What the model sees lies in the left eye: all of it was replaced in the first image, none in the second.
    data = image_set(tmp_path / "set", [255] * 5, regions=["1000", "0111", "1111", None, "0000"])
    result = measure_regions(Window(24).eval(), data, CONFIG, name="toy")
    assert (result.method, result.data, result.n) == ("gradcam", "toy", 2)
    assert result.metrics["parts"].value == pytest.approx(0.5)
    assert result.metrics["parts_area"].value == pytest.approx(0.5)
    assert result.metrics["parts_specific"].value == pytest.approx(0)  # it marks the left eye, replaced or not
    assert [one.n for one in result.metrics.values()] == [2] * 5


def test_a_map_that_marks_the_left_eye_only_where_it_was_replaced(tmp_path, one_face):
    # The second image is black, so that its map is flat.
    data = image_set(tmp_path / "set", [255, 0], regions=["1000", "0111"])
    metrics = measure_regions(Window(24).eval(), data, CONFIG).metrics
    eye = share_of_eye()
    assert metrics["parts"].value == pytest.approx((1 + (1 - eye)) / 2)
    # The first gains 1 - eye with its own parts and loses as much with the other's; the second gains nothing.
    assert metrics["parts_specific"].value == pytest.approx(1 - eye)


def test_a_flat_map_is_chance(tmp_path, one_face):
    data = image_set(tmp_path / "set", [0, 0], regions=["1000", "1000"])
    metrics = measure_regions(Window(24).eval(), data, CONFIG).metrics
    for name in ("parts", "parts_area", "parts_random"):
        assert metrics[name].value == pytest.approx(share_of_eye())


def test_the_face_detector_finds_the_parts(tmp_path):
    draw_sample(tmp_path, count=3, size=128, seed=3)
    files = sorted(str(file) for file in (tmp_path / "images" / "fake").iterdir())
    data = Dataset.from_dict({"image": files, "label": [1] * 3, "regions": ["1000"] * 3})
    model, config = Window(64).eval(), CONFIG | {"input_size": (3, 128, 128)}
    result = measure_regions(model, data.cast_column("image", ImageFeature()), config)
    assert result.n == 3
    # The model sees the upper left quarter, which holds most of the left eye and little else of the face.
    assert result.metrics["parts"].value > 2 * result.metrics["parts_area"].value


def test_other_data_are_refused(tmp_path, one_face):
    data = image_set(tmp_path / "set", [255] * 3, regions=["1000", "eyes", "1111"])
    with pytest.raises(InputError, match="composites has 1 composites with a face"):
        measure_regions(Window(24).eval(), data, CONFIG)
    with pytest.raises(InputError, match="composites has 0 composites"):
        measure_regions(Window(24).eval(), data.remove_columns("regions"), CONFIG)


def test_a_face_that_lies_outside_is_no_face(tmp_path, monkeypatch):
    outside = tuple((x + 100, y) for x, y in LANDMARKS)
    monkeypatch.setattr(regions, "find_faces", lambda image: [Face((0, 0, 1, 1), 1.0, outside)])
    data = image_set(tmp_path / "set", [255] * 2, regions=["1000", "0100"])
    with pytest.raises(InputError, match="0 composites"):
        measure_regions(Window(24).eval(), data, CONFIG)
