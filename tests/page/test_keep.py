import os
import subprocess
import sys

import pytest

from hf_deepfake.page import keep

ASK = """
import os, {first}
from gradio import route_utils
print(route_utils.DEFAULT_TEMP_DIR, os.environ["GRADIO_TEMP_DIR"])
"""


@pytest.mark.slow
@pytest.mark.parametrize("first", ["hf_deepfake.page.blocks", "hf_deepfake.page.picker", "hf_deepfake.page.uploads"])
def test_gradio_has_a_folder_of_this_process_whatever_is_imported_first(first, tmp_path):
    words = [sys.executable, "-c", ASK.format(first=first)]
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(tmp_path)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    taken, own = done.stdout.split()
    assert taken == own
    assert own.startswith(str(tmp_path / keep.PREFIX))
    assert list(tmp_path.iterdir()) == []


def test_one_sweep_spares_and_the_next_deletes(tmp_path):
    folder = tmp_path / "uploads"
    for name in ("a/face.jpg", "b/face.jpg", "b/own.jpg", "tmp-broken-off"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"1")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "face.jpg").write_bytes(b"outside")
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "empty").mkdir()
    sweep = keep.Sweep(folder, {str(folder / "b" / "own.jpg")})
    everything = set(folder.rglob("*"))
    sweep()
    assert set(folder.rglob("*")) == everything
    (folder / "a" / "new.jpg").write_bytes(b"2")
    os.utime(folder / "b" / "face.jpg")  # handed out again
    sweep()
    assert {str(path.relative_to(folder)) for path in folder.rglob("*")} == {
        *("a", "a/new.jpg", "b", "b/face.jpg", "b/own.jpg")
    }
    sweep()
    assert {str(path.relative_to(folder)) for path in folder.rglob("*")} == {"b", "b/own.jpg"}
    assert (tmp_path / "outside" / "face.jpg").exists()


def test_folders_of_killed_servers_go_and_those_of_running_ones_stay(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(keep.atexit, "register", lambda *_: None)
    killed, running = tmp_path / f"{keep.PREFIX}killed", tmp_path / f"{keep.PREFIX}running"
    for folder in (killed, running):
        (folder / "a").mkdir(parents=True)
        (folder / "a" / "face.jpg").write_bytes(b"1")
    (tmp_path / "other").mkdir()
    (tmp_path / f"{keep.PREFIX}link").symlink_to(tmp_path / "other")
    lock = keep._lock(running)
    own = keep.own_folder()
    assert own.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in tmp_path.iterdir()} == {own.name, running.name, "other", f"{keep.PREFIX}link"}
    assert (running / "a" / "face.jpg").exists()
    os.close(lock)
    assert {path.name for path in (keep.own_folder(), own)} <= {path.name for path in tmp_path.iterdir()}
    assert not running.exists()
