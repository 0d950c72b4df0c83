"""Runs in processes of their own."""

import json

import pytest
import yaml

from hf_deepfake.errors import InputError
from hf_deepfake.training.apart import train_apart

TINY = {"model": "test_resnet", "pretrained": "off", "image_size": 64, "epochs": 1, "steps_per_epoch": 2}
TINY |= {"batch_size": 8, "workers": 0, "explained": 0, "audit": "off", "degrade": 0.0}


def test_a_wrong_option_starts_nothing(tmp_path):
    with pytest.raises(InputError, match=r"unknown option.*epoch_count"):
        train_apart({"data": "x", "output_dir": str(tmp_path / "run"), "epoch_count": 2})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_run_that_fails_is_named(tmp_path, capfd):
    with pytest.raises(InputError, match=rf"{tmp_path / 'run'} stopped with exit code 2; mend it"):
        train_apart(TINY | {"data": str(tmp_path / "nowhere"), "output_dir": str(tmp_path / "run")})
    assert "nowhere" in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_is_kept_with_its_options(faces, tmp_path):
    options = TINY | {"data": str(faces), "output_dir": str(tmp_path / "run.1")}
    train_apart(options)
    assert yaml.safe_load((tmp_path / "run.1.yaml").read_text()) == options
    record = json.loads((tmp_path / "run.1" / "run.json").read_text())
    assert record["options"]["degrade"] == 0
    assert len(record["epochs"]) == 1
    assert (tmp_path / "run.1" / "checkpoint" / "report.json").exists()
