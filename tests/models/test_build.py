from typing import Any

import pytest
import timm
import torch
from torch import nn

from hf_deepfake.errors import InputError
from hf_deepfake.models.build import blocks, build_model, data_config, freeze_statistics, unfreeze


def build(name: str, image_size: int = 64) -> Any:
    return build_model(name, image_size=image_size, pretrained="off")


@pytest.mark.parametrize(
    ("name", "image_size"), [("test_resnet", 64), ("test_vit", 48), ("test_convnext", 64), ("test_efficientnet", 40)]
)
def test_two_logits_at_the_size_asked_for(name, image_size):
    model = build(name, image_size).eval()
    assert model(torch.zeros(1, 3, image_size, image_size)).shape == (1, 2)


def test_drop_rate_reaches_the_classifier():
    model: Any = build_model("test_vit", image_size=32, drop_rate=0.25, pretrained="off")
    assert model.head_drop.p == 0.25


def test_unknown_name_offers_near_ones():
    with pytest.raises(InputError, match=r"unknown model 'resnt50'; nearest names: resnet50,"):
        build("resnt50")


def test_unknown_tag_lists_those_there_are():
    with pytest.raises(InputError, match=r"unknown weights 'resnet18\.mine'; timm has .*resnet18\.a1_in1k"):
        build("resnet18.mine")


def test_without_network_the_error_names_both_ways_out():
    with pytest.raises(InputError, match=r"cannot be fetched.*--pretrained FILE.*--pretrained off"):
        build_model("test_resnet", image_size=64)


def test_model_without_published_weights():
    with pytest.raises(InputError, match=r"timm has no pretrained weights of darknet17; .*--pretrained FILE"):
        build_model("darknet17", image_size=64)


def test_size_that_a_model_cannot_take():
    with pytest.raises(InputError, match=r"test_maxvit does not work with image_size 40 .*; try image_size 224"):
        build("test_maxvit", 40)


def test_model_that_no_checkpoint_could_hold():
    with pytest.raises(InputError, match="classifier of LevitDistilled is not one linear layer"):
        build("levit_128s", 224)


def test_data_config_squashes_and_follows_the_start_weights():
    assert data_config(build("tf_efficientnet_lite0"), 96) == {
        "input_size": (3, 96, 96),
        "interpolation": "bicubic",
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "crop_pct": 1.0,
        "crop_mode": "squash",
    }
    assert data_config(build("resnet18"), 96)["mean"] == (0.485, 0.456, 0.406)


@pytest.mark.parametrize(
    ("name", "count", "head", "neck"),
    [
        ("resnet18", 10, ["fc.weight", "fc.bias"], "layer4.1.bn2.bias"),  # stem, 8 residual blocks, classifier
        ("test_vit", 8, ["head.weight", "head.bias"], "norm.bias"),  # embedding, 6 blocks, classifier
        ("test_convnext", 11, ["head.fc.weight", "head.fc.bias"], "head.norm.bias"),
        ("test_efficientnet", 7, ["classifier.weight", "classifier.bias"], "bn2.bias"),
    ],
)
def test_blocks_run_from_input_to_classifier(name, count, head, neck):
    model = build(name)
    groups = blocks(model)
    assert len(groups) == count
    assert groups[-1] == head
    assert neck in groups[-2]
    assert sorted(name for group in groups for name in group) == sorted(name for name, _ in model.named_parameters())


def test_unfreeze_takes_blocks_from_the_end():
    model = build("resnet18")

    def trained() -> set[str]:
        return {name.rpartition(".")[0] for name, value in model.named_parameters() if value.requires_grad}

    unfreeze(model, 0)
    assert trained() == {"fc"}
    unfreeze(model, 1)
    assert trained() == {"fc", *(f"layer4.1.{part}" for part in ("conv1", "bn1", "conv2", "bn2"))}
    unfreeze(model, None)
    assert all(value.requires_grad for value in model.parameters())
    with pytest.raises(InputError, match="last_blocks is 10, but ResNet has 9 blocks"):
        unfreeze(model, 10)


def test_frozen_batchnorm_keeps_its_statistics_and_the_rest_moves():
    model = build("resnet18")
    unfreeze(model, 1)
    model.train()
    freeze_statistics(model, everywhere=False)
    frozen, moving = model.bn1.running_mean.clone(), model.layer4[1].bn2.running_mean.clone()
    model(torch.randn(2, 3, 64, 64))
    assert torch.equal(model.bn1.running_mean, frozen)
    assert not torch.equal(model.layer4[1].bn2.running_mean, moving)

    freeze_statistics(model, everywhere=True)
    assert not model.layer4[1].bn2.training
    assert model.training


def test_blocks_of_a_model_that_timm_does_not_divide():
    model = timm.create_model("test_resnet")
    plain = nn.Sequential(model)
    with pytest.raises(InputError, match="does not divide Sequential into blocks"):
        blocks(plain)
