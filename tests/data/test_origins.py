import shutil

import pytest

from hf_deepfake.config import DataConfig
from hf_deepfake.data.load import load_images, prepare
from hf_deepfake.errors import InputError


@pytest.fixture
def two(faces, tmp_path):
    """Two sources of the same drawn faces but one, the second with a table that names origins of some images."""
    for name in ("one", "two"):
        shutil.copytree(faces, tmp_path / name)
    named = sorted((tmp_path / "two" / "fake").iterdir())[:3]
    lines = ["file,origin", *(f"fake/{file.name},painter" for file in named)]
    (tmp_path / "two" / "groups.csv").write_text("\n".join(lines))
    return str(tmp_path / "one"), str(tmp_path / "two")


def counts(data):
    found = {}
    for split in data.values():
        for origin in split["origin"]:
            found[origin] = found.get(origin, 0) + 1
    return found


def test_a_source_is_its_own_origin_unless_a_table_or_the_option_says_more(two, cache):
    data, report = prepare(DataConfig(data=two, groups="given", on_leak="keep"))
    found = counts(data)
    assert found["painter"] == 3
    assert found["one"] == found["two"] + 3
    assert report.origins == ("one", "painter", "two")
    data, report = prepare(DataConfig(data=two, groups="given", on_leak="keep", origins=("two=one",)))
    assert report.origins == ("one",)
    assert report.to_dict()["origins"] == ["one"]


def test_in_memory_and_columns(faces, cache):
    data = load_images(faces, origins=("images=studio",))
    assert data["train"].column_names[:4] == ["image", "label", "source", "origin"]
    assert set(data["test"]["origin"]) == {"studio"}


@pytest.mark.parametrize(
    ("origins", "says"),
    [
        (("one",), "write SOURCE=ORIGIN"),
        (("one=",), "write SOURCE=ORIGIN"),
        (("three=x",), r"origins names three, which is no source here; sources are one, two"),
        (("one=x", "one=y"), "calls one both x and y"),
    ],
)
def test_what_names_no_origin_is_refused(two, cache, origins, says):
    with pytest.raises(InputError, match=says):
        prepare(DataConfig(data=two, origins=origins))


def test_one_class_is_welcome_where_splits_do_not_matter(faces, tmp_path, cache):
    shutil.copytree(faces / "real", tmp_path / "people" / "real")
    config = DataConfig(data=(str(tmp_path / "people"),))
    with pytest.raises(InputError, match="there are no fake images in people"):
        prepare(config)
    data, report = prepare(config, whole=True)
    assert {label for split in data.values() for label in split["label"]} == {0}
    assert sum(split["real"] for split in report.counts.values()) == len(list((faces / "real").iterdir()))
