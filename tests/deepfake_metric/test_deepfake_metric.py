"""The `evaluate` module, loaded from its folder as a user loads it, against scikit-learn and by hand."""

import doctest
import json
import subprocess
import sys
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from hf_deepfake.errors import InputError
from hf_deepfake.metrics.bootstrap import intervals
from hf_deepfake.metrics.classification import CONFUSION, METRICS

MODULE = str(files("hf_deepfake") / "deepfake_metric")

SCORES, LABELS = [0.9, 0.4, 0.2, 0.6], [1, 1, 0, 0]


@pytest.fixture
def metric(cache, tmp_path) -> Any:
    """The module with its temporary files in a folder of its own."""
    import evaluate  # not before `cache` has told it where to keep loaded modules

    return evaluate.load(MODULE, cache_dir=str(tmp_path))


@pytest.fixture(scope="module")
def many() -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels of 300 images that overlap, with ties."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    return np.round(np.clip(rng.normal(0.4 + 0.2 * labels, 0.2), 0, 1), 2), labels


def test_four_images_by_hand(metric):
    result = metric.compute(predictions=SCORES, references=LABELS)
    assert list(result) == [*METRICS, *CONFUSION]
    assert result["auc"] == 0.75  # three of the four pairs are in order
    assert [result[name] for name in CONFUSION] == [1, 1, 1, 1]
    assert (result["accuracy"], result["recall_fake"], result["mcc"]) == (0.5, 0.5, 0)
    assert result["brier"] == pytest.approx((0.01 + 0.36 + 0.04 + 0.36) / 4)


def test_a_lower_threshold_calls_more_images_fake(metric):
    result = metric.compute(predictions=SCORES, references=LABELS, threshold=0.4)
    assert [result[name] for name in CONFUSION] == [1, 1, 0, 2]


def test_an_unsure_band_by_hand(metric):
    # .4 and .6 are unsure; of .9 (fake), .2 (real) and .7 (real) the last is confidently misclassified.
    result = metric.compute(
        predictions=[*SCORES, 0.7], references=[*LABELS, 0], abstention_band=(0.3, 0.6), intervals=True
    )
    assert result["coverage"] == 3 / 5
    assert result["selective_risk"] == pytest.approx(1 / 3)
    assert (result["confident_misses"], result["confident_false_alarms"]) == (0, pytest.approx(1 / 3))
    low, high = result["intervals"]["coverage"]
    assert low < 3 / 5 < high
    nothing = metric.compute(predictions=SCORES, references=LABELS, abstention_band=(0.0, 1.0))
    assert nothing["selective_risk"] is None
    assert nothing["undefined"]["selective_risk"] == "no image has a confident verdict"


def test_agrees_with_scikit_learn(metric, many):
    scores, labels = many
    result = metric.compute(predictions=scores, references=labels)
    verdicts = scores >= 0.5
    assert {name: result[name] for name in ("auc", "average_precision", "brier", "log_loss", "f1_fake", "mcc")} == (
        pytest.approx(
            {
                "auc": sklearn_metrics.roc_auc_score(labels, scores),
                "average_precision": sklearn_metrics.average_precision_score(labels, scores),
                "brier": sklearn_metrics.brier_score_loss(labels, scores),
                "log_loss": sklearn_metrics.log_loss(labels, scores),
                "f1_fake": sklearn_metrics.f1_score(labels, verdicts),
                "mcc": sklearn_metrics.matthews_corrcoef(labels, verdicts),
            }
        )
    )


def test_an_undefined_metric_has_a_reason(metric):
    result = metric.compute(predictions=[0.9, 0.4], references=["fake", "fake"])
    assert result["recall_fake"] == 0.5
    assert result["auc"] is None
    assert result["undefined"]["auc"] == "no real images"
    assert result["undefined"].keys() == {name for name in METRICS if result[name] is None}


