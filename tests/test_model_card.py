from pathlib import Path

from hf_deepfake.evaluation.report import Report
from hf_deepfake.hub.card import build_card

ROOT = Path(__file__).parents[1]

RENEW = "model_card.md is not what docs/demo_report.json renders to; run `make card`"


def test_the_card_is_that_of_the_demo():
    report = Report.load(ROOT / "docs" / "demo_report.json")
    assert build_card(report) == (ROOT / "model_card.md").read_text(encoding="utf-8"), RENEW
    assert report.training["options"]["model"] == "resnet10t"
    assert list(report.data["sources"]) == ["sample"]
