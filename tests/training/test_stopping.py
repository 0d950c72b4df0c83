"""Signals at any time of a run: it stops with one message, and goes on to what an undisturbed run ends with."""

import os
import signal
from functools import partial

import pytest
import tiny_runs
import torch
from tiny_runs import record, state

from hf_deepfake.audits import audit_page
from hf_deepfake.errors import InputError
from hf_deepfake.training import finish, loop, run
from hf_deepfake.training.run import train
from hf_deepfake.training.signals import Stopped

config = partial(
    tiny_runs.config, model="test_resnet", epochs=1, head_epochs=1, steps_per_epoch=2, explained=2
)  # two stages of an epoch each


def interrupt(monkeypatch, module, name, call=1):
    """Send this process a signal when a function is called for the `call`th time."""
    usual, calls = getattr(module, name), []

    def interrupted(*given, **named):
        calls.append(name)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGTERM)
        return usual(*given, **named)

    monkeypatch.setattr(module, name, interrupted)


STOPS = [
    (audit_page, "write_audit", 1),
    (loop, "predict_logits", 1),  # validation after the first stage
    (loop, "predict_logits", 2),  # the one after it, for the first is done anew
    (finish, "predict_logits", 1),  # calibration
    (finish, "predict_logits", 3),  # test
    (finish, "measure_faithfulness", 1),
    (finish, "draw_sheet", 1),
    (finish, "measure", 1),
]


@pytest.mark.slow
def test_a_run_that_was_stopped_again_and_again_ends_as_one_that_was_not(faces, tmp_path, monkeypatch):
    whole = train(config(faces, tmp_path / "whole"))
    folder = tmp_path / "run"
    for number, (module, name, call) in enumerate(STOPS):
        with monkeypatch.context() as patch:
            interrupt(patch, module, name, call)
            with pytest.raises(Stopped, match="stopped and saved; go on with --resume"):
                train(config(faces, folder, audit="basic", resume=number > 0))
        assert record(folder)["status"] == "stopped", (module, name)
        assert record(folder)["test_looks"] == 0, (module, name)
    resumed = train(config(faces, folder, audit="basic", resume=True))
    assert resumed.report.splits == whole.report.splits
    assert resumed.report.explanations == whole.report.explanations
    assert resumed.report.audit["level"] == "basic"
    assert resumed.report.training["test_looks"] == 1
    losses = [[entry["train_loss"] for entry in one.report.training["epochs"]] for one in (resumed, whole)]
    assert losses[0] == losses[1]
    states = [state(one.folder)["model"] for one in (resumed, whole)]
    assert all(torch.equal(states[0][tensor], states[1][tensor]) for tensor in states[1])
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_before_there_is_anything_to_save(faces, tmp_path, monkeypatch):
    interrupt(monkeypatch, run, "prepare")
    with pytest.raises(Stopped, match="start again with the same command"):
        train(config(faces, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_data_that_moved_are_the_same_data(faces, tmp_path, monkeypatch):
    first, second = tmp_path / "first" / "faces", tmp_path / "second" / "images"
    for place in (first, second):
        place.parent.mkdir()
    first.symlink_to(faces)
    moving = partial(config, folder=tmp_path / "run", sampling="paired", explained=0)
    with monkeypatch.context() as patch:
        interrupt(patch, loop, "predict_logits")
        with pytest.raises(Stopped):
            train(moving(first))
    begun = record(tmp_path / "run")
    second.mkdir()
    for name in ("real", "fake"):
        (second / name).symlink_to(faces / name)
    with pytest.raises(InputError, match=r"(groups or origins|images) (of the images )?are not those"):
        train(moving(second, resume=True))
    (second / "groups.csv").write_bytes((faces / "groups.csv").read_bytes())
    done = train(moving(second, resume=True))
    assert list(done.report.data["sources"]) == ["images"]
    assert done.report.training["options"].keys() == finish.for_others(begun)["options"].keys()
    assert record(tmp_path / "run")["options"]["data"] == [str(second)]