def test_intervals_resample_groups(metric, many):
    scores, labels = many
    groups = [f"video {number // 3}" for number in range(len(scores))]
    result = metric.compute(predictions=scores, references=labels, intervals=True, groups=groups)
    assert result["intervals"] == intervals(scores, labels, groups)
    assert "intervals" not in metric.compute(predictions=scores, references=labels)


def test_one_group_has_a_reason(metric, many):
    scores, labels = many
    result = metric.compute(predictions=scores, references=labels, intervals=True, groups=["video"] * len(scores))
    assert set(result["intervals"].values()) == {None}
    assert result["no_interval"] == dict.fromkeys(METRICS, "one group")


def test_batches_and_memory_change_nothing(metric, many):
    import evaluate

    scores, labels = many
    whole = metric.compute(predictions=scores, references=labels)
    for start in range(0, len(scores), 128):
        metric.add_batch(predictions=scores[start : start + 128], references=labels[start : start + 128])
    assert metric.compute() == whole
    in_memory: Any = evaluate.load(MODULE, keep_in_memory=True)
    assert in_memory.compute(predictions=scores, references=labels) == whole


def test_scores_and_classes_that_were_swapped_are_refused(metric):
    with pytest.raises(ValueError, match="don't match the expected format"):
        metric.compute(predictions=LABELS, references=SCORES)


def test_logits_are_refused(metric):
    with pytest.raises(InputError, match=r"not a number in \[0, 1\]"):
        metric.compute(predictions=[2.5, -1.0], references=[1, 0])


OTHER = """\
import datasets
import evaluate


class MeanScore(evaluate.Metric):
    def _info(self):
        features = datasets.Features(
            {"predictions": datasets.Value("float64"), "references": datasets.Value("int64")}
        )
        return evaluate.MetricInfo(description="", citation="", features=features)

    def _compute(self, predictions, references):
        return {"mean": sum(predictions) / len(predictions), "accuracy": -1}
"""


def test_combines_with_another_module(metric, tmp_path):
    import evaluate

    (tmp_path / "mean_score").mkdir()
    (tmp_path / "mean_score" / "mean_score.py").write_text(OTHER)
    other = evaluate.load(str(tmp_path / "mean_score"), cache_dir=str(tmp_path))
    combined = evaluate.combine([metric, other])
    combined.add_batch(predictions=SCORES, references=LABELS)
    result: Any = combined.compute()
    assert (result["auc"], result["mean"]) == (0.75, pytest.approx(0.525))
    assert (result["deepfake_metric_accuracy"], result["mean_score_accuracy"]) == (0.5, -1)


SHARE = """\
import json, sys
import evaluate

module, folder, number, scores, labels = sys.argv[1:]
share = {"predictions": json.loads(scores), "references": json.loads(labels)}
for name in ("first", "second"):
    metric = evaluate.load(
        module, cache_dir=folder, num_process=2, process_id=int(number), experiment_id=name, timeout=300
    )
    metric.add_batch(**share)
    print(json.dumps(metric.compute()))
"""


@pytest.mark.slow
def test_two_processes_measure_as_one_twice_over(metric, many, tmp_path):
    scores, labels = (values.tolist() for values in many)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SHARE, MODULE, tmp_path / "shares", str(number)]
            + [json.dumps(values[start:stop]) for values in (scores, labels)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number, (start, stop) in enumerate([(0, 100), (100, 300)])
    ]
    main, other = (process.communicate(timeout=300)[0].splitlines() for process in processes)
    whole = metric.compute(predictions=scores, references=labels)
    assert [json.loads(line) for line in main] == [whole, whole]
    assert [json.loads(line) for line in other] == [None, None]


def test_the_example_in_the_description_holds(metric):
    test = doctest.DocTestParser().get_doctest(metric.inputs_description, {}, "inputs", None, None)
    assert len(test.examples) == 4
    assert doctest.DocTestRunner().run(test).failed == 0
