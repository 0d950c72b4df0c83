"""The whole audit on drawn images, its text, its page and its JSON."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageOps

from hf_deepfake.audits.audit_page import summary, write_audit
from hf_deepfake.audits.findings import Audit
from hf_deepfake.audits.search import audit
from hf_deepfake.config import DataConfig
from hf_deepfake.data.sample import draw_sample
from hf_deepfake.errors import InputError


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another 30 drawn pairs."""
    folder = tmp_path_factory.mktemp("other")
    draw_sample(folder, count=30, size=64, seed=7)
    return folder / "images"


@pytest.fixture(scope="module")
def leaky(faces, tmp_path_factory):
    """Split by hand: pairs 0 to 39 for training, 40 to 59 for testing; reals are PNG; 8 of train are in test again."""
    folder = tmp_path_factory.mktemp("leaky")
    for name in ("real", "fake"):
        for path in sorted((faces / name).glob("*.jpg")):
            part = folder / ("train" if int(path.stem) < 40 else "test") / name
            part.mkdir(parents=True, exist_ok=True)
            if name == "real":
                Image.open(path).save(part / f"{path.stem}.png")
            else:
                shutil.copyfile(path, part / path.name)
    changes = [
        lambda image: image,
        ImageOps.mirror,
        lambda image: image.resize((48, 48)),
        lambda image: image.crop((2, 2, 62, 62)),
    ]
    for place in range(8):
        image = changes[place % 4](Image.open(folder / f"train/fake/{place:04}.jpg"))
        image.save(folder / f"test/fake/again-{place}.jpg", quality=70)
    (folder / "test/fake/broken.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def result(leaky, cache):
    return audit(DataConfig(data=(str(leaky),), on_leak="error", on_bad_file="error"))


def test_planted_leaks_are_counted(result):
    found = {(one.kind, one.later, one.earlier): one for one in result.shared}
    leak = found["near", "test", "train"]
    assert (leak.images, leak.of) == (8, 48)
    pairs = {tuple(name.rsplit("/", 2)[1] + "/" + name.rsplit("/", 1)[1] for name in pair) for pair in leak.examples}
    assert len(pairs) == 5
    assert all(later.startswith("fake/again-") for later, _ in pairs)
    assert any("8 of 48 test images" in finding.what for finding in result.findings if finding.severity == "fatal")


def test_pairs_of_real_and_fake_are_only_a_note(result):
    across = [finding for finding in result.findings if "fake images" in finding.what]
    assert across
    assert {finding.severity for finding in across} == {"note"}


def test_the_format_tells_the_class(result):
    facts = result.shortcuts["facts"]
    assert facts.low == 1
    assert "format is PNG" in [one.name for one in facts.telling]
    assert result.fatal
    assert any("facts of the files" in finding.what for finding in result.findings if finding.severity == "fatal")


def test_files(result):
    assert result.files.n == 40 * 2 + 40 + 8
    assert result.files.sizes[0] == [64, 64, 60, 64]
    assert sum(real + fake for _, _, real, fake in result.files.sides) == result.files.n
    assert all(lower < upper for lower, upper, _, _ in result.files.sides)
    assert result.files.size_count == 3
    assert result.files.tiny == 4
    assert any("1 of 129 files do not open" in finding.what for finding in result.findings)


def test_the_worst_comes_first(result):
    order = [["fatal", "warning", "note"].index(finding.severity) for finding in result.findings]
    assert order == sorted(order)


def test_clean_data_split_by_group_and_another_clean_set(faces, other):
    found = audit(DataConfig(data=(str(faces),)), against=str(other))
    assert {one.later for one in found.shared} <= {"fake"}
    assert found.shortcuts["facts"].low < 0.75
    assert not found.fatal
    # Given groups hold a pair each.
    assert (found.scene_count, found.largest_scene) == (60, 2)


def test_against_a_set_of_the_same_images(faces, leaky):
    audited = audit(DataConfig(data=(str(faces),)), against=str(leaky))
    assert not any(str(root.parent) in json.dumps(audited.to_dict()) for root in (faces, leaky))
    found = next(one for one in audited.shared if one.later == f"{leaky.name}'s" and one.kind == "near")
    assert (found.images, found.of) == (128, 128)


def test_basic_measures_facts_of_files_only(leaky):
    found = audit(DataConfig(data=(str(leaky),)), level="basic")
    assert list(found.shortcuts) == ["facts"]
    assert (found.shared, found.scene_count, found.sheets.keys()) == ([], None, {"real", "fake"})
    assert found.fatal
    with pytest.raises(InputError, match="a basic audit does not compare images"):
        audit(DataConfig(data=(str(leaky),)), against="x", level="basic")


def test_it_says_what_it_did_not_look_at(result, leaky):
    pixels = ["low-level statistics", "content outside the face's looks"]
    basic = audit(DataConfig(data=(str(leaky),)), level="basic")
    assert basic.unseen == ["near duplicates", "images of one scene", *pixels]
    assert basic.for_report()["unseen"] == basic.unseen
    clean = replace(basic, findings=[], shortcuts={})
    assert clean.unseen[2:] == ["facts of the files", *pixels]  # of too few images, not even these
    assert "Nothing was found" not in summary(clean)
    assert "NOT LOOKED AT: near duplicates, images of one scene, facts of the files" in summary(clean)
    assert "NOT LOOKED AT" not in summary(result)
    assert "Nothing was found." in summary(replace(result, findings=[]))


def test_text(result):
    text = summary(result)
    assert "Facts of the files                 1.000 [1.000, 1.000]  (n = 128)" in text
    assert "FATAL: 8 of 48 test images are near duplicates of train images." in text


def test_json_makes_the_same_audit_again(result, tmp_path):
    write_audit(result, tmp_path / "new" / "folder")
    assert Audit.load(tmp_path / "new" / "folder" / "audit.json") == result


def test_the_folder_and_its_page(result, tmp_path):
    write_audit(result, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "audit.html",
        "audit.json",
        "content.png",
        "counts.png",
        "facts.png",
        "sheet_fake.jpg",
        "sheet_real.jpg",
        "shortcuts.png",
        "sizes.png",
        "statistics.png",
    ]
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "✖ Fatal" in page
    assert "http" not in page
    assert page.count("data:image/jpeg;base64,") == 2
    assert page.count("data:image/png;base64,") == 5
    with Image.open(tmp_path / "sheet_real.jpg") as sheet:
        assert sheet.size == (8 * 112, 5 * 112)
        assert np.asarray(sheet).std() > 10


def test_the_page_shows_names_as_text(result, tmp_path):
    values = result.to_dict()
    values["report"]["sources"] = {"<script>alert(1)</script>": values["report"]["counts"]}
    write_audit(Audit.from_dict(values), tmp_path)
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_what_was_not_looked_into_is_said(result):
    values = result.to_dict()
    values["report"]["notes"] = {"faces": ["val is a link to test, so it lists no image again"]}
    assert "faces: val is a link to test, so" in summary(Audit.from_dict(values))


def test_what_is_no_audit_is_refused(result, tmp_path):
    path = tmp_path / "audit.json"
    with pytest.raises(InputError, match="cannot read"):
        Audit.load(path)
    path.write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        Audit.load(path)
    path.write_text("{}")
    with pytest.raises(InputError, match="this version reads 1"):
        Audit.load(path)
    values = result.to_dict()
    del values["files"]
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match="not whole"):
        Audit.load(path)
    with pytest.raises(InputError, match="cannot be made"):
        write_audit(result, path)
