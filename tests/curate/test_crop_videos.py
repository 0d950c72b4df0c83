"""Cropping drawn clips: what is written and known of it, what is left out, and going on after a kill."""

import json
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from clips import encode, numbered
from PIL import Image

from hf_deepfake.config import DataConfig
from hf_deepfake.curate.crop_images import DFDC_MARGIN, RECORD
from hf_deepfake.curate.crop_videos import DONE, crop_clip, crop_clips
from hf_deepfake.data.load import prepare
from hf_deepfake.data.scene import draw_scene
from hf_deepfake.errors import InputError

RATE = 8


def face(seed, side=160):
    """A drawn face."""
    return Image.fromarray((draw_scene(np.random.default_rng(seed), side).image * 255).astype(np.uint8))


def clip(*people, frames=16, size=(320, 200)):
    """A clip with a face for each (seed, side, left end in px, px per frame), and frames in which it is there."""
    pictures = []
    for number in range(frames):
        picture = Image.new("RGB", size, (90, 120, 90))
        for seed, side, left, step, *when in people:
            if number in (when[0] if when else range(frames)):
                picture.paste(face(seed, side), (left + step * number, 20))
        pictures.append(picture)
    return encode(pictures, rate=RATE)


@pytest.fixture(scope="module")
def clips():
    """Encoded clips by what is in them."""
    return {
        "one": clip((0, 160, 20, 2)),
        "two": clip((1, 90, 10, 0), (2, 160, 150, 0)),
        "far": clip((1, 60, 20, 0), size=(160, 100)),
        "none": encode([numbered(number) for number in range(16)], rate=RATE),
        "cut": clip((3, 160, 0, 0, range(10)), (4, 160, 160, 0, range(10, 16))),
        "broken": b"no video",
    }


