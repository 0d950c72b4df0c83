import subprocess
import sys

import numpy as np
import pytest
import torch

from hf_deepfake.cli.main import main
from hf_deepfake.config import DataConfig
from hf_deepfake.detect.agreement import export, summary
from hf_deepfake.detect.choice import choose
from hf_deepfake.detect.detector import Detector
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.evaluate import evaluate
from hf_deepfake.hub.render_checkpoint import write
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint
from hf_deepfake.models.fold import final_layer
from hf_deepfake.report.report import Report
from hf_deepfake.runtimes.variants import PLAIN, Variant

pytestmark = pytest.mark.slow  # what all of them need takes seconds


@pytest.fixture(scope="module")
def folder(faces, cache, tmp_path_factory):
    """A checkpoint with a report, exported to OpenVINO in float32 and int8."""
    torch.manual_seed(0)
    model = build_model("test_resnet", image_size=64, pretrained="off").eval()
    final_layer(model)[0].data *= 20
    folder = export_checkpoint(
        model, tmp_path_factory.mktemp("fast") / "model", image_size=64, abstention_band=(0.4, 0.6)
    )
    write(folder, *evaluate(str(folder), DataConfig(data=(str(faces),))))
    export(str(folder), DataConfig(data=(str(faces),)), "openvino", int8=True)
    return folder


@pytest.fixture(scope="module")
def files(faces):
    return sorted((faces / "fake").iterdir())[:6]


def test_agreement_is_noted(folder):
    results = {(one.runtime, one.precision): one for one in Report.load(folder / "report.json").backends}
    plain, fp32, int8 = (results[key] for key in (("torch", "fp32"), ("openvino", "fp32"), ("openvino", "int8")))
    assert (plain.largest, plain.changed, plain.agrees) == (0, 0, True)
    assert 0 < fp32.largest < 1e-4
    assert fp32.agrees
    assert int8.largest > fp32.largest
    assert all(one.n > 10 and one.images_per_second > 0 for one in results.values())
    assert "openvino int8" in summary(list(results.values()))


def test_openvino_gives_torch_s_scores_and_maps(folder, files):
    torch_ = Detector.from_pretrained(folder, device="cpu", backend="torch")
    assert torch_.backend == PLAIN
    fast = Detector.from_pretrained(folder, device="cpu", backend=Variant("openvino", "fp32"))
    for one, other in zip(torch_(files), fast(files), strict=True):
        assert other.fake_probability == pytest.approx(one.fake_probability, abs=1e-4)
    one, other = torch_.explain(files[0]), fast.explain(files[0])
    assert one.verdict.label == other.verdict.label
    np.testing.assert_allclose(other.heatmap, one.heatmap, atol=1e-3)
    assert one.heatmap.max() > 0


SIGNAL_STACK = """
import ctypes, sys
from pathlib import Path
import torch
from hf_deepfake.detect.backends import OpenVinoBackend

class Stack(ctypes.Structure):
    _fields_ = [("place", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

def place():
    stack = Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    return stack.place

file, pixels, places = Path(sys.argv[1]), torch.zeros(1, 3, 64, 64), [place()]
first, second = (OpenVinoBackend(file, "fp32") for _ in range(2))
first(pixels), second(pixels)
places.append(place())
del first
places.append(place())
del second
print([*places, place()])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the signal stack as Linux has it")
def test_the_main_thread_s_signal_stack_stays_as_it_was(folder):
    command = [sys.executable, "-c", SIGNAL_STACK, str(folder / "backends" / "openvino_fp32.xml")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[None, None, None, None]\n"


def test_what_has_no_map_of_its_own_falls_back(folder, files):
    fast = Detector.from_pretrained(folder, device="cpu", backend=Variant("openvino", "fp32"))
    plain = Detector.from_pretrained(folder, device="cpu", backend="torch")
    one, other = (detector.explain(files[0], method="occlusion") for detector in (plain, fast))
    np.testing.assert_allclose(other.heatmap, one.heatmap, atol=1e-5)


def test_what_cannot_be_chosen_is_refused(folder):
    loaded = load_checkpoint(folder)
    with pytest.raises(InputError, match="no backend 'tensorrt'"):
        choose("tensorrt", loaded, "cpu")
    with pytest.raises(InputError, match="nothing for onnx"):
        choose("onnx", loaded, "cpu")


def test_onnx_agrees_too_and_is_added_by_command(folder, faces, capsys):
    assert main(["export", str(folder), "--data", str(faces), "--format", "onnx"]) == 0
    assert "onnx fp32" in capsys.readouterr().out
    found = {(one.runtime, one.precision): one for one in Report.load(folder / "report.json").backends}
    assert "| onnx, fp32 | yes |" in (folder / "README.md").read_text()
    assert found["onnx", "fp32"].agrees
    assert ("openvino", "int8") in found


def test_a_checkpoint_without_a_report_is_refused(faces, tmp_path):
    model = build_model("test_resnet", image_size=64, pretrained="off")
    folder = export_checkpoint(model, tmp_path / "model", image_size=64)
    with pytest.raises(InputError, match=r"has no report\.json"):
        export(str(folder), DataConfig(data=(str(faces),)), "openvino")
    assert not (folder / "backends").exists()
