"""What was decided for a checkpoint's weights holds for these weights alone."""

import hashlib
import json
import logging

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save, save_file
from transformers import AutoModelForImageClassification

from hf_deepfake.detect.choice import choose
from hf_deepfake.detect.detector import Detector
from hf_deepfake.errors import InputError
from hf_deepfake.hub.push import checkpoint_files
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint
from hf_deepfake.models.digest import weights_digest
from hf_deepfake.runtimes.export import backend_file
from hf_deepfake.runtimes.variants import PLAIN

DECISION = {
    "temperature": 2.0,
    "operating_point": 0.7,
    "abstention_band": (0.0, 1.0),
    "criterion": "f1",
    "confident_error": 0.1,
    "data_fingerprint": "abc",
}


def checkpoint(folder, save_fp16=False):
    torch.manual_seed(0)
    model = build_model("test_resnet", image_size=64, pretrained="off").eval()
    return export_checkpoint(model, folder, image_size=64, save_fp16=save_fp16, **DECISION)


@pytest.fixture
def folder(tmp_path):
    return checkpoint(tmp_path / "checkpoint")


def test_by_hand():
    data = save({"b": torch.tensor([1.0, 2.0]), "a": torch.tensor([[3]])}, {"of": "no account"})
    expected = hashlib.sha256()
    expected.update(b'["a", "I64", [1, 1]]' + np.array([3], "<i8").tobytes())
    expected.update(b'["b", "F32", [2]]' + np.array([1, 2], "<f4").tobytes())
    assert weights_digest(data) == expected.hexdigest()


def test_only_the_tensors_count():
    one, two = torch.arange(4.0), torch.ones(2)
    digest = weights_digest(save({"one": one, "two": two}))
    assert weights_digest(save({"two": two, "one": one}, {"format": "pt"})) == digest
    assert weights_digest(save({"one": one.half(), "two": two})) == digest
    others = {"one": one, "too": two}, {"one": one.reshape(2, 2), "two": two}, {"one": one + 1e-6, "two": two}
    assert digest not in {weights_digest(save(other)) for other in others}


@pytest.mark.parametrize("half", [False, True])
def test_saving_the_same_weights_by_transformers_keeps_the_decision(half, tmp_path):
    before = load_checkpoint(checkpoint(tmp_path / "ours", half))
    AutoModelForImageClassification.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    after = load_checkpoint(tmp_path / "theirs")
    assert after.trusted
    assert (after.temperature, after.operating_point, after.abstention_band) == (2.0, 0.7, (0.0, 1.0))
    assert after.data_fingerprint == before.data_fingerprint == "abc"


def test_weights_that_others_have_trained_are_not_evaluated_by_the_old_decision(folder, tmp_path, caplog):
    model = AutoModelForImageClassification.from_pretrained(folder)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)
    model.save_pretrained(tmp_path / "tuned")
    assert json.loads((tmp_path / "tuned" / "config.json").read_text())["hf_deepfake"]["temperature"] == 2.0
    with caplog.at_level(logging.WARNING):
        loaded = load_checkpoint(tmp_path / "tuned")
    assert caplog.text.count("hf-deepfake recalibrate") == 1
    assert not loaded.trusted
    assert (loaded.temperature, loaded.operating_point, loaded.abstention_band) == (1.0, 0.5, None)
    assert (loaded.criterion, loaded.confident_error, loaded.data_fingerprint) == ("", None, None)
    image = Image.new("RGB", (64, 64), "red")
    assert not Detector(loaded, device="cpu")(image).unsure
    assert Detector.from_pretrained(folder, device="cpu")(image).unsure


@pytest.mark.parametrize("change", ["weights", "digest", "no digest", "no key"])
def test_the_decision_is_left_out_where_the_digest_does_not_match(change, folder):
    config = json.loads((folder / "config.json").read_text())
    if change == "weights":
        weights = load_file(folder / "model.safetensors")
        weights["fc.bias"][0] += 1
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
    elif change == "digest":
        config["hf_deepfake"]["weights_digest"] = "0" * 64
    elif change == "no digest":
        del config["hf_deepfake"]["weights_digest"]
    else:
        del config["hf_deepfake"]
    (folder / "config.json").write_text(json.dumps(config))
    loaded = load_checkpoint(folder)
    assert not loaded.trusted
    assert (loaded.temperature, loaded.operating_point, loaded.abstention_band) == (1.0, 0.5, None)


def test_files_of_the_old_weights_are_neither_used_nor_pushed(folder):
    model = backend_file(folder, "onnx", False)
    model.parent.mkdir()
    model.write_bytes(b"of the old weights")
    (folder / "report.json").write_text(
        json.dumps({"backends": [{"runtime": "onnx", "precision": "fp32", "agrees": True, "images_per_second": 9}]})
    )
    weights = load_file(folder / "model.safetensors")
    weights["fc.bias"][0] += 1
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    loaded = load_checkpoint(folder)
    assert choose("auto", loaded, "cpu").variant == PLAIN
    with pytest.raises(InputError, match="known to agree"):
        choose("onnx", loaded, "cpu")
    with pytest.raises(InputError, match="tell of other weights"):
        checkpoint_files(folder)


def test_the_model_that_comes_along_has_the_digest_of_its_weights(request):
    folder = request.config.rootpath / "space" / "checkpoint"
    stated = json.loads((folder / "config.json").read_text())["hf_deepfake"]["weights_digest"]
    assert stated == weights_digest((folder / "model.safetensors").read_bytes())
