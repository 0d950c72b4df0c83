import errno
import json
import os

import pytest

from hf_deepfake.errors import InputError
from hf_deepfake.files import (
    local_name,
    local_path,
    make_folder,
    printable,
    replacing,
    try_file,
    try_folder,
    write_json,
)


def test_json_arrives_whole(tmp_path):
    write_json(tmp_path / "a.json", {"name": "Zoë", "values": [1, 2.5, None]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"name": "Zoë", "values": [1, 2.5, None]}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")

    def fill_the_disk():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InputError, match="could not be saved: No space left on device, so make room there"):
        fill_the_disk()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_nan_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_made_once(tmp_path):
    folder = tmp_path / "a" / "b"
    assert make_folder(folder) == folder
    assert make_folder(folder).is_dir()


def test_a_folder_in_the_place_of_a_file(tmp_path):
    (tmp_path / "a").write_text("a file")
    with pytest.raises(InputError, match=r"cannot be made .*choose another folder"):
        make_folder(tmp_path / "a" / "b")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "Disk quota exceeded, so make room there or"),
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied, so allow writing there or"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system, so allow writing there or"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error, so mend that or"),
        (OSError("encoder error"), "encoder error, so mend that or"),
    ],
)
def test_only_a_full_disk_is_called_full(tmp_path, error, advice):
    with pytest.raises(InputError) as caught, replacing(tmp_path / "a.json"):
        raise error
    assert advice in str(caught.value)
    assert ("make room" in str(caught.value)) == (error.errno == errno.EDQUOT)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_path("~/a/b") == tmp_path / "a" / "b"
    assert local_path(local_path("~")) == tmp_path
    assert local_name("~/run/checkpoint") == str(tmp_path / "run" / "checkpoint")
    for other in ("owner/name", "kaggle:owner/name", "./~/a", "a~b"):
        assert local_name(other) == other
    assert str(local_path("~no_such_user.jpg")) == "~no_such_user.jpg"  # a file may be called so


def test_a_folder_that_could_be_written_is_left_as_it_is(tmp_path):
    assert try_folder(tmp_path) == tmp_path
    assert try_folder(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    assert try_file(tmp_path / "a" / "b.csv") == tmp_path / "a" / "b.csv"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/run", "file/deep/run", "x" * 300, "link", "link/run", "null\0byte"])
def test_a_folder_that_could_not_be_written_is_refused_before(tmp_path, name):
    (tmp_path / "file").write_text("stands for a read-only folder: root may write everywhere else")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="cannot be made or written in"):
        try_folder(tmp_path / name)
    with pytest.raises(InputError, match="cannot be made or written in"):
        try_file(tmp_path / name / "out.csv")
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_the_system_does_not_let_be_written_is_refused(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("hf_deepfake.files.NamedTemporaryFile", refuse)
    with pytest.raises(InputError, match="Read-only file system"):
        try_folder(tmp_path / "run")


def test_a_file_cannot_take_the_place_of_a_folder(tmp_path):
    with pytest.raises(InputError, match="is a folder; name a file"):
        try_file(tmp_path)


def test_a_name_that_is_no_text_can_be_printed():
    assert printable(os.fsdecode(b"caf\xe9.png")) == "caf\\xe9.png"
    assert printable("café.png") == "café.png"
