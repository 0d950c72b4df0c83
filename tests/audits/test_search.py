"""The whole audit on drawn images."""

import json
import shutil

import pytest
from PIL import Image, ImageOps

from hf_deepfake.audits.search import audit
from hf_deepfake.config import DataConfig
from hf_deepfake.data.sample import draw_sample
from hf_deepfake.errors import InputError

pytestmark = pytest.mark.slow  # what all of them need takes seconds


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


def test_what_was_not_looked_at_is_known(result, leaky):
    assert result.unseen == []
    basic = audit(DataConfig(data=(str(leaky),)), level="basic")
    pixels = ["low-level statistics", "content outside the face's looks"]
    assert basic.unseen == ["near duplicates", "images of one scene", *pixels]
