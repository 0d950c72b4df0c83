from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hf_deepfake.data.sample import draw_sample
from hf_deepfake.detect import face_crops
from hf_deepfake.detect.detector import Detector
from hf_deepfake.detect.face_crops import ANIMATED, NO_FACE, SOME_TOO_SMALL, TOO_SMALL, prepare
from hf_deepfake.images.crop import Margin, measure_margin
from hf_deepfake.images.faces import find_faces
from hf_deepfake.images.open import open_image
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint


@pytest.fixture(scope="module")
def portraits(tmp_path_factory) -> list[Image.Image]:
    """Two drawn faces, 128 px."""
    folder = tmp_path_factory.mktemp("portraits")
    draw_sample(folder, count=2, size=128, seed=3)
    return [open_image(path) for path in sorted((folder / "images" / "real").iterdir())]


@pytest.fixture(scope="module")
def margin(portraits) -> Margin:
    found = measure_margin(portraits)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def group(portraits) -> Image.Image:
    """Both faces on a wide grey ground, one of them half as large again."""
    wide = Image.new("RGB", (640, 400), (90, 90, 90))
    wide.paste(portraits[0], (40, 40))
    wide.paste(portraits[1].resize((192, 192), Image.Resampling.BICUBIC), (400, 180))
    return wide


@pytest.fixture(scope="module")
def folder(tmp_path_factory, margin) -> Path:
    """A checkpoint that was trained on such portraits."""
    torch.manual_seed(1)
    model = build_model("test_resnet", image_size=64, pretrained="off")
    with torch.no_grad():
        model.fc.weight.mul_(50)
    return export_checkpoint(model, tmp_path_factory.mktemp("c") / "c", image_size=64, face_margin=margin)


def tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image).copy())


def test_a_crop_is_taken_pixel_for_pixel(portraits, margin):
    prepared = prepare(portraits[0], tensor, margin)
    assert prepared.regions == ((0, 0, 128, 128),)
    assert torch.equal(prepared.pixels[0], tensor(portraits[0]))
    assert prepared.boxes == (find_faces(portraits[0])[0].box,)
    assert not prepared.doubtful
    assert prepared.reasons == ()


def test_a_first_look_is_enough_for_a_crop_and_for_nothing_else(portraits, group, margin, monkeypatch):
    large = portraits[0].resize((256, 256), Image.Resampling.BICUBIC)
    searched = []
    monkeypatch.setattr(face_crops, "find_faces", lambda image: searched.append(image.size) or find_faces(image))
    prepared = prepare(large, tensor, margin)
    assert searched == []
    assert prepared.regions == ((0, 0, 256, 256),)
    assert prepared.boxes[0] == pytest.approx(find_faces(large)[0].box, abs=16)
    assert (prepared.doubtful, prepared.reasons) == (False, ())
    for image in (group, portraits[0], Image.new("RGB", (300, 300), (90, 90, 90))):
        prepare(image, tensor, margin)
    assert searched == [(640, 400), (128, 128), (300, 300)]


def test_each_face_of_a_group_is_cropped_as_in_training(group, margin):
    prepared = prepare(group, tensor, margin)
    assert len(prepared.regions) == len(prepared.boxes) == len(prepared.pixels) == 2
    assert np.array(prepared.regions[0]) == pytest.approx([400, 180, 592, 372], abs=24)  # the larger one first
    assert np.array(prepared.regions[1]) == pytest.approx([40, 40, 168, 168], abs=24)
    assert prepared.reasons == ()


def test_without_a_margin_no_face_is_looked_for(group):
    prepared = prepare(group, tensor, None)
    assert prepared.regions == ((0, 0, 640, 400),)
    assert prepared.boxes == ()
    assert not prepared.doubtful


def test_an_image_without_a_face_is_doubtful(margin):
    prepared = prepare(Image.new("RGB", (200, 100), (90, 90, 90)), tensor, margin)
    assert prepared.regions == ((0, 0, 200, 100),)
    assert prepared.doubtful
    assert prepared.reasons == (NO_FACE,)


def test_small_faces_are_left_out_beside_a_large_one(portraits, margin):
    wide = Image.new("RGB", (640, 400), (90, 90, 90))
    small = portraits[0].resize((48, 48), Image.Resampling.BICUBIC)  # its face is about 25 px wide
    wide.paste(small, (20, 20))
    prepared = prepare(wide, tensor, margin)
    assert prepared.doubtful
    assert prepared.reasons == (TOO_SMALL,)
    wide.paste(portraits[1].resize((256, 256), Image.Resampling.BICUBIC), (300, 100))
    prepared = prepare(wide, tensor, margin)
    assert len(prepared.boxes) == 1
    assert not prepared.doubtful
    assert prepared.reasons == (SOME_TOO_SMALL,)


def test_an_animation_is_said(portraits, margin):
    image = portraits[0].copy()
    image.info["animated"] = True
    assert prepare(image, tensor, margin).reasons == (ANIMATED,)


def test_the_verdict_is_that_of_the_most_fake_face(folder, group, portraits):
    verdict = Detector.from_pretrained(folder, device="cpu")(group)
    assert len(verdict.faces) == 2
    assert verdict.fake_probability == max(face.fake_probability for face in verdict.faces)
    assert {face.label for face in verdict.faces} >= {verdict.label}


def test_faces_off_takes_the_image_whole(folder, group):
    whole = Detector.from_pretrained(folder, device="cpu", faces="off")
    assert whole(group).faces == ()
    assert whole.explain(group).heatmap.shape == (400, 640)


def test_no_face_is_unsure_and_says_why(folder):
    verdict = Detector.from_pretrained(folder, device="cpu")(Image.new("RGB", (200, 100), (90, 90, 90)))
    assert verdict.unsure
    assert verdict.reasons == (NO_FACE,)
    assert verdict.title.startswith("unsure (leans to ")


def test_the_map_lies_on_the_faces_and_on_nothing_else(folder, group):
    explanation = Detector.from_pretrained(folder, device="cpu").explain(group)
    assert explanation.verdict == Detector.from_pretrained(folder, device="cpu")(group)
    assert explanation.heatmap.dtype == np.float32
    assert explanation.heatmap.shape == (400, 640)
    assert 0 < explanation.heatmap.max() <= 1
    assert explanation.heatmap[:, 220:350].max() == 0  # between the two faces
    assert explanation.shaded.size == explanation.image.size == (640, 400)
    assert explanation.overlay.mode == "RGB"
