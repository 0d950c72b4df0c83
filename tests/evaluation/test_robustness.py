import numpy as np
import pytest
from datasets import Dataset

from hf_deepfake.data.load import load_images
from hf_deepfake.evaluation import scorers
from hf_deepfake.evaluation.inference import predict_logits
from hf_deepfake.evaluation.robustness import measure_robustness
from hf_deepfake.images import degrade
from hf_deepfake.images.degrade import FAMILIES
from hf_deepfake.metrics.conditions import ConditionResult, evaluate_condition, worst_mild
from hf_deepfake.metrics.result import Metric
from hf_deepfake.models.checkpoint import load_checkpoint
from hf_deepfake.report.figures import robustness_figure

SCORES, CLEAN, LABELS = [0.9, 0.2, 0.6, 0.1], [0.9, 0.8, 0.3, 0.1], [1, 1, 0, 0]


def test_a_condition_by_hand():
    one = evaluate_condition("jpeg", 4, SCORES, CLEAN, LABELS, None, 0.5)
    # Pairs of a fake and a real: .9 beats both, .2 beats .1 alone.
    assert one.auc.value == pytest.approx(3 / 4)
    assert one.accuracy.value == 2 / 4
    assert one.false_alarms.value == 1 / 2
    assert one.flips.value == 2 / 4
    assert (one.family, one.severity, one.strength, one.mild) == ("jpeg", 4, 40, True)
    assert one.accuracy.low <= 0.5 <= one.accuracy.high
    assert not evaluate_condition("jpeg", 5, SCORES, CLEAN, LABELS, None, 0.5).mild
    assert not evaluate_condition("fog", 1, SCORES, CLEAN, LABELS, None, 0.5).mild


def test_clean_images_flip_nothing():
    one = evaluate_condition("clean", 0, CLEAN, CLEAN, LABELS, None, 0.5)
    assert (one.flips.value, one.auc.value, one.severity, one.mild) == (0, 1, 0, False)


def test_one_class_has_no_auc():
    one = evaluate_condition("fog", 1, [0.9, 0.2], [0.9, 0.2], [1, 1], None, 0.5)
    assert (one.auc.value, one.auc.reason, one.false_alarms.value) == (None, "one class only", None)
    assert one.accuracy.value == 0.5


def test_one_group_has_a_reason():
    one = evaluate_condition("jpeg", 4, SCORES, CLEAN, LABELS, ["one video"] * 4, 0.5)
    for metric in (one.auc, one.accuracy, one.false_alarms, one.flips):
        assert (metric.low, metric.high, metric.reason) == (None, None, "one group")


def test_every_condition_of_all_images(checkpoint, faces, cache, monkeypatch):
    monkeypatch.setattr(degrade, "FAMILIES", {name: FAMILIES[name] for name in ("jpeg", "grey")})
    monkeypatch.setattr(scorers, "best_precision", lambda on_gpu, flags: "no")
    loaded = scorers.CheckpointScorer("model", load_checkpoint(checkpoint))
    test: Dataset = load_images(faces)["test"]
    results = measure_robustness(loaded, test, list(test["group"]))
    assert [(one.family, one.severity) for one in results] == [
        ("clean", 0), *((family, severity) for family in ("jpeg", "grey") for severity in range(1, 6)),
    ]  # fmt: skip
    assert results == measure_robustness(loaded, test, list(test["group"]))
    jpeg = [one.accuracy.value for one in results[1:6]]
    assert all(0 <= value <= 1 for value in jpeg)
    assert any(one.auc.value != results[0].auc.value for one in results[1:])


@pytest.mark.parametrize("workers", [0, 1])
def test_the_precision_of_the_model_is_not_that_of_the_degradations(checkpoint, faces, cache, workers):
    loaded = load_checkpoint(checkpoint)
    test: Dataset = load_images(faces)["test"].select(range(4))
    config = loaded.config["pretrained_cfg"]
    change = degrade.Degrade(0, ("motion_blur", 5))  # a convolution, which autocast would do in bfloat16
    exact = predict_logits(loaded.model, test, config, 0, "no", change)
    np.testing.assert_allclose(predict_logits(loaded.model, test, config, workers, "bf16", change), exact, atol=0.1)


def made(family, severity, auc):
    metric = Metric(auc, auc - 0.01, auc + 0.01)
    return ConditionResult(family, severity, 1.0, metric, metric, metric, metric)


def test_the_headline_is_the_worst_of_the_mild_set():
    results = [made("clean", 0, 0.95), made("jpeg", 4, 0.8), made("jpeg", 5, 0.5), made("gaussian_blur", 3, 0.7)]
    assert worst_mild(results).family == "gaussian_blur"
    assert worst_mild(results[:1]) is None


def test_the_figure_has_the_weakest_family_first():
    results = [made("clean", 0, 0.95)]
    results += [made(family, severity, start - 0.05 * severity) for family, start in (("fog", 0.9), ("jpeg", 0.8))
                for severity in range(1, 6)]  # fmt: skip
    axes = robustness_figure(results).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["jpeg", "fog"]
    np.testing.assert_allclose(axes.images[0].get_array()[0], [0.75, 0.7, 0.65, 0.6, 0.55])
    assert len(axes.patches) == 4  # JPEG 90 to 40 is mild


def test_a_figure_of_the_mild_set_has_gaps():
    results = [made("clean", 0, 0.95), made("jpeg", 4, 0.8), made("resize", 2, 0.7)]
    values = robustness_figure(results).axes[0].images[0].get_array()
    assert np.isnan(np.ma.filled(values, np.nan)).sum() == 6
