"""The report of a loaded data set as text and as JSON."""

import json
from dataclasses import replace

import pytest

from hf_deepfake.data.data_report import DataReport

COUNTS = {
    "train": {"real": 1200, "fake": 3},
    "validation": {"real": 2, "fake": 2},
    "test": {"real": 0, "fake": 1},
}
CLEAN = DataReport(
    origins=("faces",),
    counts=COUNTS,
    sources={"faces": COUNTS},
    listed=1208,
    bad_files=(),
    leaked_groups=(),
    leaked_images=0,
    dropped=0,
    duplicates=0,
    label_conflicts=(),
    unmatched_rows=0,
    made={},
    fingerprint="f",
)


def test_the_table():
    assert CLEAN.summary().split("\n") == [
        "               train  validation        test",
        "all real       1,200           2           0",
        "all fake           3           2           1",
    ]
    assert [line.split() for line in replace(CLEAN, sources={"a": COUNTS, "b/c": COUNTS}).summary().split("\n")][
        1::2
    ] == [
        ["a", "real", "1,200", "2", "0"],
        ["b/c", "real", "1,200", "2", "0"],
        ["all", "real", "1,200", "2", "0"],
    ]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"bad_files": (("/a.jpg", "/a.jpg is broken"), ("image 3 (o/n)", "the image is broken"))},
            "skipped 2 of 1,208 that do not open: /a.jpg is broken; image 3 (o/n): the image is broken",
        ),
        (
            {"leaked_groups": ("g", "h"), "leaked_images": 3, "dropped": 5},
            "leaks between splits: 2 groups, 3 images; dropped 5 images from the earlier split",
        ),
        ({"leaked_images": 3}, "leaks between splits: 0 groups, 3 images; kept as they are"),
        ({"duplicates": 4}, "4 images repeat another one of their split; kept"),
        (
            {"label_conflicts": tuple((f"r{n}", f"f{n}") for n in range(4))},
            "4 images are in both classes: r0 = f0; r1 = f1; r2 = f2; ...; kept",
        ),
        (
            {"left_out": {".zip": 1, ".txt": 2}},
            "3 files left out: 2 .txt, 1 .zip; unpack archives yourself",
        ),
        ({"unmatched_rows": 7}, "7 rows of tables name no image that is here"),
    ],
)
def test_findings(change, line):
    assert CLEAN.clean
    found = replace(CLEAN, **change)
    assert not found.clean
    assert found.summary().split("\n")[-1] == line


def test_losses_are_said_where_no_summary_is_shown(caplog):
    CLEAN.warn_of_losses()
    replace(CLEAN, left_out={".txt": 2}, bad_files=(("/a.jpg", "/a.jpg is broken"),)).warn_of_losses()
    assert [record.getMessage() for record in caplog.records] == [
        "2 files left out: 2 .txt",
        "skipped 1 of 1,208 that do not open: /a.jpg is broken",
    ]


def test_made_splits_are_said_but_are_no_trouble():
    found = replace(CLEAN, made={"faces": ("validation", "test")})
    assert found.clean
    assert found.summary().endswith("\nmade here for faces: validation, test")


def test_json():
    found = replace(CLEAN, bad_files=(("a", "b"),), label_conflicts=(("c", "d"),), made={"faces": ("test",)})
    values = found.to_dict()
    assert json.loads(json.dumps(values)) == values
    assert values["bad_files"] == [["a", "b"]]
    assert values["counts"]["train"] == {"real": 1200, "fake": 3}
