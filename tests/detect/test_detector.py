from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hf_deepfake.detect.detector import BATCH_SIZE, Detector, Verdict
from hf_deepfake.errors import InputError, PictureError
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint


def constant_net() -> Any:
    """A net that gives every picture odds of 4 to 1 for fake."""
    model: Any = build_model("test_resnet", image_size=32, pretrained="off")
    with torch.no_grad():
        model.fc.weight.zero_()
        model.fc.bias.copy_(torch.tensor([0.0, np.log(4.0)]))
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return export_checkpoint(constant_net(), tmp_path_factory.mktemp("detector") / "checkpoint", image_size=32)


@pytest.fixture(scope="module")
def detector(folder) -> Detector:
    return Detector.from_pretrained(folder, device="cpu")


def test_verdict_by_hand(detector):
    verdict = detector(Image.new("RGB", (60, 40)))
    assert verdict.label == "fake"
    assert verdict.score == verdict.fake_probability == pytest.approx(0.8, abs=1e-6)


def test_the_operating_point_moves_the_verdict(tmp_path):
    # an operating point of .9 divides the odds by 9
    folder = export_checkpoint(constant_net(), tmp_path / "checkpoint", image_size=32, operating_point=0.9)
    verdict = Detector.from_pretrained(folder, device="cpu")(Image.new("RGB", (60, 40)))
    assert verdict.label == "real"
    assert verdict.score == pytest.approx(9 / 13, abs=1e-6)
    assert verdict.fake_probability == pytest.approx(4 / 13, abs=1e-6)


def test_every_kind_of_picture_and_their_order(tmp_path):
    torch.manual_seed(1)
    model: Any = build_model("test_resnet", image_size=32, pretrained="off")
    with torch.no_grad():
        model.fc.weight.mul_(50)
    detector = Detector.from_pretrained(export_checkpoint(model, tmp_path / "c", image_size=32), device="cpu")
    array = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    path = tmp_path / "picture.png"
    Image.fromarray(array).save(path)
    other = Image.new("RGB", (50, 40), "white")
    verdicts = detector([array, other, path, str(path), path.read_bytes(), Image.fromarray(array)])
    expected = detector(array).fake_probability
    assert detector(other).fake_probability != pytest.approx(expected, abs=1e-3)
    assert verdicts[1].fake_probability == pytest.approx(detector(other).fake_probability, abs=1e-6)
    for verdict in [verdicts[0], *verdicts[2:]]:
        assert verdict.fake_probability == pytest.approx(expected, abs=1e-6)


def test_lists_longer_than_a_batch_and_empty_ones(detector):
    picture = Image.new("RGB", (40, 40))
    verdicts = detector([picture] * (BATCH_SIZE + 3))
    assert len(verdicts) == BATCH_SIZE + 3
    assert all(isinstance(verdict, Verdict) for verdict in verdicts)
    assert detector([]) == []


def test_errors_reach_the_caller(detector, tmp_path):
    with pytest.raises(InputError, match="no checkpoint folder"):
        Detector.from_pretrained(tmp_path / "missing")
    with pytest.raises(PictureError):
        detector(b"no picture")
