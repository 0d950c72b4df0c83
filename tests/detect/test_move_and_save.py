"""A detector loaded, moved and saved as Hugging Face's users know it."""

import json

import pytest
import torch
from PIL import Image

from hf_deepfake.detect.detector import Detector
from hf_deepfake.errors import InputError
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint

IMAGE = Image.linear_gradient("L").convert("RGB")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    model = build_model("test_resnet", image_size=32, pretrained="off")
    place = tmp_path_factory.mktemp("pretrained") / "checkpoint"
    return export_checkpoint(model, place, image_size=32, temperature=2.0, operating_point=0.3)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_saved_detector_is_the_same_checkpoint(folder, tmp_path):
    (folder / "backends").mkdir(exist_ok=True)
    detector = Detector.from_pretrained(folder, device="cpu")
    saved = detector.save_pretrained(str(tmp_path / "saved"))
    assert saved == tmp_path / "saved"
    assert contents(saved) == {name: (folder / name).read_bytes() for name in ("config.json", "model.safetensors")}
    again = Detector.from_pretrained(saved, device="cpu")
    assert again(IMAGE) == detector(IMAGE)
    assert again.checkpoint.trusted


def test_saving_replaces_a_checkpoint_and_nothing_else(folder, tmp_path):
    detector = Detector.from_pretrained(folder, device="cpu")
    before = (folder / "config.json").read_bytes()
    assert detector.save_pretrained(folder) == folder  # onto itself: it stays
    assert (folder / "config.json").read_bytes() == before
    other = export_checkpoint(detector.checkpoint.model, tmp_path / "other", image_size=32)
    detector.save_pretrained(other)
    assert json.loads((other / "config.json").read_text())["hf_deepfake"]["operating_point"] == 0.3
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="is there and no checkpoint"):
        detector.save_pretrained(tmp_path / "mine")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is there and no checkpoint"):
        detector.save_pretrained(tmp_path / "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "mine", "other"]


def test_a_device_may_be_an_object_and_moving_keeps_the_verdict(folder):
    detector = Detector.from_pretrained(folder, device=torch.device("cpu"))
    verdict = detector(IMAGE)
    assert detector.to("cpu") is detector
    assert (detector(IMAGE), detector.device) == (verdict, torch.device("cpu"))


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_no_such_device_is_one_sentence_and_changes_nothing(folder, device):
    detector = Detector.from_pretrained(folder, device="cpu")
    verdict = detector(IMAGE)
    with pytest.raises(InputError, match=rf"^there is no device {device} here \([^\n]*\); [^\n]*$"):
        detector.to(device)
    assert (detector(IMAGE), detector.device) == (verdict, torch.device("cpu"))
    with pytest.raises(InputError, match="there is no device"):
        Detector.from_pretrained(folder, device=device)


def test_the_timm_name_of_the_hub_is_timms_own(tmp_path):
    from hf_deepfake.config import TrainConfig, build

    given = {"data": "sample", "output_dir": str(tmp_path)}
    assert build(TrainConfig, given | {"model": "timm/resnet50.a1_in1k"}).model == "resnet50.a1_in1k"
    assert build(TrainConfig, given | {"model": "hf-hub:me/start"}).model == "hf-hub:me/start"
