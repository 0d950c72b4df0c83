"""Clips in the layouts of the field's data sets: labels, splits, groups and columns by hand. No clip is opened."""

import json

import pytest

from hf_deepfake.config import SPLITS, DataConfig
from hf_deepfake.data.clips import MASKS, holds_clips, list_clips
from hf_deepfake.data.load import load_images
from hf_deepfake.data.names import class_names
from hf_deepfake.errors import InputError

CLASSES = class_names(DataConfig())


def make(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def by_clip(listing, *columns):
    """Label, split and columns of each clip, by the last part of its name."""
    splits = [SPLITS[split] if split >= 0 else None for split in listing.splits]
    rows = zip(listing.labels.tolist(), splits, *(listing.columns[name] for name in columns), strict=True)
    return {file.split("/", 1)[-1]: row for file, row in zip(listing.files, rows, strict=True)}


def test_faceforensics(tmp_path):
    pairs = {"train": ["000", "003"], "val": ["011", "010"], "test": ["020", "021"]}
    for split, pair in pairs.items():
        (tmp_path / f"{split}.json").write_text(json.dumps([pair]))
    originals = [video for pair in pairs.values() for video in pair]
    swaps = ["000_003", "003_000", "010_011", "021_020"]
    make(tmp_path, *(f"original_sequences/youtube/c23/videos/{video}.mp4" for video in originals))
    make(tmp_path, *(f"manipulated_sequences/Deepfakes/c23/videos/{swap}.mp4" for swap in swaps))
    make(tmp_path, "manipulated_sequences/FaceSwap/c40/videos/000_003.mp4")
    make(tmp_path, "manipulated_sequences/Deepfakes/masks/videos/000_003.mp4", "LICENSE.txt")
    found = list_clips(tmp_path, CLASSES)
    rows = by_clip(found, "group", "manipulation", "compression")
    assert rows["youtube/c23/videos/003.mp4"] == (0, "train", "000", None, "c23")
    assert rows["youtube/c23/videos/011.mp4"] == (0, "validation", "010", None, "c23")
    assert rows["Deepfakes/c23/videos/003_000.mp4"] == (1, "train", "000", "Deepfakes", "c23")
    assert rows["Deepfakes/c23/videos/010_011.mp4"] == (1, "validation", "010", "Deepfakes", "c23")
    assert rows["Deepfakes/c23/videos/021_020.mp4"] == (1, "test", "020", "Deepfakes", "c23")
    assert rows["FaceSwap/c40/videos/000_003.mp4"] == (1, "train", "000", "FaceSwap", "c40")
    assert len(rows) == 11
    assert found.columns["video"] == [file.removesuffix(".mp4") for file in found.files]
    assert found.left_out == {MASKS: 1, ".txt": 1}
    assert found.from_tables
    assert "3 groups inferred from folders and file names" in found.notes[1]
    assert "11 clips; a name of two such as 000_003 joins both" in found.notes[1]


def test_celeb_df(tmp_path):
    real = [f"Celeb-real/id{person}_000{video}.mp4" for person in range(3) for video in range(2)]
    fake = [f"Celeb-synthesis/id{one}_id{other}_000{video}.mp4"
            for one in range(3) for other in range(3) if one != other for video in range(2)]  # fmt: skip
    make(tmp_path, *real, *fake, "YouTube-real/00000.mp4", "YouTube-real/00001.mp4")
    tests = ["1 Celeb-real/id0_0001.mp4", "0 Celeb-synthesis/id0_id2_0001.mp4", "1 YouTube-real/00001.mp4"]
    tests += ["0 Celeb-synthesis/id0_id1_0001.mp4"]
    (tmp_path / "List_of_testing_videos.txt").write_text("\n".join(tests) + "\n")
    rows = by_clip(list_clips(tmp_path, CLASSES), "group")
    # The list divides persons, and no video: a fake stands with the video that it shows but for the face.
    assert rows["id0_0001.mp4"] == (0, "test", "id0_0001")
    assert rows["id0_id2_0001.mp4"] == (1, "test", "id0_0001")
    assert rows["id0_id2_0000.mp4"] == (1, "train", "id0_0000")
    assert (rows["00001.mp4"], rows["00000.mp4"]) == ((0, "test", "00001"), (0, "train", "00000"))
    assert [name for name, row in rows.items() if row[1] == "test"] == [
        "id0_0001.mp4", "id0_id1_0001.mp4", "id0_id2_0001.mp4", "00001.mp4",
    ]  # fmt: skip


def test_dfdc(tmp_path):
    for part, clips in {"part_0": ("aaaaaaaaaa", "bbbbbbbbbb"), "part_1": ("cccccccccc",)}.items():
        make(tmp_path, *(f"dfdc_train_{part}/{clip}.mp4" for clip in clips))
    rows = {"aaaaaaaaaa.mp4": {"label": "REAL", "split": "train"},
            "bbbbbbbbbb.mp4": {"label": "FAKE", "split": "train", "original": "aaaaaaaaaa.mp4"}}  # fmt: skip
    (tmp_path / "dfdc_train_part_0/metadata.json").write_text(json.dumps(rows))
    rows = {"cccccccccc.mp4": {"label": "FAKE", "split": "train", "original": "dddddddddd.mp4"}}
    (tmp_path / "dfdc_train_part_1/metadata.json").write_text(json.dumps(rows))
    found = list_clips(tmp_path, CLASSES)
    assert by_clip(found, "group") == {
        "aaaaaaaaaa.mp4": (0, "train", "aaaaaaaaaa"),
        "bbbbbbbbbb.mp4": (1, "train", "aaaaaaaaaa"),
        "cccccccccc.mp4": (1, "train", "dddddddddd"),
    }
    assert found.columns["video"][2] == "dfdc_train_part_1/cccccccccc"


def test_plain_folders(tmp_path):
    make(tmp_path, "real/anna.mp4", "real/street.MOV", "fake/x.webm", "fake/notes.md")
    found = list_clips(tmp_path, CLASSES)
    assert by_clip(found, "group") == {
        "x.webm": (1, None, "fake/x"),
        "anna.mp4": (0, None, "real/anna"),
        "street.MOV": (0, None, "real/street"),
    }
    assert (found.columns["video"], found.left_out) == (["fake/x", "real/anna", "real/street"], {".md": 1})
    (tmp_path / "groups.csv").write_text("file,group\nfake/x.webm,anna\nreal/anna.mp4,anna\n")
    assert list_clips(tmp_path, CLASSES).columns["group"] == ["anna", "anna", "real/street"]


def test_clips_or_images(tmp_path):
    make(tmp_path / "clips", "real/1.mp4", "real/2.mp4", "fake/1.jpg")
    make(tmp_path / "images", "real/1.jpg", "fake/1.jpg", "fake/1.mp4", "fake/1.mpg")
    assert holds_clips(tmp_path / "clips")
    assert not holds_clips(tmp_path / "images")
    with pytest.raises(InputError, match=r"no videos; looked for .*\.mp4"):
        list_clips(make(tmp_path / "others", "real/1.jpg"), CLASSES)
    make(tmp_path / "clips", "real/1.mkv")
    with pytest.raises(InputError, match=r"called real/1, but for the suffix"):
        list_clips(tmp_path / "clips", CLASSES)


def test_images_are_not_loaded_from_clips(tmp_path):
    make(tmp_path, "real/1.mp4", "fake/2.mp4")
    with pytest.raises(InputError, match=r"holds no images; .*2 \.mp4; .*hf-deepfake crop FOLDER OUT"):
        load_images(tmp_path)
