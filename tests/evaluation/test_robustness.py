import numpy as np
import pytest
from datasets import Dataset

from hf_deepfake.data.load import load_images
from hf_deepfake.evaluation import scorers
from hf_deepfake.evaluation.inference import predict_logits
from hf_deepfake.evaluation.robustness import measure_robustness
from hf_deepfake.images import degrade
from hf_deepfake.images.degrade import FAMILIES
from hf_deepfake.metrics.conditions import ConditionResult
from hf_deepfake.metrics.result import Metric
from hf_deepfake.models.checkpoint import load_checkpoint
from hf_deepfake.report.figures import robustness_figure


@pytest.mark.slow
def test_progress_says_which_condition(checkpoint, faces, cache, monkeypatch):
    monkeypatch.setattr(degrade, "FAMILIES", {"motion_blur": FAMILIES["motion_blur"]})
    titles = []

    class Noted(scorers.CheckpointScorer):
        def score(self, images, *, title="", **options):
            titles.append(title)
            return super().score(images, title=title, **options)

    measure_robustness(Noted("model", load_checkpoint(checkpoint)), load_images(faces)["test"], None)
    assert titles == ["clean, 1 of 6 conditions", *(f"motion blur, {n} of 6 conditions" for n in range(2, 7))]


@pytest.mark.slow
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
