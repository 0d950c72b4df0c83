import errno
import json
import subprocess

import pytest
import torch

from hf_deepfake.config import TrainConfig
from hf_deepfake.errors import InputError
from hf_deepfake.training import resume
from hf_deepfake.training.resume import RunFolder

STATE = {
    "stage": "main",
    "order": "x",
    "position": {},
    "model": {"w": torch.arange(300)},
    "ema": None,
    "group_dro": None,
    "optimizer": {},
    "scaler": None,
}


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


def git(folder, *words):
    settings = ["-c", "user.name=Jane", "-c", "user.email=jane@example.com"]
    done = subprocess.run(["git", "-C", str(folder), *settings, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Another repository, in which the command runs, with git's own variables pointing there."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "private")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GIT_DIR", str(folder / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(folder))
    return folder


def test_the_revision_is_that_of_the_clone_that_the_package_runs_from(elsewhere, tmp_path, monkeypatch):
    clone = tmp_path / "clone"
    (clone / "hf_deepfake" / "training").mkdir(parents=True)
    module = clone / "hf_deepfake" / "training" / "resume.py"
    module.touch()
    monkeypatch.setattr(resume, "__file__", str(module))
    assert resume._git_revision() is None
    for name in ("GIT_DIR", "GIT_WORK_TREE"):
        monkeypatch.delenv(name)
    git(clone, "init", "--quiet")
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "--message", "first")
    revision = git(clone, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(elsewhere / ".git"))
    assert resume._git_revision() == revision
    (clone / "notes.txt").touch()
    assert resume._git_revision() == revision
    module.write_text("# changed")
    assert resume._git_revision() == f"{revision}+"


def test_the_revision_of_a_repository_around_an_environment_is_not_told(elsewhere, monkeypatch):
    module = elsewhere / ".venv" / "site-packages" / "hf_deepfake" / "training" / "resume.py"
    module.parent.mkdir(parents=True)
    module.touch()
    monkeypatch.setattr(resume, "__file__", str(module))
    assert resume._git_revision() is None


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
    with pytest.raises(InputError, match=r"run\.json is damaged .* start anew with --overwrite or another"):
        RunFolder.open(config(tmp_path, resume=True))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"id": "x", "status": "stopped", "options": []}', "\x00\x01", '"run"']
)
def test_what_is_no_record_is_one_sentence(tmp_path, text):
    started(tmp_path)
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"run\.json is damaged"):
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
    run.save_state(STATE | {"position": {"epoch": 3}})
    assert run.load_state()["position"] == {"epoch": 3}
    run.save_best({"w": torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last)})
    assert run.load_best()["w"].shape == (2, 3, 4, 4)


def test_weights_of_every_type_come_back(tmp_path):
    run = started(tmp_path)
    kinds = (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool)
    weights = {str(kind): torch.tensor([[0, 1], [1, 1]], dtype=kind).t() for kind in kinds}
    weights |= {"count": torch.tensor(7), "none": torch.ones(0, 3), "whole": torch.arange(6)[::2]}
    run.save_best(weights)
    back = run.load_best()
    assert back.keys() == weights.keys()
    for name, tensor in weights.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor)


def test_a_failing_write_keeps_the_last_state(tmp_path, monkeypatch):
    run = started(tmp_path)
    run.save_state(STATE)

    def full(state, path):
        path.write(b"half")
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise RuntimeError("unexpected pos 704 vs 598")  # noqa: B904 - what torch makes of it

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(InputError, match="could not be saved: No space left on device, so make room there"):
        run.save_state(STATE | {"stage": "other"})
    assert run.load_state()["stage"] == "main"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "state.pt"]


DAMAGE = {
    "empty": lambda content: b"",
    "beginning": lambda content: content[:100],
    "half": lambda content: content[: len(content) // 2],
    "end cut off": lambda content: content[:-10],
    "other": lambda content: b"what is this?" * 20,
    "zeros": lambda content: bytes(len(content)),
    "a bit": lambda content: content.replace((7).to_bytes(8, "little"), (6).to_bytes(8, "little"), 1),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_state_is_one_sentence(tmp_path, damage):
    run = started(tmp_path)
    run.save_state(STATE)
    run.save_best({"w": torch.arange(300)})
    whole = run.state_file.read_bytes()
    run.state_file.write_bytes(damage(whole))
    assert run.state_file.read_bytes() != whole
    with pytest.raises(InputError, match=r"state\.pt is damaged .*--overwrite .*best\.safetensors has the best epoch"):
        run.load_state()


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_best_weights_are_one_sentence(tmp_path, damage):
    run = started(tmp_path)
    run.save_best({"w": torch.arange(300)})
    whole = run.best_file.read_bytes()
    run.best_file.write_bytes(damage(whole))
    assert run.best_file.read_bytes() != whole
    with pytest.raises(InputError, match=r"best\.safetensors is damaged .*start anew with --overwrite"):
        run.load_best()


def test_files_that_are_gone_or_of_another_model_are_one_sentence(tmp_path):
    run = started(tmp_path)
    with pytest.raises(InputError, match=r"best\.safetensors is damaged"):
        run.load_best()
    run.record["epochs"] = [{"epoch": 1}]
    with pytest.raises(InputError, match=r"state\.pt is damaged \(it is gone\)"):
        run.load_state()
    run.save_state({"epoch": 1})
    with pytest.raises(InputError, match=r"state\.pt is damaged \(it has no ema\)"):
        run.load_state()
    for state in ({"w": torch.ones(2)}, {"weight": torch.ones(7)}, {}, None, []):
        with pytest.raises(InputError, match=r"state\.pt is damaged"):
            run.restore(torch.nn.Linear(2, 2), state)
    with pytest.raises(InputError, match=r"state\.pt is damaged"):
        run.restore(torch.optim.Adam(torch.nn.Linear(2, 2).parameters()), {"param_groups": []})


def test_options_that_may_change_are_those_of_now(tmp_path):
    started(tmp_path, data_license="unknown")
    moved = TrainConfig(data=("elsewhere",), output_dir=str(tmp_path), data_license="CC BY 4.0", resume=True)
    options = RunFolder.open(moved).record["options"]
    assert (options["data"], options["data_license"]) == (["elsewhere"], "CC BY 4.0")
