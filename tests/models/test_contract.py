"""One folder, four readers, one score: transformers twice, timm, and ours, held against the sigmoid by hand."""

import math
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image, ImageDraw
from timm.data import create_transform, resolve_data_config
from torch import nn
from transformers import AutoImageProcessor, AutoModelForImageClassification, pipeline

from hf_deepfake import config
from hf_deepfake.detect.detector import Detector
from hf_deepfake.models.build import build_model, data_config
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint
from hf_deepfake.models.fold import final_layer

TEMPERATURE, OPERATING_POINT = 1.7, 0.3

FAST = [
    ("test_resnet", 48),
    ("test_vit", 48),
    ("test_convnext", 64),
    ("test_efficientnet", 40),
    ("compact_cnn", 48),
    ("simple_cnn", 64),
]
FAMILIES = [
    ("resnet18", 64),
    ("efficientnet_b0", 64),
    ("convnext_atto", 64),
    ("legacy_xception", 96),
    ("swin_tiny_patch4_window7_224", 112),
    ("vit_tiny_patch16_224", 96),
    ("cnn5", 64),
    ("resnet50_dense512", 64),
]


def drawn_images() -> list[Image.Image]:
    """Images of several shapes and contents."""
    rng = np.random.default_rng(0)
    wide = Image.new("RGB", (150, 80), "skyblue")
    ImageDraw.Draw(wide).ellipse([30, 10, 110, 70], fill="peachpuff", outline="black")
    tall = Image.fromarray(rng.integers(0, 256, (133, 47, 3), dtype=np.uint8))
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    square = Image.fromarray(
        np.stack([np.tile(ramp, (64, 1)), np.tile(ramp[:, None], (1, 64)), 255 - np.tile(ramp, (64, 1))], 2)
    )
    dark = Image.new("RGB", (97, 61), (12, 8, 30))
    light = Image.fromarray(rng.integers(180, 256, (40, 220, 3), dtype=np.uint8))
    return [wide, tall, square, dark, light]


def spread_model(name: str, image_size: int, images: torch.Tensor) -> Any:
    """A model of random weights whose margins spread by 2 and lie on both sides of the operating point."""
    torch.manual_seed(3)
    model: Any = build_model(name, image_size=image_size, pretrained="off").to(memory_format=torch.channels_last)
    weight, bias = final_layer(model)
    with torch.no_grad():
        nn.init.normal_(weight)
        bias.zero_()
        margin = torch.diff(model(images)).double()
        weight.mul_(2 / margin.std())
        between = margin.flatten().sort().values[1:3].mean() * 2 / margin.std()
        bias[1] = TEMPERATURE * math.log(OPERATING_POINT / (1 - OPERATING_POINT)) - between
    return model


def verdicts_by_hand(model: nn.Module, images: torch.Tensor) -> list[tuple[str, float]]:
    """Label and score from the model's own logits, by the formula of the contract."""
    with torch.no_grad():
        margins = torch.diff(model(images).double())[:, 0].tolist()
    shift = math.log(OPERATING_POINT / (1 - OPERATING_POINT))
    fake = [1 / (1 + math.exp(-(margin / TEMPERATURE - shift))) for margin in margins]
    return [("fake", p) if p > 0.5 else ("real", 1 - p) for p in fake]


def check_contract(name: str, image_size: int, folder, save_fp16: bool = False) -> None:
    images = drawn_images()
    plain = build_model(name, image_size=image_size, pretrained="off")
    pixels = torch.stack([create_transform(**data_config(plain, image_size))(image) for image in images])
    model = spread_model(name, image_size, pixels)
    expected = verdicts_by_hand(model, pixels)
    assert {label for label, _ in expected} == set(config.LABELS)

    export_checkpoint(
        model,
        folder,
        image_size=image_size,
        temperature=TEMPERATURE,
        operating_point=OPERATING_POINT,
        save_fp16=save_fp16,
    )
    assert verdicts_by_hand(model, pixels) == expected, "the export changed the model that it was given"

    def agrees(verdicts: list[tuple[str, float]], tolerance: float = 1e-5) -> None:
        assert [label for label, _ in verdicts] == [label for label, _ in expected]
        np.testing.assert_allclose(
            [score for _, score in verdicts], [score for _, score in expected], rtol=0, atol=tolerance
        )

    def top(logits: torch.Tensor) -> list[tuple[str, float]]:
        scores, indices = logits.softmax(dim=1).max(dim=1)
        return [(config.LABELS[index], float(score)) for index, score in zip(indices, scores, strict=True)]

    if save_fp16:
        with torch.no_grad():
            rounded = top(load_checkpoint(folder).model(pixels))
        agrees(rounded, 0.02)
        expected = rounded

    classify = pipeline("image-classification", model=str(folder), device="cpu")
    agrees([(answer[0]["label"], answer[0]["score"]) for answer in classify(images)])

    processor = AutoImageProcessor.from_pretrained(folder)
    wrapped = AutoModelForImageClassification.from_pretrained(folder).eval()
    assert wrapped.config.id2label == dict(enumerate(config.LABELS))
    with torch.no_grad():
        agrees(top(wrapped(**processor(images, return_tensors="pt")).logits))

    reread = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    transform = create_transform(**resolve_data_config(model=reread), is_training=False)
    with torch.no_grad():
        agrees(top(reread(torch.stack([transform(image) for image in images]))))

    judge = Detector.from_pretrained(folder, device="cpu")
    agrees([(verdict.label, verdict.score) for verdict in judge(images)])


@pytest.mark.parametrize(("name", "image_size"), FAST)
def test_readers_agree_on_tiny_models(name, image_size, tmp_path):
    check_contract(name, image_size, tmp_path / "checkpoint")


@pytest.mark.parametrize(("name", "image_size"), FAST)
def test_readers_agree_on_weights_in_half_the_bytes(name, image_size, tmp_path):
    check_contract(name, image_size, tmp_path / "checkpoint", save_fp16=True)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "image_size"), FAMILIES)
def test_readers_agree_on_six_families(name, image_size, tmp_path):
    check_contract(name, image_size, tmp_path / "checkpoint")
