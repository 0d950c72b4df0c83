import dataclasses
import json

import pytest
from huggingface_hub import ModelCard

from hf_deepfake.config import TrainConfig
from hf_deepfake.evaluation.report import CheckpointInfo, ExplanationResult, Mean, Report
from hf_deepfake.evaluation.result import evaluate_scores
from hf_deepfake.hub.card import build_card

NET = CheckpointInfo("resnet18", 64, 11_177_538)
SCORES, LABELS = [0.9, 0.8, 0.3, 0.2, 0.6, 0.1, 0.7, 0.4], [1, 1, 1, 0, 0, 0, 1, 0]


@pytest.fixture(scope="module")
def report():
    config = TrainConfig(
        data=("/home/someone/faces",), output_dir="runs/secret", model="resnet18", pretrained="/home/someone/start.pth"
    )
    return Report(
        checkpoint=dataclasses.replace(NET, temperature=1.25, operating_point=0.4),
        splits={"test": evaluate_scores(SCORES, LABELS, ["a", "a", "b", "b", "c", "c", "d", "d"], test_looks=2)},
        data={
            "counts": {"train": {"real": 1200, "fake": 7}, "test": {"real": 4, "fake": 4}},
            "sources": {"faces": {}},
            "listed": 1300,
            "bad_files": [["x.jpg", "truncated"]],
            "leaked_groups": ["anna"],
            "leaked_pictures": 3,
            "dropped": 5,
            "duplicates": 0,
            "label_conflicts": [],
            "made": {"faces": ["validation"]},
            "fingerprint": "f00d",
        },
        training={
            "options": json.loads(json.dumps(dataclasses.asdict(config))),
            "versions": {"torch": "2.15.0"},
            "epochs": [{"epoch": 1}, {"epoch": 2}],
            "best_epoch": 2,
            "train_seconds": 120.0,
            "machine": {"device": "A CPU"},
        },
    )


def test_metadata_key_by_key(report):
    data = ModelCard(build_card(report, repo_id="me/detector", license="apache-2.0")).data
    assert data.library_name == "timm"
    assert data.pipeline_tag == "image-classification"
    assert data.tags == ["image-classification", "timm", "transformers", "deepfake-detection"]
    assert data.license == "apache-2.0"
    assert data.model_name == "detector"
    results = {result.metric_type: result for result in data.eval_results}
    assert set(results) == {"roc_auc", "average_precision", "accuracy", "balanced_accuracy", "f1", "brier_score"}
    accuracy, metric = results["accuracy"], report.splits["test"].metrics["accuracy"]
    assert accuracy.metric_value == 0.75
    assert accuracy.metric_name == f"Accuracy, 95 % interval {metric.low:.3f} to {metric.high:.3f}"
    assert (accuracy.dataset_name, accuracy.dataset_split) == ("faces", "test")


def test_all_sections_of_a_whole_report(report):
    text = ModelCard(build_card(report, repo_id="me/detector", figures=["roc.png", "other.png"])).text
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["Use", "Results", "Data", "Training", "Reproduce", "Limits"]
    for part in (
        'pipeline("image-classification", model="me/detector")',
        "at a probability of 0.400",
        f"| AUC | {report.splits['test'].metrics['auc']} |",
        "(4 of them:",
        "looked at its test split 2 times",
        "(roc.png)",
        "| train | 1,200 | 7 |",
        "groups 1, pictures 3. Dropped from the earlier split: 5 pictures.",
        "skipped: 1 of 1,300",
        "best of 2 epochs by validation AUC: epoch 2",
        "model: resnet18\npretrained: start.pth\n```",
        "`f00d`",
        "torch 2.15.0",
        "A score is not evidence",
    ):
        assert part in text
    for part in ("/home/someone", "runs/secret", "anna", "other.png", "confusion.png"):
        assert part not in text


def test_tables_are_unbroken(report):
    lines = build_card(report).splitlines()
    start = lines.index("| | test |")
    assert [line.startswith("|") for line in lines[start : start + 15]] == [True] * 14 + [False]


