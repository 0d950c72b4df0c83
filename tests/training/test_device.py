import importlib.util
from datetime import timedelta

import pytest

from hf_deepfake.config import TrainConfig
from hf_deepfake.errors import InputError
from hf_deepfake.training.device import make_accelerator


def test_fp16_needs_a_gpu():
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        make_accelerator(TrainConfig(data=("x",), output_dir="y", mixed_precision="fp16"))


def test_a_missing_tracker_is_one_sentence(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="trackio is not installed"):
        make_accelerator(TrainConfig(data=("x",), output_dir="y", tracker="trackio"))


def test_processes_wait_for_hours_for_one_that_audits_or_draws():
    accelerator = make_accelerator(TrainConfig(data=("x",), output_dir="y", mixed_precision="no"))
    assert accelerator.init_handler.timeout >= timedelta(hours=12)  # 10 minutes by default
