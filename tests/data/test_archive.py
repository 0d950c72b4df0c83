"""Unpacking zips: once, only what is needed, and nothing of a hostile one."""

import json
import os
import stat
import zipfile

import pytest

from hf_deepfake.data import archive
from hf_deepfake.data.archive import left_out_of, unpack, whole_folder
from hf_deepfake.errors import InputError


def pack(path, entries, compression=zipfile.ZIP_DEFLATED):
    """A zip of {name or ZipInfo: bytes}."""
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return path


def refused(path, cache, message):
    """The zip is refused with the message, and nothing stays behind."""
    with pytest.raises(InputError, match=message):
        unpack(path, cache)
    assert not list((cache / "zips").iterdir())


def test_images_parquet_and_tables_are_unpacked_and_nothing_else(tmp_path):
    wanted = {
        "D/real/1.JPG": b"one",
        "D/groups.csv": b"file\n",
        "D/x.json": b"{}",
        "D/a b/2.png": b"",
        "data/train-0.parquet": b"p",
    }
    other = {"D/run.exe": b"x", "__MACOSX/D/1.jpg": b"x", "D/.hid/1.jpg": b"x", "D/._1.jpg": b"x"}
    folder = unpack(pack(tmp_path / "faces.zip", wanted | other), tmp_path / "cache")
    found = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert json.loads(found.pop(".left_out.json")) == {".exe": 1, "hidden": 3}
    assert found == wanted
    assert left_out_of(folder) == {".exe": 1, "hidden": 3}
    assert folder.name.startswith("faces-")


def test_unpacked_once_until_the_zip_changes(tmp_path):
    path, cache = pack(tmp_path / "a.zip", {"real/1.jpg": b"1"}), tmp_path / "cache"
    first = unpack(path, cache)
    (first / "mark").touch()
    assert unpack(path, cache) == first
    assert (first / "mark").exists()
    os.utime(path, ns=(0, 0))
    assert unpack(path, cache) != first
    assert len(list((cache / "zips").iterdir())) == 2


@pytest.mark.parametrize("name", ["../1.jpg", "a/../../1.jpg", "/etc/1.jpg", "C:/1.jpg", "..\\1.jpg", "\\1.jpg"])
def test_entries_outside_the_folder(tmp_path, name):
    refused(pack(tmp_path / "a.zip", {"real/1.jpg": b"1", name: b"2"}), tmp_path / "cache", "outside its folder")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.zip", "cache"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices(tmp_path, kind):
    link = zipfile.ZipInfo("real/1.jpg")
    link.create_system, link.external_attr = 3, (kind | 0o777) << 16
    refused(pack(tmp_path / "a.zip", {link: b"/etc/passwd"}), tmp_path / "cache", "a link or device")


def test_bombs(tmp_path, monkeypatch):
    refused(pack(tmp_path / "a.zip", {"real/1.bmp": bytes(10_000_000)}), tmp_path / "cache", "zip bombs")
    monkeypatch.setattr(archive, "MAX_UNPACKED", 1000)
    stored = pack(tmp_path / "b.zip", {"1.bmp": bytes(600), "2.bmp": bytes(600)}, zipfile.ZIP_STORED)
    refused(stored, tmp_path / "cache", "would unpack to 1200 bytes")
    monkeypatch.setattr(archive, "MAX_ENTRIES", 1)
    refused(stored, tmp_path / "cache", "holds 2 files, more than 1")


def test_encrypted_entries(tmp_path):
    path = pack(tmp_path / "a.zip", {"1.jpg": b"1"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flags in the central directory
    path.write_bytes(data)
    refused(path, tmp_path / "cache", "encrypted")


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions(tmp_path, compression):
    refused(
        pack(tmp_path / "a.zip", {"1.jpg": b"1" * 99}, compression), tmp_path / "cache", "not compressed by deflate"
    )


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("claimed", [10, 3000])
def test_a_zip_that_lies_about_its_sizes(tmp_path, compression, claimed):
    path = pack(tmp_path / "a.zip", {"real/1.jpg": os.urandom(1000), "real/2.jpg": b"2"}, compression)
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02") + 24  # the unpacked size in the central directory
    data[place : place + 4] = claimed.to_bytes(4, "little")
    path.write_bytes(data)
    refused(path, tmp_path / "cache", "damaged|lies about the size")


def test_damaged_and_truncated_zips(tmp_path):
    path = pack(tmp_path / "a.zip", {"1.jpg": os.urandom(1000)}, zipfile.ZIP_STORED)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(whole[200:204], b"????"))
    refused(path, tmp_path / "cache", "damaged")
    path.write_bytes(whole[:500])
    refused(path, tmp_path / "cache", "damaged")


def test_two_entries_of_one_name(tmp_path):
    path = pack(tmp_path / "a.zip", {"1.jpg": b"1", "2.jpg": b"2"})
    path.write_bytes(path.read_bytes().replace(b"2.jpg", b"1.jpg"))
    refused(path, tmp_path / "cache", r"two entries '1\.jpg'")


def test_a_full_disk(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "_extract", full)
    refused(
        pack(tmp_path / "a.zip", {"1.jpg": b"1"}), tmp_path / "cache", "No space left on device, so make room there"
    )


def test_whole_folder_keeps_what_another_process_made(tmp_path):
    target = tmp_path / "made"
    with whole_folder(target) as folder:
        (folder / "mine").touch()
        target.mkdir()
        (target / "theirs").touch()
    assert [file.name for file in target.iterdir()] == ["theirs"]
    assert list(tmp_path.iterdir()) == [target]


def test_what_was_unpacked_and_is_damaged_now_is_said(tmp_path):
    path = pack(tmp_path / "a.zip", {"1.jpg": b"12345", "2.jpg": b"12345"})
    folder = archive.unpack(path, tmp_path / "cache")
    assert archive.unpack(path, tmp_path / "cache") == folder
    (folder / "2.jpg").write_bytes(b"123")
    with pytest.raises(InputError, match=rf"2\.jpg in the cache is damaged or gone; delete {folder}"):
        archive.unpack(path, tmp_path / "cache")
    (folder / "2.jpg").unlink()
    with pytest.raises(InputError, match=r"2\.jpg in the cache is damaged or gone"):
        archive.unpack(path, tmp_path / "cache")


def test_the_walk_of_a_zip_is_that_of_a_folder(tmp_path):
    jpeg = b"\xff\xd8\xff and so on"
    wanted = {"real/1.JFIF": b"1", "real/n1": jpeg, "fake/frame.0001": jpeg, "fake/2.heic": b"2"}
    other = {
        "real/@eaDir/1.jpg": b"1",
        "real/notes": b"x",
        "fake/clip.mp4": b"x",
        "README.md": b"a",
        "fake/more.zip": b"x",
    }
    folder = unpack(pack(tmp_path / "faces.zip", wanted | other), tmp_path / "cache")
    assert {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} == {
        ".left_out.json",
        *wanted,
    }
    assert left_out_of(folder) == {"hidden": 1, "without a suffix": 1, ".mp4": 1, ".md": 1, ".zip": 1}


def test_a_zip_of_zips_or_videos_says_what_to_do(tmp_path):
    refused(
        pack(tmp_path / "a.zip", {"part1.zip": b"PK"}), tmp_path / "c", r"a\.zip holds no images; .*unpack archives"
    )
    refused(pack(tmp_path / "b.zip", {"a/1.mp4": b""}), tmp_path / "c", r"b\.zip holds no images; .*hf-deepfake crop")
