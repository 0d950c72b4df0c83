from pathlib import Path

import numpy as np
import pytest
import torch

from hf_deepfake.errors import InputError
from hf_deepfake.models.build import build_model
from hf_deepfake.models.fold import final_layer
from hf_deepfake.runtimes import export as deploy
from hf_deepfake.runtimes.export import OnePass, backend_file, export_backend, pools_linearly


def lively(name="test_resnet", side=32):
    torch.manual_seed(0)
    model = build_model(name, image_size=side, pretrained="off").eval()
    final_layer(model)[0].data *= 20
    return model


LINEAR = {"test_resnet": True, "test_efficientnet": True, "test_vit": False, "simple_cnn": False, "compact_cnn": False}


@pytest.mark.parametrize(("name", "linear"), LINEAR.items())
def test_which_heads_pool_linearly(name, linear):
    assert pools_linearly(lively(name, 64), 64) is linear


@torch.no_grad()
def test_maps_average_to_the_logits():
    model, pixels = lively(), torch.randn(3, 3, 32, 32)
    logits, maps = OnePass(model, True)(pixels)
    torch.testing.assert_close(logits, model(pixels))
    torch.testing.assert_close(maps.mean(dim=(2, 3)) + final_layer(model)[1], logits, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["openvino", "onnx"])
@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_the_file_gives_the_model_s_logits(form, name, tmp_path):
    model = lively(name)
    file = export_backend(model, 32, tmp_path, form)
    assert file == backend_file(tmp_path, form, False)
    pixels = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    if form == "openvino":
        import openvino

        options = {"INFERENCE_PRECISION_HINT": "f32"}
        found = openvino.Core().compile_model(file, "CPU", options)([pixels.numpy()]).to_tuple()
    else:
        import onnxruntime

        found = onnxruntime.InferenceSession(file).run(None, {"pixels": pixels.numpy()})
    with torch.no_grad():
        expected = model(pixels)
    torch.testing.assert_close(torch.from_numpy(found[0]), expected, rtol=1e-4, atol=1e-4)
    assert len(found) == (2 if name == "test_resnet" else 1)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["openvino", "onnx"])
@pytest.mark.parametrize("calibration", [None, [np.zeros((1, 3, 32, 32), np.float32)] * 20])
def test_files_do_not_tell_where_they_were_made(form, calibration, tmp_path):
    file = export_backend(lively(), 32, tmp_path, form, calibration)
    folders = (tmp_path, Path(torch.__file__).parents[1], Path(deploy.__file__).parents[2])
    for written in file.parent.iterdir():
        assert not [folder for folder in folders if str(folder).encode() in written.read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["openvino", "onnx"])
def test_int8_is_another_file_and_near(form, tmp_path):
    model = lively()
    rng = np.random.default_rng(0)
    calibration = [rng.standard_normal((1, 3, 32, 32)).astype(np.float32) for _ in range(20)]
    plain, small = export_backend(model, 32, tmp_path, form), export_backend(model, 32, tmp_path, form, calibration)
    assert plain != small
    pixels = torch.from_numpy(np.concatenate(calibration))
    if form == "openvino":
        import openvino

        found = openvino.Core().compile_model(small, "CPU")([pixels.numpy()])[0]
    else:
        import onnxruntime

        found = onnxruntime.InferenceSession(small).run(None, {"pixels": pixels.numpy()})[0]
    with torch.no_grad():
        expected = model(pixels).numpy()
    assert 0 < np.abs(found - expected).max() < 0.25 * np.ptp(expected)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(InputError, match=r"need openvino and nncf, and openvino is not here"):
        export_backend(lively(), 32, tmp_path, "openvino")
