"""Cropping a data set: what is written, what is left out, and going on."""

import json
import shutil
import zipfile

import pandas as pd
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from hf_deepfake.config import DataConfig
from hf_deepfake.curate.crop_images import DFDC_MARGIN, RECORD, crop_set
from hf_deepfake.data.index import list_folder
from hf_deepfake.data.names import class_names
from hf_deepfake.data.sample import draw_sample
from hf_deepfake.errors import InputError
from hf_deepfake.images.crop import Margin, crop_region
from hf_deepfake.images.faces import find_faces


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Six drawn pairs, 128 px."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_sample(folder, count=6, size=128, seed=3)
    return folder / "images"


@pytest.fixture
def source(tmp_path, drawn):
    """A set with splits, four faces in three formats, one of them on a wide image, and what has no face."""
    root = tmp_path / "photos"
    for place in ("Train/Real", "Train/Fake", "Test/Real", "Test/Fake"):
        (root / place).mkdir(parents=True)
    wide = Image.new("RGB", (600, 400), (90, 120, 90))
    wide.paste(Image.open(drawn / "real/0000.jpg"), (400, 200))
    wide.save(root / "Train/Real/wide.png")
    shutil.copy(drawn / "fake/0000.jpg", root / "Train/Fake/a.b.jpg")
    Image.open(drawn / "real/0001.jpg").save(root / "Test/Real/one.bmp")
    Image.open(drawn / "fake/0001.jpg").save(root / "Test/Fake/one.jpg", quality=60)
    Image.new("RGB", (100, 100), (128, 128, 128)).save(root / "Test/Fake/flat.png")
    (root / "Train/Real/broken.jpg").write_bytes(b"nothing")
    rows = ["Train/Real/wide.png,p1", "Train/Fake/a.b.jpg,p1", "Test/Fake/flat.png,p2"]
    (root / "groups.csv").write_text("\n".join(["file,group", *rows]) + "\n")
    return root


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_folders_and_names_are_kept_and_what_cannot_be_cropped_is_said(source, tmp_path):
    target = tmp_path / "crops"
    report = crop_set(source, target)
    crops = ["Test/Fake/one.jpg", "Test/Real/one.jpg", "Train/Fake/a.b.jpg", "Train/Real/wide.jpg"]
    assert files(target) == [*crops[:4], RECORD, "groups.csv"]
    assert (report.written, report.kept, report.several) == (4, 0, 0)
    assert report.without_face == ("Test/Fake/flat.png",)
    ((name, reason),) = report.broken
    assert name == "Train/Real/broken.jpg"
    assert reason.startswith("Train/Real/broken.jpg is not an image")
    assert report.summary().splitlines() == [
        "        4  written",
        "        1  left out, no face found",
        "        1  left out, do not open",
    ]


def test_a_crop_is_the_region_around_the_face(source, tmp_path):
    margin = Margin(width=0.5, height=0.64, x=0.5, y=0.5)
    crop_set(source, tmp_path / "crops", margin=margin)
    image = Image.open(source / "Train/Real/wide.png")
    left, top, right, bottom = crop_region(find_faces(image)[0], margin, image.size)
    assert left > 350
    assert top > 150
    assert Image.open(tmp_path / "crops/Train/Real/wide.jpg").size == (right - left, bottom - top)


def test_all_crops_are_encoded_alike(source, tmp_path):
    crop_set(source, tmp_path / "crops")
    encodings = set()
    for path in (tmp_path / "crops").rglob("*.jpg"):
        image = Image.open(path)
        assert isinstance(image, JpegImageFile)
        # Sampling of the three channels, the first entry of the first quantisation table, metadata.
        encodings.add((tuple(layer[1:3] for layer in image.layer), image.quantization[0][0], tuple(image.info)))
    ((sampling, entry, _),) = encodings
    assert sampling == ((1, 1), (1, 1), (1, 1))
    assert entry == 2  # 16 in the standard's table, scaled to 10 % by quality 95 and rounded


def test_the_new_set_lists_with_its_groups(source, tmp_path):
    crop_set(source, tmp_path / "crops")
    listing = list_folder(tmp_path / "crops", class_names(DataConfig()))
    assert listing.labels.tolist() == [1, 0, 1, 0]
    assert listing.splits.tolist() == [2, 2, 0, 0]
    assert listing.columns == {"group": [None, None, "p1", "p1"]}
    assert listing.unmatched == 0


def test_a_second_call_crops_only_what_is_missing(source, tmp_path):
    target = tmp_path / "crops"
    crop_set(source, target)
    (target / "Test/Real/one.jpg").unlink()
    before = (target / "Train/Real/wide.jpg").stat().st_mtime_ns
    report = crop_set(source, target)
    assert (report.written, report.kept) == (1, 3)
    assert (target / "Test/Real/one.jpg").exists()
    assert (target / "Train/Real/wide.jpg").stat().st_mtime_ns == before
    assert len(pd.read_csv(target / "groups.csv")) == 4


