import json
import os
import signal

import pytest
import torch

from hf_deepfake.config import TrainConfig
from hf_deepfake.errors import InputError
from hf_deepfake.training.resume import RunFolder, StopSignals


def config(folder, **options):
    return TrainConfig(data=("x",), output_dir=str(folder), **options)


def started(folder, **options):
    run = RunFolder.open(config(folder, **options))
    run.clear()
    run.save_record()
    return run


def test_a_new_run_has_a_record_of_its_options_and_versions(tmp_path):
    run = started(tmp_path / "run", lr=0.5)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record == run.record
    assert record["options"]["lr"] == 0.5
    assert record["versions"]["torch"] == torch.__version__.split("+")[0]
    assert record["status"] == "running"


def test_opening_writes_nothing(tmp_path):
    RunFolder.open(config(tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []


def test_another_run_needs_resume_or_overwrite(tmp_path):
    first = started(tmp_path)
    with pytest.raises(InputError, match="holds another run; give --resume"):
        RunFolder.open(config(tmp_path))
    assert RunFolder.open(config(tmp_path, resume=True)).record["id"] == first.record["id"]
    assert RunFolder.open(config(tmp_path, overwrite=True)).record["id"] != first.record["id"]


def test_a_folder_of_other_things_is_never_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(InputError, match="is not a run of this package"):
            RunFolder.open(config(tmp_path, **options))


def test_nothing_to_resume(tmp_path):
    with pytest.raises(InputError, match="no run to resume"):
        RunFolder.open(config(tmp_path / "none", resume=True))


def test_a_damaged_record_is_said(tmp_path):
    started(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match="is damaged; start anew with --overwrite"):
        RunFolder.open(config(tmp_path, resume=True))


def test_resuming_with_other_options_is_refused_but_not_for_speed(tmp_path):
    started(tmp_path, lr=0.5)
    with pytest.raises(InputError, match=r"has lr 0\.5, not 0\.1"):
        RunFolder.open(config(tmp_path, lr=0.1, resume=True))
    RunFolder.open(config(tmp_path, lr=0.5, workers=0, resume=True))


def test_clearing_leaves_what_is_not_the_runs(tmp_path):
    run = started(tmp_path)
    run.save_best({"w": torch.ones(2)})
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    run.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_state_and_weights_come_back(tmp_path):
    run = started(tmp_path)
    assert run.load_state() is None
    run.save_state({"position": {"epoch": 3}, "model": {"w": torch.arange(3)}})
    assert run.load_state()["position"] == {"epoch": 3}
    run.save_best({"w": torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last)})
    assert run.load_best()["w"].shape == (2, 3, 4, 4)


def test_a_failing_write_keeps_the_last_state(tmp_path, monkeypatch):
    run = started(tmp_path)
    run.save_state({"epoch": 1})

    def full(state, path):
        path.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file: file write failed")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(InputError, match="could not be saved"):
        run.save_state({"epoch": 2})
    assert run.load_state() == {"epoch": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "state.pt"]


def test_a_signal_is_noted_and_a_second_one_interrupts():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals() as signals:
        assert signals.received == 0
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.received == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before
