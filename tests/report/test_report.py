import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hf_deepfake.errors import InputError
from hf_deepfake.metrics.bootstrap import intervals
from hf_deepfake.metrics.classification import METRICS, compute_metrics
from hf_deepfake.metrics.decision import Decision
from hf_deepfake.metrics.foreign import measure_foreign
from hf_deepfake.metrics.result import Metric, evaluate_scores
from hf_deepfake.metrics.videos import VideoResult
from hf_deepfake.report.report import CheckpointInfo, ExplanationResult, Mean, Report

SCORES, LABELS, GROUPS = [0.9, 0.8, 0.3, 0.2, 0.6, 0.1], [1, 1, 1, 0, 0, 0], ["a", "b", "c", "a", "b", None]


@pytest.fixture(scope="module")
def report():
    return Report(
        checkpoint=CheckpointInfo("resnet18", 64, 11_177_538, 1.25, 0.4),
        splits={
            "test": evaluate_scores(SCORES, LABELS, GROUPS, 0.4, test_looks=1),
            "outside": evaluate_scores([0.2, 0.4], [0, 0]),
        },
        data={"counts": {"test": {"real": 3, "fake": 3}}},
        training={"id": "x", "epochs": [{"epoch": 1, "train_loss": 0.5}]},
        explanations=[
            ExplanationResult(
                "gradcam", "test", 4, {"flip": Mean(0.5, 0.25, 0.75, n=4), "mask": Mean(None, reason="x")}
            )
        ],
    )


def test_a_result_ties_metrics_and_intervals(report):
    result = report.splits["test"]
    assert (result.n, result.n_real, result.n_fake, result.n_groups) == (6, 3, 3, 4)
    assert result.confusion == {"tn": 2, "fp": 1, "fn": 1, "tp": 2}
    assert (result.threshold, result.test_looks) == (0.4, 1)
    values, ranges = compute_metrics(SCORES, LABELS, 0.4), intervals(SCORES, LABELS, GROUPS, 0.4)
    assert list(result.metrics) == list(METRICS)
    assert result.metrics["accuracy"] == Metric(values["accuracy"], *ranges["accuracy"])


def test_an_undefined_metric_says_why(report):
    outside = report.splits["outside"]
    assert outside.metrics["auc"] == Metric(None, None, None, "no fake images")
    assert outside.n_groups is None
    assert str(outside.metrics["auc"]) == "undefined (no fake images)"
    assert str(Metric(0.5)) == "0.500"
    assert str(Metric(0.5, 0.25, 0.75)) == "0.500 [0.250, 0.750]"


def test_round_trip(report, tmp_path):
    report.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json") == report
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_numbers_that_json_lacks_become_null(report, tmp_path):
    training = {"loss": float("nan"), "worst": np.float32("inf"), "steps": np.int64(3), "betas": (0.9, 0.99)}
    replace(report, training=training).save(tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert json.loads(text)["training"] == {"loss": None, "worst": None, "steps": 3, "betas": [0.9, 0.99]}


@pytest.mark.parametrize(
    ("mend", "message"),
    [
        (lambda content: content.pop("splits"), "has no splits"),
        (lambda content: content["splits"]["test"].pop("n"), r"splits\.test has no n"),
        (lambda content: content["checkpoint"].update(image_size="large"), "image_size has the wrong type"),
        (lambda content: content["splits"]["test"]["metrics"].update(auc=0.5), "auc has the wrong type"),
        (lambda content: content["explanations"][0].pop("method"), r"explanations\[0\] has no method"),
        (lambda content: content.update(explanations={}), "explanations has the wrong type"),
        (lambda content: content.update(format_version=99), "report format 99"),
    ],
)
def test_damage_is_named(report, tmp_path, mend, message):
    path = tmp_path / "report.json"
    report.save(path)
    content = json.loads(path.read_text())
    mend(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        Report.load(path)


def test_what_is_no_report_is_refused(tmp_path):
    path = tmp_path / "report.json"
    with pytest.raises(InputError, match="cannot read"):
        Report.load(path)
    for text in ('{"splits": ', "[]", "\x00"):
        path.write_text(text)
        with pytest.raises(InputError, match="not a whole report"):
            Report.load(path)


def test_summary_shows_splits_side_by_side(report):
    lines = report.summary().splitlines()
    assert lines[0] == "resnet18, 64 px, 11.2 M parameters"
    assert lines[1].split() == ["test", "outside"]
    assert lines[2].split() == ["Images", "3", "real,", "3", "fake", "2", "real,", "0", "fake"]
    auc = next(line for line in lines if line.startswith("AUC"))
    assert str(report.splits["test"].metrics["auc"]) in auc
    assert auc.endswith("undefined (no fake images)")


def test_summary_shows_results_by_video(report, tmp_path):
    videos = VideoResult(Decision(1.5, 0.3, (0.2, 0.6), "f1", 0.05), 8, {"test": evaluate_scores([0.9, 0.2], [1, 0],
                         abstention_band=(0.2, 0.6))}, {})  # fmt: skip
    shown = replace(report, videos=videos)
    lines = shown.summary().splitlines()
    place = lines.index(next(line for line in lines if line.startswith("By video")))
    assert lines[place + 1].split() == ["Videos", "1", "real,", "1", "fake"]
    assert lines[-1].startswith("A video's score is the mean logit of its frames (median: 8), divided by")
    shown.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json") == shown


def test_a_report_from_before_videos_is_read(report, tmp_path):
    report.save(tmp_path / "report.json")
    content = json.loads((tmp_path / "report.json").read_text())
    del content["videos"]
    (tmp_path / "report.json").write_text(json.dumps(content))
    assert Report.load(tmp_path / "report.json") == report


def test_summary_shows_bands_subsets_and_other_data(report):
    band = evaluate_scores([0.9, 0.2], [1, 0], abstention_band=(0.4, 0.6))
    plain = evaluate_scores([0.9, 0.2], [1, 0])
    shown = replace(report, splits={"test": band}, subsets={"source": {"a": plain, "bcd": plain}})
    lines = shown.summary().splitlines()
    assert any(line.split() == ["Coverage", "1.000", "[1.000,", "1.000]"] for line in lines)
    place = lines.index("")
    assert lines[place + 1].split() == ["Source", "Images", "AUC", "Accuracy"]
    assert lines[place + 2].split()[:5] == ["a", "1", "real,", "1", "fake"]
    assert lines[place + 3].split()[0] == "bcd"
    assert lines[place + 5 :] == ["In-source only: nothing is known of other sources."]
    table = pd.DataFrame({"origin": "street", "score": [0.9, 0.2], "label": [1, 0], "group": None})
    lines = replace(shown, foreign=measure_foreign(table, 0.5, (0.4, 0.6))).summary().splitlines()
    assert lines[place + 5].split()[:4] == ["Foreign", "sources", "Images", "AUC"]
    assert lines[place + 6].split()[:5] == ["mean", "of", "1", "1.000", "(no"]
    assert lines[place + 7].split()[:4] == ["worst", "1.000", "(no", "interval:"]
    assert lines[place + 8].split()[0] == "street"
    assert len(lines) == place + 9
