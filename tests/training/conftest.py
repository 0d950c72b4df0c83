"""What a tiny run costs is mostly what comes after its last step; tests of the steps leave that out."""

from functools import partial

import pytest
from tiny_runs import config

from hf_deepfake.hub.render_checkpoint import render
from hf_deepfake.metrics import result
from hf_deepfake.metrics.bootstrap import intervals
from hf_deepfake.training import finish, run
from hf_deepfake.training.run import train


@pytest.fixture(scope="session")
def finished(faces, tmp_path_factory):
    """A run of two stages that nothing disturbed, with all that a run leaves."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "render", render)
        patch.setattr(result, "intervals", intervals)
        return train(config(faces, folder, head_epochs=1, model="test_resnet", explained=4))


@pytest.fixture(scope="module", autouse=True)
def quick_ends():
    """No figures, and intervals of few resamples, in all runs but the one above."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "render", lambda folder: None)
        patch.setattr(result, "intervals", partial(intervals, resamples=50))
        yield


@pytest.fixture
def weights_only(monkeypatch):
    """Runs end after their last step: nothing is exported or measured."""
    monkeypatch.setattr(run, "finish", lambda *_: None)
