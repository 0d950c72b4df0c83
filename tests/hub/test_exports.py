"""Exported files go to the Hub with their checkpoint, and a detector fetches the one that it uses."""

import json
import shutil

import pytest
import torch
from hub_client import Client

from hf_deepfake.models.checkpoint import load_checkpoint
from hf_deepfake.report.report import REPORT_FILE
from hf_deepfake.runtimes.export import export_backend
from hf_deepfake.runtimes.variants import Variant

pytestmark = pytest.mark.slow  # what all of them need takes seconds

PUSH = """
from hf_deepfake.hub.push import push_to_hub
result = push_to_hub(checkpoint, "me/exports", license="mit").files
"""
LOAD = """
from hf_deepfake.detect import choice
choice.speeds = lambda backends, side: [float(str(one.variant) == fastest) for one in backends]
from hf_deepfake import Detector
detector = Detector.from_pretrained("me/exports", device="cpu", backend=backend)
fetched = sorted(path.name for path in (detector.checkpoint.folder / "backends").glob("*"))
result = [str(detector.backend), fetched, detector(image).fake_probability]
"""


@pytest.fixture(scope="module")
def exported(checkpoint, tmp_path_factory):
    """The checkpoint with files of two runtimes, of which int8 does not agree."""
    folder = tmp_path_factory.mktemp("exported") / "checkpoint"
    shutil.copytree(checkpoint, folder)
    loaded = load_checkpoint(folder)
    export_backend(loaded.model, 64, folder, "openvino")
    export_backend(loaded.model, 64, folder, "openvino", [torch.rand(1, 3, 64, 64).numpy() for _ in range(4)])
    report = json.loads((folder / REPORT_FILE).read_text())
    auc = {"value": 0.0, "low": 0.0, "high": 0.0, "reason": None}
    numbers = {"n": 9, "largest": 0.0, "mean": 0.0, "auc_difference": auc, "changed": 0, "images_per_second": 1.0}
    report["backends"] = [
        {"runtime": runtime, "precision": precision, "agrees": agrees, "machine": "", "doubt": "", **numbers}
        for runtime, precision, agrees in (
            ("onnx", "fp32", True),
            ("openvino", "fp32", True),
            ("openvino", "int8", False),
        )
    ]
    (folder / REPORT_FILE).write_text(json.dumps(report))
    return folder


@pytest.fixture(scope="module")
def pushed(server, client, exported):
    return client(PUSH, token="hf_me", checkpoint=str(exported))


def test_what_agrees_and_is_there_is_pushed(hub, pushed, exported):
    names = {name for name in pushed if name.startswith("backends/")}
    assert names == {"backends/openvino_fp32.xml", "backends/openvino_fp32.bin"}
    files = hub.repos["model", "me/exports"].files()
    assert all(files[name] == (exported / name).read_bytes() for name in names)


def test_the_one_that_is_used_is_fetched(server, pushed, faces, tmp_path):
    image = str(faces / "fake" / "0003.jpg")
    names = ["openvino_fp32.bin", "openvino_fp32.xml"]
    with Client(server.endpoint, tmp_path / "home") as ours:
        plain = ours(LOAD, image=image, backend="torch", fastest="")
        assert plain[:2] == ["torch fp32", []]
        # What the report names and the repository lacks is no candidate.
        fast = ours(LOAD, image=image, backend="auto", fastest="openvino fp32")
        assert fast[:2] == ["openvino fp32", names]
        assert fast[2] == pytest.approx(plain[2], abs=1e-5)


def test_a_saved_detector_has_its_exports(exported, tmp_path):
    from hf_deepfake.detect.detector import Detector

    detector = Detector.from_pretrained(exported, device="cpu", backend="openvino")
    saved = detector.save_pretrained(tmp_path / "saved")
    assert sorted(path.name for path in (saved / "backends").iterdir()) == ["openvino_fp32.bin", "openvino_fp32.xml"]
    assert Detector.from_pretrained(saved, device="cpu", backend="openvino").backend == Variant("openvino", "fp32")
