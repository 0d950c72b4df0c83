import json

import pytest

from hf_deepfake.errors import InputError
from hf_deepfake.runtimes.variants import PLAIN, Variant, agreeing, exported_files, variant_files

FOUND = [
    {"runtime": "torch", "precision": "fp32", "agrees": True},
    {"runtime": "onnx", "precision": "int8", "agrees": True},
    {"runtime": "openvino", "precision": "fp32", "agrees": True},
    {"runtime": "openvino", "precision": "bf16", "agrees": True},
    {"runtime": "openvino", "precision": "int8", "agrees": False},
    {"runtime": "torch", "precision": "bf16", "agrees": True},
]


def test_a_variant_says_what_it_is():
    assert str(PLAIN) == "torch fp32"


def test_what_agrees_in_the_order_of_speed(tmp_path):
    assert agreeing(tmp_path) == []
    (tmp_path / "report.json").write_text(json.dumps({"backends": FOUND}))
    assert [str(one) for one in agreeing(tmp_path)] == ["onnx int8", "openvino bf16", "torch bf16", "openvino fp32"]


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"backends": [{"runtime": "onnx", "precision": "odd", "agrees": 1}]}']
)
def test_a_report_that_does_not_say_is_refused(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(InputError, match="does not say what agrees"):
        agreeing(tmp_path)


def test_files_are_those_that_agree_and_are_there(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps({"backends": FOUND}))
    assert exported_files(tmp_path) == []
    (tmp_path / "backends").mkdir()
    for name in ("onnx_int8.onnx", "onnx_fp32.onnx", "openvino_fp32.xml", "openvino_fp32.bin", "openvino_int8.xml"):
        (tmp_path / "backends" / name).touch()
    names = [path.name for path in exported_files(tmp_path)]
    assert names == ["onnx_int8.onnx", "openvino_fp32.bin", "openvino_fp32.xml"]
    assert [one.name for one in variant_files(tmp_path, Variant("onnx", "fp32"))] == ["onnx_fp32.onnx"]
