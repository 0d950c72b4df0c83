from pathlib import Path

from huggingface_hub import ModelCard

from hf_deepfake.metrics.result import Metric
from hf_deepfake.page.about_tab import know, percent
from hf_deepfake.page.texts import render
from hf_deepfake.report.report import Report

CHECKPOINT = Path(__file__).parents[2] / "space" / "checkpoint"


def test_a_share():
    assert percent(Metric(0.386, 0.353, 0.421)) == "39 % [35, 42]"
    assert percent(Metric(0.5, reason="too few")) == "50 %"
    assert percent(Metric(None, reason="no fake images")) == percent(None) == "–"


def test_what_is_known_of_the_bundled_model():
    report = Report.load(CHECKPOINT / "report.json")
    known = know(report, ModelCard.load(CHECKPOINT / "README.md", ignore_metadata_errors=True))
    shares = [float(share.partition(" ")[0]) for _, share, _ in known.kinds]
    assert shares == sorted(shares, reverse=True)
    assert all(count >= 10 for *_, count in known.kinds)
    assert set(known.foreign.worst) >= {"error", "false_alarms", "missed"}
    assert "non-commercial" in known.licence


def test_a_card_states_the_licence():
    assert know(None, ModelCard("---\nlicense: mit\n---\n# x")).licence == "mit"
    assert know(None, None).licence == ""


def test_what_is_not_known_is_said():
    nothing = {"catches": [], "misses": [], "count": 0, "mean": {}, "worst": {}, "licence": ""}
    markup = render("about", "en", **nothing)
    assert "It was not measured on sources that it never saw." in markup
    assert "see the model&#39;s card below" in markup
    order = [
        markup.index(f"<h2>{title}") for title in ("What it catches", "What it misses", "How often", "What happens")
    ]
    assert order == sorted(order)
