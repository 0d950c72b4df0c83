"""Shared by all tests: no network, one torch thread in each of several workers, a cache of their own."""

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")


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


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """The clock that progress is measured with."""
    from hf_deepfake import progress

    made = Clock()
    monkeypatch.setattr(progress.time, "monotonic", made.monotonic)
    return made
