import numpy as np
import openvino
import pytest
import timm
import torch

from hf_deepfake.runtimes import quantisation as quantise
from hf_deepfake.runtimes.quantisation import LARGEST_MEAN, quantise_openvino


@pytest.fixture(scope="module")
def exported():
    """A model with depthwise convolutions whose scores spread over (0, 1), and images."""
    torch.manual_seed(0)
    plain = timm.create_model("test_efficientnet", num_classes=2).eval()
    pixels = torch.randn(40, 3, 32, 32)
    with torch.no_grad():
        logits = plain(pixels)
        plain.classifier.weight.mul_(1.5 / (logits[:, 1] - logits[:, 0]).std())
        plain.classifier.bias.copy_(-1.5 / (logits[:, 1] - logits[:, 0]).std() * logits.mean(0))
    model = openvino.convert_model(plain, example_input=pixels[:2], input=[openvino.PartialShape([-1, 3, 32, 32])])
    return model, [one[None].numpy() for one in pixels]


def difference(one, other, images):
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    scores = []
    for model in (one, other):
        compiled = core.compile_model(model, "CPU", options)
        logits = np.concatenate([compiled([pixels])[0] for pixels in images])
        scores.append(1 / (1 + np.exp(logits[:, 0] - logits[:, 1])))
    return np.abs(scores[0] - scores[1]).mean()


def int8_layers(model):
    return sum(node.get_type_name() == "FakeQuantize" for node in model.get_ops())


@pytest.mark.slow
def test_layers_that_move_scores_stay_in_float(exported, monkeypatch):
    model, images = exported
    controlled = quantise_openvino(model.clone(), images)
    monkeypatch.setattr(quantise, "LARGEST_MEAN", 1.0)
    free = quantise_openvino(model.clone(), images)
    assert difference(free, model, images) > LARGEST_MEAN
    assert difference(controlled, model, images) <= LARGEST_MEAN + 1e-6
    assert 0 < int8_layers(controlled) < int8_layers(free)
