import pytest

from hf_deepfake.audits.assess import describe, evaluate_files, evaluate_report, evaluate_shared, evaluate_shortcut
from hf_deepfake.audits.findings import Files, Shared
from hf_deepfake.audits.shortcut import Shortcut, Telling

COUNTS = {
    "train": {"real": 500, "fake": 500},
    "validation": {"real": 50, "fake": 50},
    "test": {"real": 100, "fake": 100},
}
CLEAN = {
    "counts": COUNTS,
    "sources": {"faces": COUNTS},
    "listed": 1300,
    "bad_files": [],
    "left_out": {},
    "leaked_groups": [],
    "leaked_images": 0,
    "duplicates": 0,
    "label_conflicts": [],
}


def severities(changes, groups=0):
    return [finding.severity for finding in evaluate_report(CLEAN | changes, groups)]


def test_clean_data_has_no_findings():
    assert severities({}) == []
    assert evaluate_files(Files(n=9, sizes=[], size_count=1, sides=[], tiny=0, grey=0, long=0)) == []


def test_leaks_are_held_against_the_smallest_split_that_judges():
    assert severities({"leaked_images": 1}) == ["warning"]
    assert severities({"leaked_images": 2}) == ["fatal"]
    assert severities({"leaked_groups": ["g"]}, groups=51) == ["warning"]
    assert severities({"leaked_groups": ["g"]}, groups=50) == ["fatal"]
    assert severities({"label_conflicts": [["a", "b"]] * 25}) == ["warning"]
    assert severities({"label_conflicts": [["a", "b"]] * 26}) == ["fatal"]


def test_files_and_balance():
    assert severities({"bad_files": [["a", "broken"]], "duplicates": 3}) == ["warning", "note"]
    rare = COUNTS | {"train": {"real": 100, "fake": 401}}
    assert severities({"counts": rare}) == ["note"]
    finding = evaluate_report(CLEAN | {"counts": rare}, 0)[0]
    assert finding.what == "Only 100 of 501 training images are real."
    found = evaluate_files(Files(n=1000, sizes=[], size_count=1, sides=[], tiny=2, grey=0, long=1))
    assert [finding.what.split()[0] for finding in found] == ["2", "1"]


def test_what_is_left_out_is_a_note_that_says_what_to_do():
    (note,) = evaluate_report(CLEAN | {"left_out": {".zip": 2, ".txt": 1}}, 0)
    assert (note.severity, note.what) == ("note", "3 files left out: 2 .zip, 1 .txt.")
    assert note.advice == "unpack archives yourself"


def test_a_source_of_one_class():
    one_class = {split: {"real": 0, "fake": 50} for split in COUNTS}
    findings = evaluate_report(CLEAN | {"sources": {"faces": COUNTS, "gan": one_class}}, 0)
    assert [(finding.severity, finding.what) for finding in findings] == [
        ("warning", "gan has 0 real among 150 images.")
    ]
    assert severities({"sources": {"gan": one_class}}) == []


@pytest.mark.parametrize(
    ("kind", "later", "images", "severity"),
    [
        ("near", "test", 1, "warning"),
        ("near", "test", 2, "fatal"),
        ("scene", "test", 50, "warning"),
        ("near", "fake", 90, "note"),
        ("near", "other.zip", 2, "fatal"),
    ],
)
def test_shared_images(kind, later, images, severity):
    finding = evaluate_shared(Shared(kind, later, "train", images, 100, []), "other.zip")
    assert finding.severity == severity
    assert finding.what.startswith(f"{images} of 100 {later} images ")


@pytest.mark.parametrize(
    ("table", "low", "severity"),
    [
        ("facts", 0.54, None),
        ("facts", 0.56, "note"),
        ("facts", 0.66, "warning"),
        ("facts", 0.75, "fatal"),
        ("statistics", 0.95, "warning"),
        ("content", 0.95, "warning"),
    ],
)
def test_shortcuts(table, low, severity):
    telling = [Telling("sharpness", 0.8, 1.2345, None, [], [], [])]
    finding = evaluate_shortcut(table, Shortcut(0.97, low, 0.99, 100, telling))
    assert (finding and finding.severity) == severity
    assert finding is None or "sharpness (real 1.23, fake none)" in finding.what


def test_describe():
    assert describe(Telling("JPEG quality", 1, 75.0, 98.0, [], [], [])) == "JPEG quality (real 75, fake 98)"
