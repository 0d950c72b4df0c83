import math

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from hf_deepfake.config import DataConfig
from hf_deepfake.data.batch import Normalise
from hf_deepfake.data.load import prepare
from hf_deepfake.errors import InputError
from hf_deepfake.explain.faithfulness import (
    deletion_insertion,
    measure_faithfulness,
    rank_correlation,
    rank_pixels,
    shuffled,
)
from hf_deepfake.explain.probe import Probe
from hf_deepfake.models.build import build_model, data_config

PLAIN = {"mean": [0, 0, 0], "std": [1, 1, 1]}
PAIRED = ("deletion", "insertion")
SINGLE = ("probability", "probability_blurred", "flip", "jpeg", "shuffled_classifier", "shuffled_model")
PLACED = ("pointing", "mask")


class WhitePixels(nn.Module):
    """P(fake) is .1, and up to .8 more for the share of white pixels among 50 of the upper left quadrant."""

    def forward(self, pixels):
        white = (pixels[:, 0, :10, :10] > 0.9).sum(dim=(1, 2)) / 50
        fake = 0.1 + 0.8 * white
        return torch.stack([1 - fake, fake], dim=1).log()


@pytest.fixture(scope="module")
def chequered():
    """An image of 20 px whose upper left quadrant is a chequerboard; blurred, none of it is white."""
    image = torch.zeros(1, 3, 20, 20, dtype=torch.uint8)
    image[:, :, :10, :10] = 255 * (torch.arange(10)[:, None] + torch.arange(10)).remainder(2)
    return Probe(image, Normalise(PLAIN, torch.device("cpu")), "gradcam", fine=False)


@pytest.fixture(scope="module")
def drawn(faces):
    data, _ = prepare(DataConfig(data=(str(faces),)))
    return data["train"]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model("test_resnet", image_size=64, pretrained="off")


def test_deletion_and_insertion_by_hand(chequered):
    heat = np.zeros((1, 20, 20), np.float32)
    heat[:, :10, :10] = 1
    rows = np.arange(400, dtype=np.float32).reshape(1, 20, 20)
    curves = deletion_insertion(WhitePixels(), chequered, torch.tensor([1]), rank_pixels(heat, rows))
    # A tenth of the image is 40 pixels: 20 of the 50 white ones, then 40 of them, then all.
    assert curves["deletion"][0] == pytest.approx([0.9, 0.58, 0.26, *[0.1] * 8], abs=1e-6)
    assert curves["insertion"][0] == pytest.approx([0.1, 0.42, 0.74, *[0.9] * 8], abs=1e-6)
    # For the other class the same, seen from the other side.
    real = deletion_insertion(WhitePixels(), chequered, torch.tensor([0]), rank_pixels(heat, rows))
    assert real["deletion"] == pytest.approx(1 - curves["deletion"], abs=1e-6)


def test_a_map_that_marks_the_wrong_place_is_found_out(chequered):
    heat = np.zeros((1, 20, 20), np.float32)
    heat[:, 10:] = 1
    rows = np.arange(400, dtype=np.float32).reshape(1, 20, 20)
    curves = deletion_insertion(WhitePixels(), chequered, torch.tensor([1]), rank_pixels(heat, rows))
    assert curves["deletion"][0, :6] == pytest.approx([0.9] * 6, abs=1e-6)
    assert curves["insertion"][0, :6] == pytest.approx([0.1] * 6, abs=1e-6)


def test_equal_pixels_go_in_the_order_of_the_ties():
    heat = np.array([[[0, 3], [0, 0]]], np.float32)
    ties = np.array([[[0.3, 0.9], [0.2, 0.1]]], np.float32)
    assert rank_pixels(heat, ties).tolist() == [[[0.75, 0], [0.5, 0.25]]]


def test_rank_correlation_is_spearmans():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.rand(2, 5, 4, 4, generator=generator)
    second[:, :2] = 0  # ties, as a map has them
    expected = [spearmanr(one.flatten(), other.flatten()).statistic for one, other in zip(first, second, strict=True)]
    assert rank_correlation(first, second) == pytest.approx(expected)


def test_rank_correlation_at_its_ends():
    rising = torch.arange(6.0).reshape(1, 2, 3)
    symmetric = torch.tensor([[[1.0, 5, 1], [0, 2, 0]]])
    assert rank_correlation(rising, rising**3) == pytest.approx(1)
    assert rank_correlation(rising, -rising) == pytest.approx(-1)
    assert rank_correlation(symmetric, symmetric.flip(2)) == pytest.approx(1)
    assert np.isnan(rank_correlation(rising, torch.ones(1, 2, 3)))
    assert np.isnan(rank_correlation(rising, rising * math.nan))


def test_shuffling_moves_values_within_the_named_tensors_only(model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    other = shuffled(model, ["fc.weight"], seed=1)
    for name, tensor in other.state_dict().items():
        assert torch.equal(tensor, before[name]) == (name != "fc.weight")
        assert torch.equal(tensor.flatten().sort().values, before[name].flatten().sort().values)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    again = shuffled(model, ["fc.weight"], seed=1).state_dict()["fc.weight"]
    assert torch.equal(again, other.state_dict()["fc.weight"])


@pytest.mark.slow
def test_all_is_measured_on_drawn_images(model, drawn):
    config = data_config(model, 64)
    result = measure_faithfulness(model, drawn, config, limit=12, name="drawn")
    assert (result.method, result.data, result.n) == ("gradcam", "drawn", 12)
    places = {f"{name}{kind}" for name in PLACED for kind in ("", "_area", "_random", "_difference", "_specific")}
    paired = {f"{name}{kind}" for name in PAIRED for kind in ("", "_random", "_difference")}
    metrics = result.metrics
    assert set(metrics) == places | paired | set(SINGLE)
    assert {name: metrics[name].n for name in places} == dict.fromkeys(places, 6)
    assert {metrics[name].n for name in paired} == {12}
    for name in (*PAIRED, *PLACED):
        assert metrics[f"{name}_difference"].value == pytest.approx(
            metrics[name].value - metrics[f"{name}_random"].value
        )
    for name in paired | places:
        assert metrics[name].low <= metrics[name].value <= metrics[name].high
    assert measure_faithfulness(model, drawn, config, limit=12, name="drawn") == result


def test_a_finer_map_is_measured_as_such(model, drawn):
    result = measure_faithfulness(model, drawn, data_config(model, 64), fine=True, limit=2)
    assert result.method == "gradcam, fine"
    assert result.n == 2


def test_too_few_images_are_refused(model, drawn):
    with pytest.raises(InputError, match="limit is 1; at least 2"):
        measure_faithfulness(model, drawn, data_config(model, 64), limit=1)
