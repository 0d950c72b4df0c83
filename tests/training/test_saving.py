"""What a loop keeps and goes on from; whole runs that are stopped have tests of their own."""

import json

import pytest
import torch
from accelerate import Accelerator
from tiny_runs import config
from torch import nn

from hf_deepfake.errors import InputError
from hf_deepfake.training import saving
from hf_deepfake.training.resume import Position, RunFolder
from hf_deepfake.training.saving import PAUSE, Saving

WEIGHT = "weight"


@pytest.fixture
def run(tmp_path):
    folder = RunFolder.open(config(tmp_path, tmp_path / "run"))
    folder.clear()
    return folder


@pytest.fixture
def time_of_saving(clock, monkeypatch):
    monkeypatch.setattr(saving, "time", clock)
    return clock


def made(run, order="a"):
    """A model of one weight, its optimiser, and what saves them."""
    model = nn.Linear(1, 1, bias=False)
    return model, torch.optim.SGD(model.parameters()), Saving(Accelerator(cpu=True), run, model, None, None, order)


def set_to(model, value):
    with torch.no_grad():
        model.weight.fill_(value)


def test_short_epochs_are_saved_together(run, time_of_saving):
    model, optimizer, saved = made(run)
    position = Position(epoch=1, best_epoch=1, history=[{"epoch": 1}])
    set_to(model, 1.0)
    saved.keep_best(model, short=True)
    set_to(model, 2.0)  # the epoch after the best one
    saved.save("classifier", optimizer, position, short=True)
    assert not run.best_file.exists()
    assert not run.state_file.exists()
    time_of_saving.now += PAUSE
    saved.save("classifier", optimizer, position, short=True)
    assert run.load_best()[WEIGHT].item() == 1.0
    assert run.load_state()["model"][WEIGHT].item() == 2.0
    assert json.loads(run.record_file.read_text())["epochs"] == [{"epoch": 1}]
    set_to(model, 3.0)
    saved.save("classifier", optimizer, position, short=True)
    assert run.load_state()["model"][WEIGHT].item() == 2.0
    saved.save("classifier", optimizer, position)  # a stop, or the stage's end
    assert run.load_state()["model"][WEIGHT].item() == 3.0
    assert run.load_best()[WEIGHT].item() == 1.0


def test_a_long_epoch_s_best_weights_are_there_at_once(run):
    model, *_, saved = made(run)
    set_to(model, 5.0)
    saved.keep_best(model, short=False)
    assert run.load_best()[WEIGHT].item() == 5.0


def test_a_run_goes_on_where_it_was(run):
    model, optimizer, saved = made(run)
    assert saved.restore() == (Position(), None)
    set_to(model, 4.0)
    position = Position(epoch=2, step=3, best_epoch=1, history=[{"epoch": 1}, {"epoch": 2}])
    saved.save("main", optimizer, position)
    other, _, again = made(run)
    found, state = again.restore()
    assert (found, state["stage"]) == (position, "main")
    assert other.weight.item() == 4.0


def test_other_groups_or_origins_are_another_run(run):
    _, optimizer, saved = made(run)
    saved.save("main", optimizer, Position())
    with pytest.raises(InputError, match=r"^the groups or origins of the images are not those .+ give the same data"):
        made(run, order="b")[-1].restore()
