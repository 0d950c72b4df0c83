"""Images that paths of tables mean."""

from pathlib import Path

import pytest

from hf_deepfake.data.find import Finder, is_video

FILES = ["a/x/1.png", "a/x/2.png", "a/v7/0.png", "a/v7/1.png", "b/x/3.png", "b/v8_0.png", "b/v8_1.png"]
FINDER = Finder(Path("/data"), FILES)


@pytest.mark.parametrize(
    ("path", "folder", "rows"),
    [
        ("a/x/1.png", "", [0]),
        ("x/1.png", "a", [0]),
        ("x/1.png", "", [0]),
        ("/data/b/x/3.png", "", [4]),
        ("1.png", "", [0, 3]),
        ("1.png", "a/x", [0]),
        ("../x/2.png", "a/v7", [1]),
        ("D:\\faces\\a\\x\\2.png", "", [1]),
        ("v7.mp4", "", [2, 3]),
        ("set/v8.mp4", "", [5, 6]),
        ("a/frames/v7.mp4", "", [2, 3]),
        ("v8", "", [5, 6]),
        ("3", "", [4]),
        ("b/x/3.jpg", "", [4]),
        ("none.png", "", []),
        ("", "", []),
    ],
)
def test_one_path(path, folder, rows):
    assert FINDER.find([path], folder) == [rows]


def test_folders_are_taken_off_all_paths_or_none():
    # The second is missing; its name alone would be another image.
    assert FINDER.find(["a/x/1.png", "b/x/2.png"], "") == [[0], []]
    assert FINDER.find(["old/b/x/3.png", "old/c/x/2.png"], "") == [[4], []]


def test_ends_of_videos():
    assert is_video("a/B.MP4 ")
    assert not is_video("a/b.png")
