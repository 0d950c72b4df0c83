import io
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hf_deepfake.audits.search import audit
from hf_deepfake.config import DataConfig
from hf_deepfake.curate.resplit import _block, normalise, split
from hf_deepfake.data.load import load_images
from hf_deepfake.errors import InputError


@pytest.fixture(scope="module")
def copied(faces, tmp_path_factory):
    """The drawn pairs without groups, and 20 of the reals again as smaller files."""
    folder = tmp_path_factory.mktemp("copied") / "set"
    for name in ("real", "fake"):
        shutil.copytree(faces / name, folder / name)
    for place in range(20):
        Image.open(faces / f"real/{place:04}.jpg").resize((48, 48)).save(folder / f"real/copy-{place}.jpg")
    return folder


def images(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*") if path.suffix != ".csv")


@pytest.mark.slow
def test_a_new_split_keeps_what_belongs_together(copied, tmp_path):
    counts = split(DataConfig(data=(str(copied),)), tmp_path / "new")
    assert sum(sum(classes.values()) for classes in counts.values()) == 140
    assert min(min(classes.values()) for classes in counts.values()) > 0
    table = pd.read_csv(tmp_path / "new/groups.csv")
    assert sorted(table["file"]) == images(tmp_path / "new")
    part = dict(zip(table["original"], table["file"].str.split("/").str[0], strict=True))
    assert all(part[f"real/copy-{place}.jpg"] == part[f"real/{place:04}.jpg"] for place in range(20))
    assert (table["file"].str.split("/").str[0].groupby(table["group"]).nunique() == 1).all()
    again = audit(DataConfig(data=(str(tmp_path / "new"),)))
    assert {one.later for one in again.shared} <= {"fake"}


def test_given_groups_stay_whole_and_columns_stay(faces, tmp_path):
    split(DataConfig(data=(str(faces),)), tmp_path / "new")
    table = pd.read_csv(tmp_path / "new/groups.csv")
    part = table["file"].str.split("/").str[0]
    assert (part.groupby(table["original"].str[-8:]).nunique() == 1).all()
    assert set(table["manipulation"].dropna()) == {"warp", "swap"}
    assert part.value_counts().to_dict() == {"train": 96, "validation": 12, "test": 12}


def test_files_are_linked_not_copied(copied, tmp_path):
    split(DataConfig(data=(str(copied),)), tmp_path / "new")
    table = pd.read_csv(tmp_path / "new/groups.csv")
    new, original = tmp_path / "new" / table["file"][0], copied / table["original"][0]
    assert new.samefile(original)


def test_blocks_of_numbers_stay_together(copied, tmp_path):
    split(DataConfig(data=(str(copied),)), tmp_path / "new", block=10)
    table = pd.read_csv(tmp_path / "new/groups.csv")
    part = table["file"].str.split("/").str[0]
    blocks = table["original"].map(lambda name: _block(name, 10))
    assert blocks.nunique() == 6 + 2
    assert (part.groupby(blocks).nunique() == 1).all()


def test_the_block_of_a_name():
    assert _block("/a/face_0012.jpg", 10) == _block("b/face_19.png", 10) == "face_1"
    assert _block("face_0020.jpg", 10) != _block("face_0012.jpg", 10)
    assert _block("clip3_frame7x.jpg", 5) == "clip3_frame1x"
    assert _block("nameless.jpg", 5) is None


def test_too_few_groups_and_a_block_of_nothing(copied, tmp_path):
    with pytest.raises(InputError, match="too few groups to split"):
        split(DataConfig(data=(str(copied),)), tmp_path / "new", block=1000)
    with pytest.raises(InputError, match="a block of 0 numbers"):
        split(DataConfig(data=(str(copied),)), tmp_path / "new", block=0)
    assert list(tmp_path.iterdir()) == []


def test_names_that_would_be_the_same(faces, tmp_path):
    for folder, name in (("train", "a"), ("train", "b"), ("test", "a")):
        for label in ("real", "fake"):
            place = tmp_path / "set" / folder / label / name
            place.mkdir(parents=True)
            for number in range(10):
                start = "ab".index(name) * 10 + (folder == "test") * 20
                shutil.copyfile(faces / label / f"{start + number:04}.jpg", place / f"{number}.jpg")
    assert normalise(DataConfig(data=(str(tmp_path / "set"),)), tmp_path / "new", size=64) == 60
    assert len(images(tmp_path / "new")) == 60
    assert sum("~2.jpg" in name for name in images(tmp_path / "new")) > 0


@pytest.fixture(scope="module")
def formats(faces, tmp_path_factory):
    """Reals as JPEG of quality 60 and 72 px, fakes as PNG with a colour profile; the same drawings in both classes."""
    folder = tmp_path_factory.mktemp("formats") / "set"
    for name in ("real", "fake"):
        (folder / name).mkdir(parents=True)
    for path in sorted((faces / "real").glob("*.jpg")):
        image = Image.open(path)
        for x, y, name in ((0, 0, "real"), (1, 1, "fake")):
            part = image.crop((x, y, x + 63, y + 63))
            if name == "real":
                part.resize((72, 72)).save(folder / name / path.name, quality=60)
            else:
                part.save(folder / name / f"{path.stem}.png", icc_profile=b"some profile")
    rows = [f"{path.relative_to(folder)},{path.stem}" for path in sorted(folder.rglob("*.*"))]
    (folder / "groups.csv").write_text("file,group\n" + "\n".join(rows) + "\n")
    return folder


@pytest.mark.slow
def test_normalised_files_do_not_tell_the_classes_apart(formats, tmp_path):
    before = audit(DataConfig(data=(str(formats),)), level="basic").shortcuts["facts"]
    assert before.low == 1
    assert normalise(DataConfig(data=(str(formats),)), tmp_path / "new", size=64, quality=80) == 120
    for path in (tmp_path / "new").rglob("*.jpg"):
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            assert (image.size, image.format, image.info.get("icc_profile")) == ((64, 64), "JPEG", None)
    after = audit(DataConfig(data=(str(tmp_path / "new"),)), level="basic").shortcuts["facts"]
    # Nothing is left but the bytes that the earlier compression and scaling make the pixels take.
    assert {one.name for one in after.telling} <= {"bytes per pixel"}
    table = pd.read_csv(tmp_path / "new/groups.csv")
    assert set(table["group"]) == {int(path.stem) for path in (formats / "real").iterdir()}
    assert len(load_images(tmp_path / "new")["train"]) == 96


@pytest.mark.slow
def test_normalised_to_chance_where_only_files_differed(faces, tmp_path):
    """The same pixels in both classes, so that nothing but the files could tell them apart."""
    for path in sorted((faces / "real").glob("*.jpg")):
        for name, kind in (("real", "bmp"), ("fake", "png")):
            place = tmp_path / "set" / name / f"{path.stem}.{kind}"
            place.parent.mkdir(parents=True, exist_ok=True)
            shifted = np.roll(np.asarray(Image.open(path)), kind == "png", axis=1)  # no two images the same
            Image.fromarray(shifted).save(place)
    data = DataConfig(data=(str(tmp_path / "set"),))
    assert audit(data, level="basic").shortcuts["facts"].auc == 1
    normalise(data, tmp_path / "new", size=64)
    after = audit(DataConfig(data=(str(tmp_path / "new"),)), level="basic").shortcuts["facts"]
    assert after.low <= 0.5 <= after.high


def test_a_folder_with_something_in_it_is_refused(copied, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    for remedy in (split, normalise):
        with pytest.raises(InputError, match="is not an empty folder"):
            remedy(DataConfig(data=(str(copied),)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(InputError, match="out of range"):
        normalise(DataConfig(data=(str(copied),)), tmp_path / "new", quality=101)


def test_nothing_is_left_of_a_failure(copied, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hf_deepfake.curate.resplit._write_groups", full)
    with pytest.raises(InputError, match="could not be written"):
        split(DataConfig(data=(str(copied),)), tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
