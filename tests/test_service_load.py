"""The program that loads the service, on a small scale: no figure here depends on how fast the machine is."""

import json
import runpy
from pathlib import Path

import pytest

from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint

PROGRAM = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "service_load.py"))


@pytest.mark.slow
def test_twenty_requests_by_four_clients(tmp_path):
    model = build_model("test_resnet", image_size=64, pretrained="off")
    checkpoint = export_checkpoint(model, tmp_path / "checkpoint", image_size=64)
    words = ["--checkpoint", str(checkpoint), "--requests", "20", "--clients", "4", "--many", "10"]
    assert PROGRAM["main"]([*words, "--output", str(tmp_path / "load.json")]) == 0
    found = json.loads((tmp_path / "load.json").read_text(encoding="utf-8"))
    assert found["enough_places"]["wrong"] == found["few_places"]["wrong"] == []
    assert set(found["enough_places"]["statuses"]) == {"200", "422"}
    assert set(found["few_places"]["statuses"]) <= {"200", "422", "503"}
    assert sum(found["few_places"]["statuses"].values()) == 20
    assert len(found["megabytes_over_requests"]["after_each_tenth"]) == 10
    assert found["megabytes_peak_40_megapixels_16_bits"] > 0


def test_what_is_sent_is_mixed():
    files = PROGRAM["mixed_files"]()
    assert len(files) >= 18
    assert len({content[:4] for content in files.values()}) >= 8
