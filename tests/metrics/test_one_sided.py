import json
from dataclasses import replace

import pytest

from hf_deepfake.hub.card import build_card
from hf_deepfake.metrics.one_sided import one_sided
from hf_deepfake.metrics.result import evaluate_scores
from hf_deepfake.report.html import build_page
from hf_deepfake.report.report import CheckpointInfo, Report

LABELS = [0] + [1] * 9
ALL_FAKE = Report(
    checkpoint=CheckpointInfo("resnet18", 64, 11_177_538, 1.0, 0.1, criterion="accuracy"),
    splits={"test": evaluate_scores([0.6] + [0.5] * 9, LABELS, threshold=0.1)},
)


@pytest.mark.parametrize(
    ("counts", "right", "said"),
    [
        ((1, 9), (0, 9), "every image of test is called fake (1 real, 9 fake) by the criterion f1: accuracy 0.900"),
        ((6, 4), (6, 0), "every image of test is called real (6 real, 4 fake) by the criterion f1: accuracy 0.600"),
        ((2, 8), (0, 7), "not one of the 2 real images of test is called real by the criterion f1: accuracy 0.700"),
        ((2, 8), (1, 0), "not one of the 8 fake images of test is called fake by the criterion f1: accuracy 0.100"),
    ],
)
def test_a_class_that_is_never_recognised(counts, right, said):
    found = one_sided(counts, right, "test", "f1")
    assert found.startswith(f"{said} is no better than one verdict for all; ")
    assert "take --criterion balanced" in found
    assert "train longer" in one_sided(counts, right, "test", "balanced")


@pytest.mark.parametrize(("counts", "right"), [((1, 9), (1, 9)), ((5, 5), (1, 1)), ((0, 5), (0, 5)), ((5, 0), (0, 0))])
def test_others_are_not_spoken_of(counts, right):
    assert one_sided(counts, right, "test", "f1") == ""


def test_report_card_and_page_say_it(tmp_path):
    (warning,) = ALL_FAKE.warnings
    assert warning.startswith("every image of test is called fake (1 real, 9 fake) by the criterion accuracy")
    assert f"WARNING: {warning}" in ALL_FAKE.summary()
    card = build_card(ALL_FAKE)
    assert f"**Warning: {warning}.**" in card
    assert card.index("**Warning") < card.index("## Use")
    assert f"✖ E{warning[1:]}." in build_page(ALL_FAKE, {})
    ALL_FAKE.save(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["warnings"] == [warning]
    assert Report.load(tmp_path / "report.json") == ALL_FAKE


def test_a_report_of_a_threshold_that_decides_says_nothing():
    report = replace(ALL_FAKE, splits={"test": evaluate_scores([0.1] + [0.5] * 9, LABELS, threshold=0.3)})
    assert report.warnings == []
    assert "no better than one verdict" not in report.summary() + build_card(report) + build_page(report, {})