def write(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


@pytest.fixture
def source(tmp_path, clips):
    """A set of plain folders: two good clips and what is left out."""
    files = {"real/a.mp4": "one", "real/far.mp4": "far", "real/none.mov": "none"}
    files |= {"fake/b.mp4": "two", "fake/bad.mp4": "broken"}
    return write(tmp_path / "clips", {name: clips[what] for name, what in files.items()})


def tree(folder):
    """Bytes of all files but the notes of the run."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != DONE]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_crops_of_plain_folders(source, tmp_path):
    report = crop_clips(source, tmp_path / "out", frames=4, workers=1)
    assert sorted(tree(tmp_path / "out")) == [
        RECORD, *(f"fake/b/0{n}.jpg" for n in range(4)), "groups.csv", *(f"real/a/0{n}.jpg" for n in range(4)),
    ]  # fmt: skip
    assert (report.clips, report.crops, report.several) == (2, 8, 1)
    assert (report.without_face, report.too_small) == (("real/none.mov",), ("real/far.mp4",))
    ((name, reason),) = report.broken
    assert name == "fake/bad.mp4"
    assert reason.startswith("fake/bad.mp4 is not a video")
    table = pd.read_csv(tmp_path / "out/groups.csv")
    assert table.columns.tolist() == ["file", "time", "group", "video"]
    assert table["file"].tolist() == [f"{name}/0{n}.jpg" for name in ("fake/b", "real/a") for n in range(4)]
    assert (table["video"] == table["file"].str.slice(0, 6)).all()
    # Two seconds: the middles of four parts, each of which a frame begins at.
    assert table["time"].tolist() == [0.25, 0.75, 1.25, 1.75] * 2
    record = json.loads((tmp_path / "out" / RECORD).read_text())
    assert (record["frames"], record["report"]["crops"]) == (4, 8)
    assert report.summary().splitlines() == [
        "        8  crops of 2 clips",
        "        1  clips with several faces, of which the largest was taken",
        "        1  clips left out, no face found",
        "        1  clips left out, face smaller than 32 px",
        "        1  clips left out, cannot be read:",
        f"           {reason}",
    ]


def test_the_largest_face_over_time_is_taken(clips, tmp_path):
    source = write(tmp_path, {"two.mp4": clips["two"], "cut.mp4": clips["cut"]})
    row = crop_clip(source, "two.mp4", tmp_path / "two", 4, DFDC_MARGIN)
    assert (row["outcome"], row["several"]) == ("written", True)
    large = face(2)
    for path in (tmp_path / "two").iterdir():
        crop = Image.open(path)
        assert crop.width > 70  # 160 / 90 as wide as the small one's, which has some 47 px
        middle = np.asarray(crop.resize((8, 8)), float)[3:6, 3:6].mean()
        assert middle == pytest.approx(np.asarray(large.resize((8, 8)), float)[3:6, 3:6].mean(), abs=25)
    # Of eight frames the first five show somebody for longer than the last three show somebody else.
    row = crop_clip(source, "cut.mp4", tmp_path / "cut", 8, DFDC_MARGIN)
    assert [number for number, _ in row["frames"]] == [0, 1, 2, 3, 4]
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == [f"0{n}.jpg" for n in range(5)]


def test_several_processes_write_what_one_does(source, tmp_path):
    crop_clips(source, tmp_path / "one", frames=3, workers=1)
    crop_clips(source, tmp_path / "two", frames=3, workers=2)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


KILLED = """
import os, signal, sys
from pathlib import Path
from hf_deepfake.curate import crop_videos
from hf_deepfake.progress import Progress

def update(self, count=1, note=""):
    self.done += count
    if self.done == 2:
        os.kill(os.getpid(), signal.SIGKILL)

Progress.update = update
if __name__ == "__main__":
    crop_videos.crop_clips(sys.argv[1], Path(sys.argv[2]), frames=3, workers=int(sys.argv[3]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_goes_on_to_the_same_bytes(source, tmp_path, workers):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    crop_clips(source, whole, frames=3, workers=1)
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    for count in (1, 2):
        done = subprocess.run([sys.executable, script, source, parts, str(workers)], check=False, timeout=300)
        assert done.returncode == -signal.SIGKILL
        # A clip that cannot be read is not noted, and may be one of the two.
        assert count <= len((parts / DONE).read_text().splitlines()) <= 2 * count
    with (parts / DONE).open("a") as record:
        record.write('{"clip": "real/a.mp4", "outc')  # as a kill within a line leaves it
    assert not (parts / "groups.csv").exists()
    crop_clips(source, parts, frames=3, workers=1)
    assert tree(parts) == tree(whole)


def test_what_is_done_is_not_done_again_and_what_was_broken_is_tried_again(source, clips, tmp_path):
    out = tmp_path / "out"
    crop_clips(source, out, frames=3, workers=1)
    before = (out / "real/a/00.jpg").stat().st_mtime_ns
    (source / "fake/bad.mp4").write_bytes(clips["one"])
    report = crop_clips(source, out, frames=3, workers=1)
    assert (report.clips, report.crops, report.broken) == (3, 9, ())
    assert (out / "real/a/00.jpg").stat().st_mtime_ns == before
    assert "fake/bad/00.jpg" in tree(out)


@pytest.mark.slow
def test_a_data_set_of_the_field_is_loaded_as_it_says(clips, tmp_path):
    originals = ["000", "003", "010", "011", "020", "021"]
    files = {f"original_sequences/youtube/c23/videos/{name}.mp4": clip((int(name), 160, 20, 2)) for name in originals}
    for number, swap in enumerate(("000_003", "010_011", "021_020")):
        content = clip((50 + number, 160, 20, 2))
        files[f"manipulated_sequences/Deepfakes/c23/videos/{swap}.mp4"] = content
    for split, pair in {"train": ["000", "003"], "val": ["010", "011"], "test": ["020", "021"]}.items():
        files[f"{split}.json"] = json.dumps([pair]).encode()
    crop_clips(write(tmp_path / "ff", files), tmp_path / "out", frames=2, workers=1)
    data, report = prepare(DataConfig(data=(str(tmp_path / "out"),), cache_dir=str(tmp_path / "cache")))
    assert report.counts == {name: {"real": 4, "fake": 2} for name in ("train", "validation", "test")}
    assert {name: set(split["group"]) for name, split in data.items()} == {
        "train": {"000"}, "validation": {"010"}, "test": {"020"},
    }  # fmt: skip
    assert set(zip(data["test"]["label"], data["test"]["manipulation"], data["test"]["compression"], strict=True)) == {
        (0, None, "c23"), (1, "Deepfakes", "c23"),
    }  # fmt: skip
    assert sorted(set(data["train"]["video"])) == [
        "manipulated_sequences/Deepfakes/c23/videos/000_003",
        "original_sequences/youtube/c23/videos/000",
        "original_sequences/youtube/c23/videos/003",
    ]
    assert sorted(set(data["train"]["time"])) == ["0.5", "1.5"]
    assert report.leaked_groups == ()


def test_labels_of_a_table_are_kept(clips, tmp_path):
    rows = {"aaa.mp4": {"label": "REAL"}, "bbb.mp4": {"label": "FAKE", "original": "aaa.mp4"}}
    files = {"aaa.mp4": clips["one"], "bbb.mp4": clips["two"], "metadata.json": json.dumps(rows).encode()}
    crop_clips(write(tmp_path / "dfdc", files), tmp_path / "out", frames=2, workers=1)
    table = pd.read_csv(tmp_path / "out/metadata.csv")
    assert table.to_dict("list") == {
        "file_name": ["aaa/00.jpg", "aaa/01.jpg", "bbb/00.jpg", "bbb/01.jpg"], "label": ["real"] * 2 + ["fake"] * 2,
    }  # fmt: skip
    assert pd.read_csv(tmp_path / "out/groups.csv")["group"].tolist() == ["aaa"] * 4


def test_what_cannot_be_done_is_said(source, tmp_path):
    crop_clips(source, tmp_path / "out", frames=2, workers=1)
    with pytest.raises(InputError, match="another margin or number of frames"):
        crop_clips(source, tmp_path / "out", frames=3, workers=1)
    with pytest.raises(InputError, match="0 frames and 1 workers"):
        crop_clips(source, tmp_path / "new", frames=0, workers=1)
    with pytest.raises(InputError, match="choose a folder outside"):
        crop_clips(source, source / "out", frames=2, workers=1)
    assert not (tmp_path / "new").exists()
