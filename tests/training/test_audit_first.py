import json

import pytest
from PIL import Image

from hf_deepfake.audits.search import audit
from hf_deepfake.config import DataConfig, TrainConfig
from hf_deepfake.training.run import _findings, train


def config(data, folder, **changes):
    return TrainConfig(
        **{
            "data": (str(data),), "output_dir": str(folder), "model": "test_convnext", "pretrained": "off",
            "image_size": 64, "batch_size": 16, "workers": 0, "mixed_precision": "no", "explained": 0, "epochs": 1,
            "steps_per_epoch": 1,
        } | changes
    )  # fmt: skip


@pytest.fixture(scope="module")
def telling(faces, tmp_path_factory):
    """The drawn set with its fakes saved as PNG, so that the format tells the class."""
    folder = tmp_path_factory.mktemp("telling")
    for label, form in (("real", "jpg"), ("fake", "png")):
        (folder / label).mkdir()
        for file in sorted((faces / label).iterdir()):
            Image.open(file).save(folder / label / f"{file.stem}.{form}")
    return folder


@pytest.mark.slow
def test_a_shortcut_is_said_before_the_first_step_and_kept(telling, cache, tmp_path, capfd):
    result = train(config(telling, tmp_path / "run"))
    said = capfd.readouterr().err
    assert said.index("FATAL: ") < said.index("epoch 1")
    assert "NOT LOOKED AT: near duplicates, images of one scene, low-level statistics" in said
    found = result.report.audit
    assert found == audit(DataConfig(data=(str(telling),)), level="basic").for_report()
    assert found["level"] == "basic"
    assert found["findings"][0]["severity"] == "fatal"
    assert found["shortcuts"]["facts"]["auc"] > 0.99
    assert "file" in found["findings"][0]["what"]
    assert (tmp_path / "run" / "audit" / "audit.html").is_file()
    assert {path.name for path in (tmp_path / "run" / "audit").iterdir()} >= {"counts.png", "sheet_real.jpg"}
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["audit"] == found
    assert "audit" not in result.report.training


@pytest.mark.slow
def test_full_looks_at_the_images_too(faces, cache, tmp_path):
    found = train(config(faces, tmp_path / "run", audit="full")).report.audit
    assert found["level"] == "full"
    assert set(found["shortcuts"]) == {"facts", "statistics", "content"}


def test_no_finding_of_a_basic_audit_is_not_nothing_found():
    clean = {"level": "basic", "unseen": ["near duplicates"], "findings": [], "shortcuts": {}}
    assert _findings(clean).startswith("no finding in what a basic audit looks at\nNOT LOOKED AT: near duplicates;")
    assert _findings(clean | {"level": "full", "unseen": []}).startswith("nothing was found (full audit")


@pytest.mark.slow
def test_off_looks_at_nothing(telling, cache, tmp_path, capfd):
    assert train(config(telling, tmp_path / "run", audit="off")).report.audit == {}
    assert "FATAL" not in capfd.readouterr().err
