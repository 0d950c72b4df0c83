import math

import pytest
import timm
import torch
from torch import nn

from hf_deepfake.errors import InputError
from hf_deepfake.models.fold import fold, unfold


class Toy(nn.Module):
    """A model that is its classifier alone."""

    def __init__(self, classifier: nn.Module):
        super().__init__()
        self.classifier = classifier

    def get_classifier(self) -> nn.Module:
        return self.classifier

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(x)


def toy() -> Toy:
    model = Toy(nn.Linear(1, 2))
    model.load_state_dict(
        {"classifier.weight": torch.tensor([[-1.0], [3.0]]), "classifier.bias": torch.tensor([0.5, -0.5])}
    )
    return model


def test_folded_values_by_hand():
    model = toy()
    fold(model, temperature=2.0, operating_point=0.8)  # logit(.8) = ln 4
    torch.testing.assert_close(model.classifier.weight.data, torch.tensor([[-0.5], [1.5]]))
    torch.testing.assert_close(model.classifier.bias.data, torch.tensor([0.25, -0.25 - math.log(4)]))


def test_the_operating_point_becomes_one_half():
    model = toy()
    # The margin is 4 x - 1; at T = 2 the score is .8 where (4 x - 1) / 2 = ln 4.
    x = torch.tensor([[(2 * math.log(4) + 1) / 4]])
    fold(model, temperature=2.0, operating_point=0.8)
    torch.testing.assert_close(model(x).softmax(dim=1), torch.tensor([[0.5, 0.5]]))


@pytest.mark.parametrize("temperature", [0.2, 1.0, 1.7, 4.0])
@pytest.mark.parametrize("operating_point", [0.02, 0.3, 0.5, 0.97])
def test_unfold_is_the_inverse(temperature, operating_point):
    torch.manual_seed(0)
    model = Toy(nn.Linear(64, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fold(model, temperature, operating_point)
    unfold(model, temperature, operating_point)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=1e-6, atol=1e-6)


def test_no_temperature_and_half_change_nothing():
    model, before = toy(), toy()
    fold(model, 1.0, 0.5)
    for folded, original in zip(model.parameters(), before.parameters(), strict=True):
        assert torch.equal(folded, original)


def test_only_the_last_layer_of_a_deep_head_changes():
    model = Toy(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2))).eval()
    x = torch.randn(3, 4)
    before = model(x)
    fold(model, 2.0, 0.5)
    torch.testing.assert_close(model(x), before / 2)


def test_convolutional_classifier():
    model = Toy(nn.Conv2d(4, 2, kernel_size=1))
    x = torch.randn(3, 4, 1, 1)
    before = model(x)
    fold(model, 4.0, 0.5)
    torch.testing.assert_close(model(x), before / 4)


@pytest.mark.parametrize(
    "model",
    [
        Toy(nn.Linear(4, 2, bias=False)),
        Toy(nn.Linear(4, 1)),
        Toy(nn.Identity()),
        timm.create_model("deit_tiny_distilled_patch16_224", num_classes=2, depth=1),
    ],
    ids=["no bias", "one output", "none", "two heads"],
)
def test_models_that_cannot_be_folded(model):
    with pytest.raises(InputError, match="is not one linear layer with bias and two outputs"):
        fold(model, 2.0, 0.5)


@pytest.mark.parametrize(
    ("temperature", "operating_point"), [(0.0, 0.5), (-1.0, 0.5), (math.inf, 0.5), (math.nan, 0.5)]
)
def test_temperature_out_of_range(temperature, operating_point):
    with pytest.raises(InputError, match="temperature is"):
        fold(toy(), temperature, operating_point)


@pytest.mark.parametrize("operating_point", [0.0, 1.0, math.nan])
def test_operating_point_out_of_range(operating_point):
    with pytest.raises(InputError, match="operating point is"):
        fold(toy(), 1.0, operating_point)
