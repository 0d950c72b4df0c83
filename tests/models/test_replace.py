import os

import pytest

from hf_deepfake.errors import InputError
from hf_deepfake.models.replace import check_place, replacing_folder


def checkpoint(folder, text="old"):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(text)
    (folder / "roc.png").write_text(text)
    return folder


def write(folder, text="new"):
    with replacing_folder(folder) as written:
        (written / "config.json").write_text(text)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_folder_is_made_with_those_above_it(tmp_path):
    write(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "config.json").read_text() == "new"
    assert names(tmp_path / "a") == ["b"]


def test_a_checkpoint_is_replaced_with_all_it_held(tmp_path):
    write(checkpoint(tmp_path / "one"))
    assert names(tmp_path / "one") == ["config.json"]
    assert (tmp_path / "one" / "config.json").read_text() == "new"
    assert names(tmp_path) == ["one"]


def test_an_empty_folder_stays_itself(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = (tmp_path / "here").stat().st_ino
    write(tmp_path / "here")
    assert (tmp_path / "here").stat().st_ino == before
    assert names(tmp_path / "here") == ["config.json"]


def test_a_link_goes_on_to_lead_where_it_led(tmp_path):
    checkpoint(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "config.json").read_text() == "new"


def test_what_fails_half_way_leaves_what_was_there(tmp_path):
    folder = checkpoint(tmp_path / "one")
    with pytest.raises(InputError, match=r"cannot be written to .*one \(\[Errno 28\] full\); what was there before"):
        fail(folder, OSError(28, "full"))
    with pytest.raises(KeyError):
        fail(folder, KeyError("a fault of ours is no fault of the disk"))
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"config.json": "old", "roc.png": "old"}
    assert names(tmp_path) == ["one"]


def fail(folder, error):
    with replacing_folder(folder) as written:
        (written / "config.json").write_text("half")
        raise error


def test_a_place_that_cannot_be_taken_gives_the_old_one_back(tmp_path, monkeypatch):
    folder, rename = checkpoint(tmp_path / "one"), os.rename

    def failing(source, target):
        if str(source).endswith(".new"):
            raise OSError(5, "broken")
        rename(source, target)

    monkeypatch.setattr("pathlib.Path.rename", failing)
    with pytest.raises(InputError, match="broken"):
        write(folder)
    assert names(folder) == ["config.json", "roc.png"]


def test_what_is_no_checkpoint_is_not_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text.tex").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    for name in ("thesis", "file"):
        with pytest.raises(InputError, match="is there and no checkpoint, so that it is not replaced"):
            write(tmp_path / name)
    assert (tmp_path / "thesis" / "text.tex").read_text() == "years of work"
    assert names(tmp_path) == ["file", "thesis"]


def test_the_working_directory_is_not_taken_away(tmp_path, monkeypatch):
    folder = checkpoint(tmp_path / "one")
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    with pytest.raises(InputError, match="holds the working directory"):
        check_place(folder)
    monkeypatch.chdir(tmp_path)
    assert check_place(folder) == folder
