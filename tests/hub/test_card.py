import dataclasses

import pandas as pd
import pytest
from huggingface_hub import ModelCard

from hf_deepfake.hub.card import build_card
from hf_deepfake.metrics.conditions import ConditionResult
from hf_deepfake.metrics.error_groups import group_errors
from hf_deepfake.metrics.foreign import FOREIGN_METRICS, ForeignResult, OriginMean, WorstOrigin
from hf_deepfake.metrics.result import Metric, evaluate_scores
from hf_deepfake.metrics.score_table import COLUMNS
from hf_deepfake.metrics.subgroups import OwnThreshold
from hf_deepfake.metrics.videos import VideoResult
from hf_deepfake.report.html import build_page
from hf_deepfake.report.report import BackendResult, CheckpointInfo, ExplanationResult, Mean, Report

NET = CheckpointInfo("resnet18", 64, 11_177_538)
SCORES, LABELS = [0.9, 0.8, 0.3, 0.2, 0.6, 0.1, 0.7, 0.4], [1, 1, 1, 0, 0, 0, 1, 0]


@pytest.fixture(scope="module")
def report():
    options = {
        "model": "resnet18", "pretrained": "start.pth", "real_names": [], "epochs": 10, "monitor": "auc",
        "data_license": "research only",
    }  # fmt: skip
    return Report(
        checkpoint=dataclasses.replace(NET, temperature=1.25, operating_point=0.4),
        splits={"test": evaluate_scores(SCORES, LABELS, ["a", "a", "b", "b", "c", "c", "d", "d"], test_looks=2)},
        data={
            "counts": {"train": {"real": 1200, "fake": 7}, "test": {"real": 4, "fake": 4}},
            "sources": {"faces": {}},
            "listed": 1300,
            "bad_files": [["x.jpg", "truncated"]],
            "leaked_groups": ["anna"],
            "leaked_images": 3,
            "dropped": 5,
            "duplicates": 0,
            "label_conflicts": [],
            "made": {"faces": ["validation"]},
            "fingerprint": "f00d",
        },
        training={
            "options": options,
            "versions": {"torch": "2.15.0"},
            "epochs": [{"epoch": 1, "stage": "main", "auc": 0.6}, {"epoch": 2, "stage": "main", "auc": 0.7}],
            "best_epoch": 2,
            "train_seconds": 120.0,
            "machine": {"device": "A CPU", "cores": 2, "precision": "no"},
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
    assert (accuracy.dataset_name, accuracy.dataset_split, accuracy.dataset_type) == ("faces", "test", "custom")
    assert accuracy.dataset_args == {"images": 8, "groups": 4}
    assert accuracy.task_type == "image-classification"
    assert (data.base_model, data.datasets) == (None, None)


def test_runtimes_and_how_they_agree(report):
    assert "## Runtimes" not in build_card(report)
    plain = BackendResult("torch", "fp32", 1000, 0.0, 0.0, Metric(0.0, 0.0, 0.0), 0, True, 10.0, "A CPU, 2 cores")
    fast = BackendResult("openvino", "int8", 1000, 0.25, 0.02, Metric(-0.003, -0.007, 0.002), 3, False, 90.0, "A CPU")
    card = build_card(dataclasses.replace(report, backends=[plain, fast]))
    assert "on 1,000 images of the validation" in card
    assert "| torch, fp32 | yes | 0 | 0 |" in card
    assert "| openvino, int8 | no | 0.25 | 0.02 | -0.003 [-0.007, 0.002] | 3 | 90.0 |" in card


def test_before_and_after_fine_tuning(report):
    assert "Before and after" not in build_card(report)
    right = {"precision_real": 0.5, "recall_real": 0.25, "f1_real": 1 / 3, "tn": 1.0, "fp": 3.0}
    right |= {"precision_fake": None, "recall_fake": 0.75, "f1_fake": 0.6, "fn": 1.0, "tp": 3.0, "accuracy": 0.5}
    epochs = [
        {"epoch": place + 1, "stage": stage, "auc": auc, **right}
        for place, (stage, auc) in enumerate(
            [("classifier", 0.625), ("classifier", 0.5), ("main", 0.75), ("main", 0.7)]
        )
    ]
    card = build_card(dataclasses.replace(report, training=report.training | {"epochs": epochs}))
    assert "| classifier, epoch 1 | 0.625 | 0.500 | 0.500, 0.250, 0.333 | 0.000, 0.750, 0.600 | 1, 3 | 1, 3 |" in card
    assert "| main, epoch 3 | 0.750 |" in card
    assert "| classifier, epoch 2 |" not in card


def test_what_rounded_weights_change(report):
    rounding = {"largest": 0.00123, "verdicts": 2, "images": 800}
    card = build_card(dataclasses.replace(report, training=report.training | {"rounding": rounding}))
    assert "On 800 validation images this moves the probability by at most 0.0012 and changes 2 verdicts." in card
    assert "float16" not in build_card(report)


def test_a_model_of_the_zoo_is_imported_first(report):
    checkpoint = dataclasses.replace(report.checkpoint, model="compact_cnn")
    card = build_card(dataclasses.replace(report, checkpoint=checkpoint))
    assert "```python\nimport hf_deepfake.models.zoo  # timm has no such model of its own\nfrom transformers" in card
    assert "and `hf_deepfake`, which registers the model with timm. Give it one face" in card
    assert "hf_deepfake.models.zoo" not in build_card(report)
    assert "and no further package. Give it one face" in build_card(report)


def test_results_by_video_are_named_as_such(report):
    assert "By video" not in build_card(report)
    videos = VideoResult(None, 16, {"test": report.splits["test"]}, {"manipulation": {"swap": report.splits["test"]}})
    card = build_card(dataclasses.replace(report, videos=videos))
    assert "## By video\n\nA video's score is the mean logit of its frames (median: 16)." in card
    lines = card.splitlines()
    start = lines.index("| By video | test |")
    assert lines[start + 1 : start + 4] == ["|---|---|", "| Videos | 4 real, 4 fake |", "| Groups | 4 |"]
    assert lines[start + 4] == f"| AUC | {report.splits['test'].metrics['auc']} |"
    assert any(line.startswith("| Manipulation | Videos | AUC |") for line in lines)


def test_where_it_errs(report):
    scores, labels = [0.9, 0.1] * 20 + [0.9] * 40, [1] * 80
    table = pd.DataFrame({"label": labels, "score": scores, "source": "faces", "side": 64, "format": "JPEG"})
    table = table.reindex(columns=list(COLUMNS)).astype(COLUMNS)
    dark = pd.DataFrame({"brightness": [20.0] * 40 + [200.0] * 40})
    card = build_card(dataclasses.replace(report, errors=group_errors(table, dark, 0.5)))
    section = card.partition("## Where it errs")[2].partition("\n## ")[0]
    assert "| Brightness, of 255: 20 | 40 | 0.500 [" in section
    assert "(2 groups were looked at" in section
    assert "200" not in section
    assert "## Where it errs" not in build_card(report)


def test_all_sections_of_a_whole_report(report):
    text = ModelCard(build_card(report, repo_id="me/detector", figures=["roc.png", "other.png"])).text
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "Sources it never saw", "Use", "How it decides", "Results", "Data", "Training", "Reproduce", "Limits",
        "Citation",
    ]  # fmt: skip
    for part in (
        'pipeline("image-classification", model="me/detector")',
        "from a probability of 0.400 on",
        "divided by a temperature of 1.250",
        "| 0.1 % | ",
        "2 minutes on A CPU, 2 cores, float32",
        f"| AUC | {report.splits['test'].metrics['auc']} |",
        "(4 of them:",
        "test split was looked at 2 times",
        "(roc.png)",
        "| train | 1,200 | 7 |",
        "Sources: faces. Licence of the images: research only.",
        "groups 1, images 3. Dropped from the earlier split: 5 images.",
        "skipped: 1 of 1,300",
        "best of 2 epochs by validation AUC: epoch 2",
        "model: resnet18\npretrained: start.pth\ndata_license: research only\n```",
        "`f00d`",
        "torch 2.15.0",
        "A score is not evidence",
    ):
        assert part in text
    for part in ("real_names", "anna", "other.png", "confusion.png", "unsure", "By source", "Other data", "audit ("):
        assert part not in text


def test_tables_are_unbroken(report):
    lines = build_card(report).splitlines()
    start = lines.index("| | test |")
    assert [line.startswith("|") for line in lines[start : start + 15]] == [True] * 14 + [False]


def test_validation_is_said_to_be_too_good(report):
    text = build_card(dataclasses.replace(report, splits={"validation": report.splits["test"], **report.splits}))
    assert "The validation images chose the epoch, temperature and operating point, so their numbers are too good." in (
        text
    )
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
        "## How it decides",
        "## Where it looks",
        "## Limits",
        "## Citation",
    ]
    lines = text.splitlines()
    start = lines.index("| | Maps | Moved at random | Difference | Images |")
    assert lines[start - 2] == (
        "**drawn faces**, 1,200 images, maps by gradcam. "
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
    metrics = {"mask_specific": Mean(0.5, n=1), "insertion_difference": Mean(None, reason="no image has it")}
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
    assert headings == ["## Use", "## How it decides", "## Limits", "## Citation"]
    for part in ("None", "N/A", "temperature", "unsure", "|", ".png"):
        assert part not in card.text


def test_kept_leaks_and_missing_groups_are_said(report):
    text = build_card(
        dataclasses.replace(
            report, data={**report.data, "dropped": 0}, splits={"test": evaluate_scores(SCORES, LABELS)}
        )
    )
    assert "They were **kept**, so the results above are too good." in text
    assert "the intervals may be too narrow" in text
    assert "The validation images chose" not in text
    assert "test split was looked at" not in text


def test_the_decision_in_words(report):
    band = evaluate_scores(SCORES, LABELS, threshold=0.4, abstention_band=(0.3, 0.6))
    info = dataclasses.replace(
        report.checkpoint,
        criterion="fpr<=0.05",
        decided_on="validation split of faces",
        abstention_band=(0.3, 0.6),
        confident_error=0.01,
    )
    text = build_card(dataclasses.replace(report, checkpoint=info, splits={"test": band}))
    for part in (
        "On the validation split of faces, this point finds the most fakes with at most 0.05 of the reals called fake.",
        "Between 0.300 and 0.600 the honest answer is **unsure**",
        "at most 1 % of the fakes are confidently called real",
        f"| Coverage | {band.unsure['coverage']} |",
        f"| Selective risk | {band.unsure['error']} |",
        f"| 10 % | {band.precision_at['0.1']} |",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("criterion", "words"),
    [
        ("accuracy", "gives the most right verdicts"),
        ("recall>=.9", "with at least 0.9 of the fakes found"),
        ("cost", "a missed fake 5 times a false alarm, fakes being 0.5 of the images"),
    ],
)
def test_criteria_in_words(report, criterion, words):
    training = {**report.training, "options": {**report.training["options"], "miss_cost": 5.0}}
    info = dataclasses.replace(report.checkpoint, criterion=criterion, decided_on="x")
    assert words in build_card(dataclasses.replace(report, checkpoint=info, training=training))


def test_results_apart_and_on_other_data(report):
    part = evaluate_scores(SCORES, LABELS, threshold=0.4)
    own = OwnThreshold(0.35, Metric(0.7, 0.6, 0.8), Metric(0.8, 0.7, 0.9), Metric(0.1, 0.0, 0.2))
    mean, worst = OriginMean(0.6, 0.5, 0.7, None, 3, 0.55, 0.65), WorstOrigin(0.4, 0.3, 0.5, None, "elsewhere")
    text = build_card(
        dataclasses.replace(
            report,
            subsets={"source": {"street": part, "studio": part}, "manipulation": {"swap": part, "gan": part}},
            own_thresholds={"street": own, "studio": own},
            foreign=ForeignResult(
                {"elsewhere": part}, dict.fromkeys(FOREIGN_METRICS, mean), dict.fromkeys(FOREIGN_METRICS, worst)
            ),
        )
    )
    row = " | ".join(str(part.metrics[name]) for name in ("auc", "accuracy", "recall_fake", "recall_real"))
    for line in (
        "### By source",
        "| Source | Images | AUC | Accuracy | Recall of fake | Recall of real |",
        f"| street | 4 real, 4 fake | {row} |",
        f"| swap | 4 real, 4 fake | {row} |",
        "### A threshold for each source",
        "| studio | 0.350 | 0.700 [0.600, 0.800] | 0.800 [0.700, 0.900] | 0.100 [0.000, 0.200] |",
        "## Sources it never saw",
        "| mean of 1 |  |" + " 0.600 [0.500, 0.700] |" * 7,
        "| worst |  |" + " 0.400 [0.300, 0.500] (elsewhere) |" * 7,
    ):
        assert line in text.splitlines()
    assert "By file format" not in text


def test_calibration_origins_head_a_card_too(report):
    part = evaluate_scores(SCORES, LABELS, threshold=0.4)
    mean, worst = OriginMean(0.6, 0.5, 0.7, None, 2), WorstOrigin(0.4, 0.3, 0.5, None, "elsewhere")
    crossed = ForeignResult({"elsewhere": part}, *(dict.fromkeys(FOREIGN_METRICS, one) for one in (mean, worst)))
    text = build_card(dataclasses.replace(report, cross_calibrated=crossed))
    assert "Each row is what it does there when **the other origins alone** decide" in text
    assert "| worst |  |" + " 0.400 [0.300, 0.500] (elsewhere) |" * 7 in text.splitlines()
    assert "In-source only" not in text
    page = build_page(dataclasses.replace(report, cross_calibrated=crossed), {})
    assert "Calibration origins, each decided by the others alone" in page
    assert "In-source only" not in page


def test_degraded_images(report):
    def made(family, severity, auc):
        metric = Metric(auc, auc - 0.01, auc + 0.01)
        return ConditionResult(family, severity, 40.0, metric, Metric(0.75, 0.7, 0.8), Metric(0.1), Metric(0.2))

    results = [made("clean", 0, 0.95), made("jpeg", 4, 0.8), made("jpeg", 5, 0.7), made("fog", 1, 0.9)]
    text = build_card(dataclasses.replace(report, robustness=results), figures=["robustness.png"])
    assert "is jpeg 40: **AUC 0.800 [0.790, 0.810]**, accuracy 0.750 [0.700, 0.800]." in text
    lines = text.splitlines()
    start = lines.index("| Degradation | Severity | AUC | Accuracy | False alarms | Verdicts that change |")
    assert [line.split(" | ")[0:2] for line in lines[start + 2 : start + 5]] == [
        ["| jpeg", "5 (40)"], ["| fog", "1 (40)"], ["| clean", ""],
    ]  # fmt: skip
    assert "(robustness.png)" in text


@pytest.mark.parametrize("family", ["jpeg", "h264_clip"])
def test_the_mild_set_is_called_what_it_was_when_it_was_measured(report, family):
    metric = Metric(0.8, 0.7, 0.9)
    results = [ConditionResult("jpeg", 4, 40, *[metric] * 4), ConditionResult(family, 2, 23, *[metric] * 4)]
    measured = dataclasses.replace(report, robustness=results)
    for text in (build_card(measured), build_page(measured, {})):
        assert ("(JPEG of quality 40 and more, H.264 of CRF 23, blur up to" in text) == (family == "h264_clip")
        assert ("(JPEG of quality 40 and more, blur up to" in text) == (family == "jpeg")


def test_what_the_audit_found(report):
    found = {
        "level": "basic",
        "unseen": ["near duplicates", "low-level statistics"],
        "shortcuts": {"facts": {"auc": 0.99, "low": 0.98, "high": 1.0, "n": 100}},
        "findings": [{"severity": "fatal", "what": "the format tells the class", "advice": "normalise"}],
    }
    text = build_card(dataclasses.replace(report, audit=found))
    assert (
        "An audit (basic) looked for leaks and shortcuts. It did not look at: near duplicates, low-level statistics."
    ) in " ".join(text.split())
    assert "from facts of the file 0.990 [0.980, 1.000]." in " ".join(text.split())
    assert "- **Fatal**: the format tells the class" in text
    clean = build_card(dataclasses.replace(report, audit={"level": "full", "shortcuts": {}, "findings": []}))
    assert "An audit (full) looked for leaks and shortcuts and found none." in clean


def test_start_weights_and_hub_data_are_named(report):
    options = {**report.training["options"], "pretrained": "hub"}
    card = ModelCard(
        build_card(
            dataclasses.replace(
                report,
                training={**report.training, "options": options},
                data={**report.data, "sources": {"owner/faces": {}, "folder": {}}},
            )
        )
    )
    assert card.data.base_model == "timm/resnet18.a1_in1k"
    assert card.data.datasets == ["owner/faces"]
    for pretrained in ("off", "start.pth"):
        options["pretrained"] = pretrained
        assert _data(report, options).base_model is None


def _data(report, options):
    return ModelCard(build_card(dataclasses.replace(report, training={**report.training, "options": options}))).data


def test_a_card_survives_its_file(report, tmp_path):
    text = build_card(report, repo_id="me/detector", license="mit")
    ModelCard(text).save(tmp_path / "README.md")
    again = ModelCard.load(tmp_path / "README.md")
    assert again.data.to_dict() == ModelCard(text).data.to_dict()
    assert again.text == ModelCard(text).text
