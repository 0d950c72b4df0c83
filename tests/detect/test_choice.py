import json

import pytest
import timm
import torch
from PIL import Image

from hf_deepfake.config import DataConfig
from hf_deepfake.detect import choice, converted
from hf_deepfake.detect.agreement import export
from hf_deepfake.detect.backends import TorchBackend
from hf_deepfake.detect.choice import choose, speeds
from hf_deepfake.detect.detector import Detector
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.evaluate import evaluate
from hf_deepfake.hub.render_checkpoint import write
from hf_deepfake.machine import BF16_FLAGS, cpu_flags
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint
from hf_deepfake.models.fold import final_layer
from hf_deepfake.runtimes.variants import PLAIN, Variant

pytestmark = pytest.mark.slow  # what all of them need takes seconds

FP32, INT8 = Variant("openvino", "fp32"), Variant("openvino", "int8")


@pytest.fixture(scope="module")
def folder(faces, cache, tmp_path_factory):
    """A checkpoint with a report, exported to OpenVINO in float32 and int8."""
    torch.manual_seed(0)
    model = build_model("test_resnet", image_size=64, pretrained="off").eval()
    final_layer(model)[0].data *= 20
    folder = export_checkpoint(model, tmp_path_factory.mktemp("choice") / "model", image_size=64)
    write(folder, *evaluate(str(folder), DataConfig(data=(str(faces),))))
    export(str(folder), DataConfig(data=(str(faces),)), "openvino", int8=True)
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DEEPFAKE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def agree(folder):
    """Says which variants agree; the report is as it was afterwards."""
    path = folder / "report.json"
    before = path.read_bytes()

    def say(*variants):
        report = json.loads(before)
        for one in report["backends"]:
            one["agrees"] = Variant(one["runtime"], one["precision"]) in (PLAIN, *variants)
        path.write_text(json.dumps(report))
        return load_checkpoint(folder)

    yield say
    path.write_bytes(before)


@pytest.fixture
def fastest(monkeypatch):
    """Says what is measured to be the fastest, and counts measurements."""
    measured = []

    def say(variant):
        def pretend(backends, side):
            measured.append([str(one.variant) for one in backends])
            return [float(one.variant == variant) for one in backends]

        monkeypatch.setattr(choice, "speeds", pretend)
        return measured

    return say


@pytest.mark.parametrize(
    ("agrees", "quickest", "expected"),
    [
        ([FP32, INT8], INT8, INT8),
        ([FP32, INT8], FP32, FP32),
        ([FP32, INT8], PLAIN, PLAIN),
        ([FP32], INT8, FP32),
        ([], INT8, PLAIN),
    ],
)
def test_auto_takes_the_fastest_that_agrees(agree, fastest, agrees, quickest, expected):
    loaded = agree(*agrees)
    measured = fastest(quickest)
    if quickest not in (PLAIN, *agrees):
        fastest(expected)
    assert choose("auto", loaded, "cpu").variant == expected
    assert choose("auto", loaded, "cuda").variant == PLAIN
    names = [str(one) for one in (INT8, FP32) if one in agrees]
    assert measured == ([[*names, str(PLAIN)]] if agrees else [])
    # What was measured once is known.
    assert choose("auto", loaded, "cpu").variant == expected
    assert len(measured) == bool(agrees)


def test_a_known_choice_builds_no_model_of_torch(agree, fastest, monkeypatch):
    loaded, measured = agree(INT8), fastest(INT8)
    choose("auto", loaded, "cpu")
    monkeypatch.setattr(timm, "create_model", None)
    detector = Detector(load_checkpoint(loaded.folder), "cpu")
    assert detector.backend == INT8
    expected = detector(image := Image.new("RGB", (64, 64), "gray")).fake_probability
    monkeypatch.undo()
    plain = Detector(load_checkpoint(loaded.folder), "cpu", backend="torch")(image).fake_probability
    assert expected == pytest.approx(plain, abs=0.1)
    assert len(measured) == 1


def test_another_machine_measures_anew(agree, fastest, monkeypatch):
    loaded, measured = agree(FP32), fastest(FP32)
    choose("auto", loaded, "cpu")
    monkeypatch.setattr(choice, "cpu_name", lambda: "another")
    choose("auto", loaded, "cpu")
    assert len(measured) == 2


def test_a_cache_that_cannot_be_written_costs_a_measurement(agree, fastest, own_cache):
    own_cache.write_text("a file, not a folder")
    loaded, measured = agree(FP32), fastest(FP32)
    assert [choose("auto", loaded, "cpu").variant for _ in range(2)] == [FP32, FP32]
    assert len(measured) == 2


@pytest.mark.parametrize("damage", ["{", "[]"])
def test_damaged_choices_are_measured_anew(agree, fastest, own_cache, damage):
    loaded, measured = agree(FP32), fastest(FP32)
    choose("auto", loaded, "cpu")
    (own_cache / "runtimes" / "choices.json").write_text(damage)
    assert choose("auto", loaded, "cpu").variant == FP32
    assert len(measured) == 2


def test_by_name_what_agrees_or_an_error(agree):
    loaded = agree(FP32)
    assert choose("openvino", loaded, "cpu").variant == FP32
    assert choose("torch", loaded, "cpu").variant == PLAIN
    assert choose(INT8, loaded, "cpu").variant == INT8
    with pytest.raises(InputError, match="known to agree with torch"):
        choose("onnx", loaded, "cpu")
    with pytest.raises(InputError, match="known to agree with torch"):
        choose("openvino", agree(), "cpu")


def test_without_the_runtime_auto_is_torch(agree, fastest, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    loaded, measured = agree(FP32), fastest(FP32)
    assert choose("auto", loaded, "cpu").variant == PLAIN
    assert measured == []
    with pytest.raises(InputError, match=r"pip install 'hf-deepfake\[openvino\]'"):
        choose("openvino", loaded, "cpu")


def test_bfloat16_only_where_the_cpu_computes_in_it(agree, monkeypatch):
    loaded = agree(Variant("openvino", "bf16"), FP32)
    monkeypatch.setattr(choice, "cpu_flags", frozenset)
    assert choose("openvino", loaded, "cpu").variant == FP32
    if cpu_flags() & BF16_FLAGS:
        monkeypatch.setattr(choice, "cpu_flags", cpu_flags)
        assert choose("openvino", loaded, "cpu").variant == Variant("openvino", "bf16")


def test_what_has_no_export_is_converted(tmp_path, fastest, monkeypatch):
    monkeypatch.setattr(choice, "convert", converted.convert)
    model = build_model("test_resnet", image_size=32, pretrained="off").eval()
    loaded = load_checkpoint(export_checkpoint(model, tmp_path / "model", image_size=32))
    measured = fastest(FP32)
    assert [choose("auto", loaded, "cpu").variant for _ in range(2)] == [FP32, FP32]
    assert measured == [["openvino fp32", "torch fp32"]]


def test_every_backend_is_measured_to_the_end():
    calls = []

    class Slow(TorchBackend):
        def __call__(self, pixels):
            calls.append(pixels.shape)
            return super().__call__(pixels)

    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 2))
    found = speeds([Slow(model), TorchBackend(model)], 8)
    assert len(found) == 2
    assert all(0 < speed < float("inf") for speed in found)
    assert len(calls) >= 2
    assert set(calls) == {(4, 3, 8, 8)}
