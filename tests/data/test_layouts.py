"""Paths and lists of FaceForensics++ and Celeb-DF, by hand. No video is needed."""

import json

import pytest

from hf_deepfake.data.layouts import is_mask, layout_columns, listed_splits, read_pairs

FF = "manipulated_sequences/Deepfakes/c23"


@pytest.mark.parametrize(
    ("file", "manipulation", "compression", "video"),
    [
        (f"{FF}/videos/000_003.mp4", "Deepfakes", "c23", f"{FF}/videos/000_003"),
        (f"{FF}/frames/000_003/720.png", "Deepfakes", "c23", f"{FF}/frames/000_003"),
        (f"{FF}/faces/000_003_0042.png", "Deepfakes", "c23", f"{FF}/faces/000_003"),
        (
            "ff/original_sequences/youtube/raw/videos/010.mp4",
            None,
            "raw",
            "ff/original_sequences/youtube/raw/videos/010",
        ),
        (
            "manipulated_sequences/DeepFakeDetection/c40/videos/01_02__walk__AB1.mp4",
            "DeepFakeDetection",
            "c40",
            "manipulated_sequences/DeepFakeDetection/c40/videos/01_02__walk__AB1",
        ),
        ("Celeb-synthesis/id0_id1_0000.mp4", None, None, "Celeb-synthesis/id0_id1_0000"),
        ("Celeb-real/frames/id0_0000/00012.jpg", None, None, "Celeb-real/frames/id0_0000"),
        ("YouTube-real/00170_0003.jpg", None, None, "YouTube-real/00170"),
        ("original_sequences/youtube/c23/readme/notes.png", None, "c23", None),
        ("real/000.mp4", None, None, None),
    ],
)
def test_what_a_path_says(file, manipulation, compression, video):
    # A further file, of which all is known, so that no column is left out.
    found = layout_columns([file, f"{FF}/videos/999_998.mp4"])
    assert [values[0] for values in found.values()] == [manipulation, compression, video]


def test_other_paths_have_no_such_columns():
    assert layout_columns(["real/000/1.png", "fake/000_003/1.png"]) == {}


def test_masks_show_nobody():
    assert is_mask("manipulated_sequences/Deepfakes/masks/videos/000_003.mp4")
    assert not is_mask(f"{FF}/videos/000_003.mp4")
    assert not is_mask("real/masks/000.mp4")


def test_a_list_of_pairs(tmp_path):
    path = tmp_path / "train.json"
    path.write_text(json.dumps([["000", "003"], ["010", "011"]]))
    assert read_pairs(path) == {"000", "003", "000_003", "003_000", "010", "011", "010_011", "011_010"}


@pytest.mark.parametrize("text", ["[]", "{}", "[[]]", '[["a"]]', "[[1, 2]]", '[["a", "b"], "c"]', "no", '["ab", "cd"]'])
def test_what_is_no_list_of_pairs(tmp_path, text):
    (tmp_path / "train.json").write_text(text)
    assert read_pairs(tmp_path / "train.json") is None
    assert read_pairs(tmp_path / "none.json") is None


def test_a_frame_has_the_split_of_its_folder_and_not_of_its_number():
    listed = {"000_003": 0, "720": 2}
    files = [f"{FF}/frames/000_003/720.png", "original/c23/720.mp4", "faces/720_0001.png", "faces/721_0001.png"]
    assert listed_splits(files, listed).tolist() == [0, 2, 2, -1]