def test_validation_is_said_to_be_too_good(report):
    text = build_card(dataclasses.replace(report, splits={"validation": report.splits["test"], **report.splits}))
    assert "The validation split chose the epoch and the temperature, so its numbers are too good." in text
    assert "| | validation | test |" in text


def explained(**differences):
    """A report of maps with these ends of intervals, by the metric's name."""
    metrics = {
        "deletion": Mean(0.5, 0.4, 0.6, n=8),
        "deletion_random": Mean(0.7, 0.65, 0.75, n=8),
        "flip": Mean(0.9, n=8),
    }
    metrics |= {name: Mean(sum(ends) / 2, *ends, n=8) for name, ends in differences.items()}
    result = ExplanationResult("gradcam", "drawn faces", 1200, metrics)
    return build_card(Report(checkpoint=NET, splits={}, explanations=[result]))


def test_measured_maps_are_shown():
    text = explained(deletion_difference=(-0.25, -0.15))
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Use",
        "## Where it looks",
        "## Limits",
    ]
    lines = text.splitlines()
    start = lines.index("| | Maps | Moved at random | Difference | Pictures |")
    assert lines[start - 2] == (
        "**drawn faces**, 1,200 pictures, maps by gradcam. "
        "Blurring what the maps mark costs the verdict 0.200 more than blurring random places."
    )
    assert [line.split(" | ", 1)[1] for line in lines[start + 2 : start + 4]] == [
        "0.500 [0.400, 0.600] | 0.700 [0.650, 0.750] | -0.200 [-0.250, -0.150] | 8 |",
        "0.900 |  |  | 8 |",
    ]
    assert lines[start + 4] == ""


@pytest.mark.parametrize(
    ("name", "ends", "clause"),
    [
        ("deletion_difference", (-0.2, 0.1), "costs the verdict no more than"),
        ("deletion_difference", (0.1, 0.2), "costs the verdict 0.150 less than"),
        ("insertion_difference", (0.1, 0.2), "supports it 0.150 more than"),
        ("insertion_difference", (-0.2, -0.1), "supports it 0.150 less than"),
        ("mask_specific", (0.0, 0.1), "mark the pasted area no more than"),
        ("parts_specific", (0.25, 0.5), "mark replaced parts of a face 0.375 more than"),
        ("shuffled_classifier", (0.2, 0.4), "they change when the classifier is shuffled"),
        ("shuffled_classifier", (0.4, 0.6), "they stay much the same when the classifier is shuffled"),
    ],
)
def test_a_bad_answer_is_said_too(name, ends, clause):
    assert clause in explained(**{name: ends}).replace("They", "they")


def test_without_an_interval_nothing_is_claimed():
    metrics = {"mask_specific": Mean(0.5, n=1), "insertion_difference": Mean(None, reason="no picture has it")}
    report = Report(checkpoint=NET, splits={}, explanations=[ExplanationResult("gradcam", "test", 1, metrics)])
    text = build_card(report)
    assert "supports it no more than" in text
    assert "mark the pasted area no more than" in text


def test_what_is_unknown_is_absent():
    card = ModelCard(build_card(Report(checkpoint=NET, splits={})))
    assert card.data.to_dict() == {
        "library_name": "timm",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "timm", "transformers", "deepfake-detection"],
    }
    headings = [line for line in card.text.splitlines() if line.startswith("## ")]
    assert headings == ["## Use", "## Limits"]
    for part in ("None", "N/A", "temperature", "probability of", ".png"):
        assert part not in card.text


def test_kept_leaks_and_missing_groups_are_said(report):
    text = build_card(
        dataclasses.replace(
            report, data={**report.data, "dropped": 0}, splits={"test": evaluate_scores(SCORES, LABELS)}
        )
    )
    assert "They were **kept**, so the results above are too good." in text
    assert "the intervals may be too narrow" in text
    assert "The validation split chose" not in text
    assert "looked at its test split" not in text
