"""Logits of a split by a model whose output is known for every image."""

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, Image, Value
from PIL import Image as PILImage
from torch import nn

from hf_deepfake.errors import ImageError, Interrupted
from hf_deepfake.evaluation import inference
from hf_deepfake.evaluation.inference import predict_logits

PLAIN = {"input_size": (3, 32, 32), "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "interpolation": "bilinear"}
PLAIN |= {"crop_pct": 1.0, "crop_mode": "squash"}


class Brightness(nn.Module):
    """Logits (mean of red, mean of green), and a note of what it was given."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.batches, self.kinds = [], []

    def forward(self, pixels):
        assert not self.training
        self.batches.append(len(pixels))
        product = self.scale * pixels.flatten(2).mean(2)[:, :2]
        self.kinds.append((pixels @ pixels.transpose(2, 3)).dtype)
        return product


@pytest.fixture
def images(tmp_path):
    """Five flat images; red grows and green falls by 51, a fifth of white."""
    files = []
    for number in range(5):
        files.append(str(tmp_path / f"{number}.png"))
        PILImage.new("RGB", (48, 40), (51 * number, 255 - 51 * number, 0)).save(files[-1])
    rows = {"image": files, "label": [0, 1, 0, 1, 0]}
    return Dataset.from_dict(rows, features=Features(image=Image(), label=Value("int8")))


@pytest.mark.parametrize("workers", [0, 2])
def test_logits_by_hand_in_the_split_s_order(images, workers, monkeypatch):
    monkeypatch.setattr(inference, "BATCH_SIZE", 2)
    model = Brightness().train()
    logits = predict_logits(model, images, PLAIN, workers)
    assert logits.dtype == np.float64
    np.testing.assert_allclose(logits, [[number / 5, 1 - number / 5] for number in range(5)], atol=1e-6)
    assert model.batches == [2, 2, 1]
    assert not model.training


def test_the_preprocessing_is_the_model_s(images):
    given = PLAIN | {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
    logits = predict_logits(Brightness(), images, given, 0)
    np.testing.assert_allclose(logits[0], [(0 - 0.5) / 0.25, (1 - 0.5) / 0.25], atol=1e-5)


def test_a_change_comes_first_and_is_told_the_image_s_place(images):
    places = []

    def blacken(image, place):
        places.append(place)
        return PILImage.new("RGB", image.size) if place == 3 else image

    logits = predict_logits(Brightness(), images, PLAIN, 0, change=blacken)
    assert places == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(logits[2:], [[0.4, 0.6], [0, 0], [0.8, 0.2]], atol=1e-6)


@pytest.mark.parametrize(("precision", "kind"), [("no", torch.float32), ("bf16", torch.bfloat16)])
def test_the_model_alone_computes_in_reduced_precision(images, precision, kind):
    model = Brightness()
    logits = predict_logits(model, images, PLAIN, 0, precision)
    assert set(model.kinds) == {kind}
    assert logits.dtype == np.float64


def test_it_stops_after_the_batch_in_hand(images, monkeypatch):
    monkeypatch.setattr(inference, "BATCH_SIZE", 2)
    model = Brightness()
    with pytest.raises(Interrupted):
        predict_logits(model, images, PLAIN, 0, asked_to_stop=lambda: len(model.batches) >= 2)
    assert model.batches == [2, 2]


def test_an_image_that_does_not_open_is_an_error(images, tmp_path):
    (tmp_path / "2.png").write_text("no image")
    with pytest.raises(ImageError, match="is not an image"):
        predict_logits(Brightness(), images, PLAIN, 0)
