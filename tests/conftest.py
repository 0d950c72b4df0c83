"""Shared by all tests: no network, one torch thread in each of several workers, a cache of their own."""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")


def pytest_collection_modifyitems(items):
    """Files with most slow tests first: a worker that begins a long one last keeps the others waiting."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(ids):
    """What tests/browser/conftest.py does where tests run in this process."""
    from chromium import require_browser

    require_browser(any(one.startswith("tests/browser/test_page.py") for one in ids))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """A cache that the whole session shares and no user's run sees."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["HF_DEEPFAKE_CACHE"] = str(folder)
    os.environ["HF_HOME"] = str(folder / "hf")
    return folder


@pytest.fixture(scope="session", autouse=True)
def no_conversion():
    """Drawn checkpoints stay on torch: to convert each would take longer than most tests."""
    from hf_deepfake.detect import choice

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choice, "convert", lambda loaded: None)
        yield


@pytest.fixture(scope="module", autouse=True)
def own_precision():
    """Accelerate takes one precision a process, and no file of tests may depend on which ran before it."""
    yield
    if "accelerate.state" in sys.modules:
        sys.modules["accelerate.state"].AcceleratorState._reset_state()


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
