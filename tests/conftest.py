"""Shared by all tests: no network, one torch thread less than would disturb neighbours, a cache of their own."""

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "2")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """A cache that the whole session shares and no user's run sees."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["HF_DEEPFAKE_CACHE"] = str(folder)
    os.environ["HF_HOME"] = str(folder / "hf")
    return folder


@pytest.fixture(scope="session")
def faces(tmp_path_factory) -> Path:
    """A folder of 60 drawn pairs without splits, 64 px, with groups.csv: `faces/real`, `faces/fake`."""
    from hf_deepfake.data.sample import draw_sample

    folder = tmp_path_factory.mktemp("faces")
    draw_sample(folder, count=60, size=64, seed=1)
    return folder / "images"
