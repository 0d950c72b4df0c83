import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from hf_deepfake.metrics.conditions import ConditionResult
from hf_deepfake.metrics.decision import Decision
from hf_deepfake.metrics.foreign import FOREIGN_METRICS, ForeignResult, OriginMean, WorstOrigin
from hf_deepfake.metrics.result import Metric, evaluate_scores
from hf_deepfake.metrics.subgroups import OwnThreshold
from hf_deepfake.metrics.videos import VideoResult
from hf_deepfake.report.html import build_page
from hf_deepfake.report.report import BackendResult, CheckpointInfo, Report

SCORES, LABELS = [0.9, 0.8, 0.3, 0.2, 0.6, 0.1, 0.7, 0.4], [1, 1, 1, 0, 0, 0, 1, 0]
RESULT = evaluate_scores(SCORES, LABELS, threshold=0.4)
PLAIN = Report(checkpoint=CheckpointInfo("resnet18", 64, 11_177_538, operating_point=0.4), splits={"test": RESULT})
FOREIGN = ForeignResult(
    {"elsewhere": RESULT},
    dict.fromkeys(FOREIGN_METRICS, OriginMean(0.6, 0.5, 0.7, None, 1)),
    dict.fromkeys(FOREIGN_METRICS, WorstOrigin(0.4, 0.3, 0.5, None, "elsewhere")),
)
WORDS = {"How it decides", "All metrics"}


class Reader(HTMLParser):
    """Headings, text, tags that were not closed, and whatever a page would fetch."""

    VOID = ("meta", "img", "link", "br")

    def __init__(self, page):
        super().__init__()
        self.open, self.headings, self.fetched, self.text = [], [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "h2":
            self.headings.append("")
        self.fetched += [value for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag):
        # A paragraph, row or cell may stay open by HTML's own rules.
        while self.open.pop() != tag:
            pass

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] == "h2":
            self.headings[-1] += data


def test_a_plain_report_has_no_empty_sections():
    page = Reader(build_page(PLAIN, {}))
    assert set(page.headings) == WORDS
    assert page.open == ["html"]
    assert str(RESULT.metrics["auc"].low)[:5] in page.text
    for word in ("None", "N/A", "unsure", "undefined"):
        assert word not in page.text


def test_results_by_video_are_shown():
    decision = Decision(1.5, 0.3, (0.25, 0.5), "accuracy", 0.05)
    banded = evaluate_scores(SCORES, LABELS, threshold=0.3, abstention_band=(0.25, 0.5))
    videos = VideoResult(decision, 16, {"test": banded}, {"manipulation": {"swap": RESULT, "gan": RESULT}}, FOREIGN)
    page = Reader(build_page(replace(PLAIN, videos=videos), {}))
    assert set(page.headings) == WORDS | {"By video"}
    assert (
        "A video's score is the mean logit of its frames (median: 16), divided by a temperature of 1.500." in page.text
    )
    assert f"AUC{banded.metrics['auc']}" in page.text
    assert "Foreign sourcesVideosAUC" in page.text
    assert "Manipulationrealfake" in page.text
    assert page.open == ["html"]


def test_how_runtimes_agree_is_shown():
    none, change = Metric(0.0, 0.0, 0.0), Metric(-0.003, -0.007, 0.001)
    backends = [
        BackendResult("torch", "fp32", 1000, 0.0, 0.0, none, 0, True, 16.4, "a machine"),
        BackendResult("openvino", "int8", 1000, 0.34, 0.052, change, 2, False, 91.6, "a machine"),
    ]
    page = Reader(build_page(replace(PLAIN, backends=backends), {}))
    assert set(page.headings) == WORDS | {"Runtimes"}
    assert "on 1,000 images of the validation" in page.text
    assert "openvino, int8✖ no0.340.052-0.003 [-0.007, 0.001]291.6" in page.text
    assert page.text.count("✔ yes") == 1
    assert page.open == ["html"]


def test_everything_that_is_known_is_shown():
    band = evaluate_scores(SCORES, LABELS, threshold=0.4, abstention_band=(0.3, 0.6), test_looks=2)
    info = replace(
        PLAIN.checkpoint, abstention_band=(0.3, 0.6), confident_error=0.05, criterion="f1", decided_on="test of x"
    )
    own = OwnThreshold(0.35, Metric(0.7, 0.6, 0.8), Metric(0.8, 0.7, 0.9), Metric(0.123, 0.0, 0.2))
    page = Reader(
        build_page(
            replace(
                PLAIN,
                checkpoint=info,
                splits={"validation": RESULT, "test": band},
                subsets={"source": {"street": RESULT, "studio": RESULT}, "side": {"64 to 127 px": RESULT}},
                own_thresholds={"street": own, "studio": own},
                foreign=FOREIGN,
                robustness=[ConditionResult("jpeg", 4, 40.0, *[Metric(0.456, 0.4, 0.5)] * 4)],
                audit={"findings": [{"severity": "fatal", "what": "the format tells", "advice": "x"}]},
                data={"sources": {"faces": {}}, "counts": {"train": {"real": 1234, "fake": 7}}},
            ),
            {},
        )
    )
    assert set(page.headings) == WORDS | {
        "By source", "By size", "A threshold for each source", "Sources it never saw",
        "Degraded images",
        "What the audit of the data found", "Data",
    }  # fmt: skip
    for part in (
        "resnet18 on faces",
        "looked at 2 times",
        "0.123",
        "elsewhere",
        "the format tells",
        "1,234",
        "test of x",
    ):
        assert part in page.text
    assert f"{band.unsure['coverage'].value:.3f}" in page.text


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (Metric(0.9, 0.85, 0.95), "Tells most of these images apart"),
        (Metric(0.8, 0.7, 0.9), "wrong often"),
        (Metric(0.6, 0.45, 0.7), "nothing shows that it is better than chance"),
        (Metric(None, reason="no real images"), "was not measured"),
    ],
)
def test_the_verdict_on_the_detector_follows_the_interval(metric, words):
    result = replace(RESULT, metrics={**RESULT.metrics, "auc": metric})
    assert words in Reader(build_page(replace(PLAIN, splits={"test": result}), {})).text


def test_figures_are_inside_and_nothing_is_fetched():
    page = build_page(PLAIN, {"roc.png": b"figure"})
    assert Reader(page).fetched == ["data:image/png;base64," + base64.b64encode(b"figure").decode()]
    assert not re.search(r"https?:|@import|url\(|<script", page)


def test_names_are_shown_as_text():
    hostile = "<img src=x onerror=alert(1)>"
    report = replace(
        PLAIN,
        subsets={"source": {hostile: RESULT, "b": RESULT}},
        data={"sources": {hostile: {}}, "counts": {}},
        foreign=replace(FOREIGN, origins={hostile: RESULT}),
    )
    page = build_page(report, {})
    assert "<img" not in page
    assert Reader(page).text.count(hostile) == 4
