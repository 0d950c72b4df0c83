"""The one walk: what is listed, what is passed over, and what is said of it."""

import os

import pytest
from PIL import Image

from hf_deepfake.data.walk import HIDDEN, NO_SUFFIX, NOT_UTF8, describe_left_out, is_utf8, walk


def touch(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()


def image(path, form):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 40)).save(path, form)


SUFFIXES = "jpg JPEG jpe JFIF jif PnG webp bmp tif TIFF gif avif heic HEIF hif mpo dib pjpeg"


@pytest.mark.parametrize("suffix", SUFFIXES.split(" "))
def test_suffixes_that_images_have(tmp_path, suffix):
    touch(tmp_path, f"a.{suffix}")
    assert walk(tmp_path).files == [f"a.{suffix}"]


@pytest.mark.parametrize("name", ["n0012", "frame.0001", "photo.jpg_large", "photo.png~", "7f3a.99aa", "UPPER"])
def test_without_a_suffix_the_content_says_it(tmp_path, name):
    image(tmp_path / name, "JPEG")
    (tmp_path / f"{name}0").write_text("no image")
    (tmp_path / f"{name}1").touch()
    found = walk(tmp_path)
    assert (found.files, found.left_out()) == ([name], {NO_SUFFIX: 2})


def test_other_suffixes_are_left_out_and_counted(tmp_path):
    touch(tmp_path, "real/a.jpg", "real/a.TXT", "b/notes.txt", "a.svg", "LICENSE", "x.tar.gz")
    image(tmp_path / "copy.bak", "PNG")
    found = walk(tmp_path)
    assert found.files == ["real/a.jpg"]
    assert found.left_out() == {".txt": 2, ".svg": 1, NO_SUFFIX: 1, ".gz": 1, ".bak": 1}
    assert found.left_out(used=["b/notes.txt", "LICENSE"]) == {".txt": 1, ".svg": 1, ".gz": 1, ".bak": 1}


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert walk(tmp_path).left_out() == {NO_SUFFIX: 1}


@pytest.mark.parametrize("junk", [".thumbnails", "__MACOSX", "@eaDir", "@EADIR", "#recycle", "$RECYCLE.BIN", ".git"])
def test_folders_of_systems_are_named_and_not_looked_into(tmp_path, junk):
    touch(tmp_path, "real/a.jpg", f"real/{junk}/b.jpg", f"real/{junk}/deep/c.jpg", "real/.hidden.jpg", "real/.DS_Store")
    found = walk(tmp_path)
    assert (found.files, found.left_out()) == (["real/a.jpg"], {HIDDEN: 1})
    assert found.remarks() == ["not looked into: 1 folders that are hidden or the system's"]


def test_a_folder_that_is_itself_hidden_is_walked(tmp_path):
    touch(tmp_path, ".cache/a.jpg")
    assert walk(tmp_path / ".cache").files == ["a.jpg"]


def test_links_lead_to_folders_and_files(tmp_path):
    touch(tmp_path, "elsewhere/deep/1.jpg", "elsewhere/2.jpg", "set/3.jpg")
    (tmp_path / "set/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/4.jpg").symlink_to(tmp_path / "elsewhere/2.jpg")
    (tmp_path / "set/broken.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "set/itself").symlink_to("itself")
    found = walk(tmp_path / "set")
    assert found.files == ["3.jpg", "4.jpg", "broken.jpg", "linked/2.jpg", "linked/deep/1.jpg"]
    assert (found.left_out(), found.again) == ({NO_SUFFIX: 1}, {})


@pytest.mark.parametrize(("link", "real"), [("a_test", "val"), ("val", "z_test")])
def test_a_folder_that_is_a_link_to_another_is_named(tmp_path, link, real):
    """Whichever comes first by its name, the images stand under the folder that holds them."""
    touch(tmp_path, f"{real}/real/1.jpg", f"{real}/fake/2.jpg")
    (tmp_path / link).symlink_to(real)
    found = walk(tmp_path)
    assert found.files == [f"{real}/fake/2.jpg", f"{real}/real/1.jpg"]
    assert found.again == {link: real}
    assert found.remarks() == [f"{link} is a link to {real}, so it lists no image again"]


def test_kinds_of_images_are_said(tmp_path):
    touch(tmp_path, "a.jpg", "b.JPG", "c.jfif")
    assert walk(tmp_path).kinds() == ["images listed: 2 .jpg, 1 .jfif"]
    (tmp_path / "c.jfif").unlink()
    assert walk(tmp_path).kinds() == []


def test_two_links_to_one_folder(tmp_path):
    touch(tmp_path, "all/real/1.jpg")
    for name in ("train", "test"):
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / name).symlink_to(tmp_path / "all")
    found = walk(tmp_path / "set")
    assert (found.files, found.again) == (["test/real/1.jpg"], {"train": "test"})


def test_links_upwards_do_not_bring_in_what_lies_beside(tmp_path):
    touch(tmp_path, "set/real/1.jpg", "other/2.jpg")
    (tmp_path / "set/up").symlink_to(tmp_path)
    (tmp_path / "set/real/round").symlink_to(tmp_path / "set")
    found = walk(tmp_path / "set")
    assert found.files == ["real/1.jpg"]
    assert found.again == {"up": "a folder above", "real/round": "the whole folder"}


def test_what_was_left_out_in_words():
    assert describe_left_out({}) == ""
    assert describe_left_out({".heic": 1}) == "1 file left out: 1 .heic"
    assert describe_left_out({NO_SUFFIX: 15, ".txt": 1000}) == "1,015 files left out: 1,000 .txt, 15 without a suffix"


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        (".gz", "unpack"),
        (".rar", "unpack"),
        (".zip", "unpack"),
        (".mp4", "hf-deepfake crop"),
        (".cr2", "convert"),
    ],
)
def test_what_may_hold_images_gets_a_hint(kind, hint):
    assert hint in describe_left_out({kind: 2})
    assert hint not in describe_left_out({".txt": 2})


def test_names_that_are_no_text():
    assert is_utf8("caf\u00e9.jpg")
    assert not is_utf8(os.fsdecode(b"caf\xe9.jpg"))
    assert "rename" in describe_left_out({NOT_UTF8: 1})
