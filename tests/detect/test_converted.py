import json

import pytest
import torch

from hf_deepfake.detect import converted
from hf_deepfake.detect.backends import OpenVinoBackend, TorchBackend
from hf_deepfake.detect.converted import convert, drawn_images
from hf_deepfake.errors import InputError
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    """Where converted models are kept."""
    monkeypatch.setenv("HF_DEEPFAKE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "runtimes"


def checkpoint(folder, seed=0):
    torch.manual_seed(seed)
    model = build_model("test_resnet", image_size=32, pretrained="off").eval()
    return load_checkpoint(export_checkpoint(model, folder, image_size=32))


@pytest.mark.slow
def test_a_converted_model_gives_torch_s_scores_and_is_kept(tmp_path, caplog, monkeypatch):
    loaded = checkpoint(tmp_path / "model")
    file = convert(loaded)
    pixels = torch.rand(3, 3, 32, 32)
    logits, maps = OpenVinoBackend(file, "fp32")(pixels)
    assert torch.allclose(logits, TorchBackend(loaded.model)(pixels)[0], atol=1e-5)
    assert maps is not None
    assert caplog.text.count("converting the model to OpenVINO") == 1
    monkeypatch.setattr(converted, "export_backend", None)
    # The same weights elsewhere are the same model.
    assert convert(checkpoint(tmp_path / "copy")) == file
    assert caplog.text.count("converting") == 1


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["differs", "refuses"])
def test_what_does_not_agree_is_tried_once(tmp_path, models, monkeypatch, fault):
    loaded = checkpoint(tmp_path / "model")
    if fault == "differs":
        monkeypatch.setattr(converted, "LARGEST", -1.0)
    else:
        monkeypatch.setattr(converted, "export_backend", lambda *_: (_ for _ in ()).throw(InputError("cannot")))
    assert convert(loaded) is None
    (kept,) = models.iterdir()
    assert list(kept.iterdir()) == []
    monkeypatch.undo()
    monkeypatch.setenv("HF_DEEPFAKE_CACHE", str(models.parent))
    assert convert(loaded) is None


def test_without_openvino_or_a_place_nothing_is_converted(tmp_path, models, monkeypatch):
    loaded = checkpoint(tmp_path / "model")
    with monkeypatch.context() as patch:
        patch.setattr(converted.importlib.util, "find_spec", lambda name: None)
        assert convert(loaded) is None
    models.parent.write_text("a file, not a folder")
    assert convert(loaded) is None


@pytest.mark.slow
def test_the_oldest_go(tmp_path, models, monkeypatch):
    monkeypatch.setattr(converted, "KEPT", 2)
    files = [convert(checkpoint(tmp_path / str(seed), seed)) for seed in range(3)]
    assert [file.is_file() for file in files] == [False, True, True]
    (models / "choices.json").write_text(json.dumps({}))
    assert convert(checkpoint(tmp_path / "0")) == files[0]
    assert (models / "choices.json").is_file()


def test_drawn_images_are_the_same_each_time():
    images = drawn_images(24)
    assert images.shape == (8, 3, 24, 24)
    assert torch.equal(images, drawn_images(24))
    rough = (images[:, :, 1:] - images[:, :, :-1]).abs().mean(dim=(1, 2, 3))
    assert torch.equal(rough[:4], rough[:4].sort(descending=True).values)