def test_the_record_has_margin_and_report(source, tmp_path):
    report = crop_set(source, tmp_path / "crops")
    record = json.loads((tmp_path / "crops" / RECORD).read_text())
    assert record["margin"] == {"width": DFDC_MARGIN.width, "height": DFDC_MARGIN.height, "x": 0.51, "y": 0.49}
    assert record["report"]["written"] == report.written
    assert record["report"]["broken"] == [list(pair) for pair in report.broken]


def test_the_largest_of_several_faces_is_taken_and_small_ones_are_not(drawn, tmp_path):
    root = tmp_path / "photos"
    (root / "real").mkdir(parents=True)
    (root / "fake").mkdir()
    large = Image.open(drawn / "real/0000.jpg").resize((256, 256))
    both = Image.new("RGB", (600, 400), (90, 120, 90))
    both.paste(Image.open(drawn / "real/0001.jpg"), (0, 250))
    both.paste(large, (300, 50))
    both.save(root / "real/both.png")
    far = Image.new("RGB", (300, 300), (90, 120, 90))
    far.paste(Image.open(drawn / "real/0000.jpg").resize((56, 56)), (100, 100))
    far.save(root / "fake/far.png")
    assert 0 < find_faces(far)[0].shortest_side < 32
    report = crop_set(root, tmp_path / "crops")
    assert (report.written, report.several, report.too_small) == (1, 1, ("fake/far.png",))
    alone = crop_region(find_faces(large)[0], DFDC_MARGIN, large.size)
    assert Image.open(tmp_path / "crops/real/both.jpg").width == pytest.approx(alone[2] - alone[0], rel=0.1)


def test_what_is_left_out_is_said_and_names_without_a_suffix_stay(drawn, tmp_path):
    for number, name in enumerate(("real/frame.0001", "real/frame.0002", "fake/n12")):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(drawn / f"real/000{number}.jpg", tmp_path / "in" / name)
    (tmp_path / "in/real/clip.mp4").touch()
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as packed:
        for path in (tmp_path / "in").rglob("*.*"):
            packed.write(path, path.relative_to(tmp_path / "in"))
        packed.write(tmp_path / "in/fake/n12", "fake/n12")
    for source in ("in", "in.zip"):
        report = crop_set(tmp_path / source, tmp_path / f"crops of {source}")
        assert (report.written, report.left_out) == (3, {".mp4": 1})
        assert "1 file left out: 1 .mp4; videos are no images" in report.summary()
        crops = [name for name in files(tmp_path / f"crops of {source}") if name != RECORD]
        assert crops == ["fake/n12.jpg", "real/frame.0001.jpg", "real/frame.0002.jpg"]


def test_a_zip_is_taken_as_it_is(source, tmp_path):
    packed = shutil.make_archive(str(tmp_path / "photos"), "zip", source)
    report = crop_set(packed, tmp_path / "crops")
    assert report.written == 4
    assert not [path for path in (tmp_path / "crops").iterdir() if path.name.startswith(".")]


def test_what_cannot_be_done_is_said(source, tmp_path):
    with pytest.raises(InputError, match="neither a folder nor a zip"):
        crop_set(tmp_path / "none", tmp_path / "crops")
    assert not (tmp_path / "crops").exists()
    with pytest.raises(InputError, match="choose a folder outside"):
        crop_set(source, source / "crops")
    with pytest.raises(InputError, match="something else"):
        crop_set(source, tmp_path)
    crop_set(source, tmp_path / "crops")
    with pytest.raises(InputError, match="another margin"):
        crop_set(source, tmp_path / "crops", margin=Margin(0.5, 0.6, 0.5, 0.5))
    Image.new("RGB", (64, 64)).save(source / "Test/Real/one.png")
    with pytest.raises(InputError, match=r"cropped to Test/Real/one\.jpg"):
        crop_set(source, tmp_path / "crops")


def test_labels_and_splits_of_tables_are_kept(drawn, tmp_path):
    root = tmp_path / "set"
    (root / "images").mkdir(parents=True)
    for name, file in (("a.png", "real/0000.jpg"), ("b.png", "fake/0001.jpg")):
        Image.open(drawn / file).save(root / "images" / name)
    (root / "test.csv").write_text("file,label\na.png,real\nb.png,fake\n")
    crop_set(root, tmp_path / "crops")
    listing = list_folder(tmp_path / "crops", class_names(DataConfig()))
    assert listing.files == ["images/a.jpg", "images/b.jpg"]
    assert (listing.labels.tolist(), listing.splits.tolist()) == ([0, 1], [2, 2])
