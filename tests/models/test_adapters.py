"""Adapters on small timm models: the same logits before training, plain weights after."""

import copy

import pytest
import timm
import torch
from torch import nn

from hf_deepfake.errors import InputError
from hf_deepfake.models.adapters import adapt, load_adapter, merged, save_adapter, train_classifier_alone
from hf_deepfake.models.build import build_model

CLIP = "vit_base_patch16_clip_quickgelu_224"
SMALL = {"embed_dim": 24, "depth": 2, "num_heads": 2, "img_size": 32, "num_classes": 2}
KINDS = {
    "plain": ("vit_tiny_patch16_224", SMALL),
    "clip": (CLIP, SMALL),
    "dinov2": ("vit_small_patch14_dinov2", SMALL | {"img_size": 28}),
}


def model(kind="plain", seed=0):
    name, options = KINDS[kind]
    torch.manual_seed(seed)
    return timm.create_model(name, **options).eval()


def train_a_little(adapted, size, steps=2):
    optimizer = torch.optim.SGD([one for one in adapted.parameters() if one.requires_grad], lr=0.5)
    torch.manual_seed(1)
    for _ in range(steps):
        nn.functional.cross_entropy(adapted(torch.randn(4, 3, size, size)), torch.tensor([0, 1, 0, 1])).backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("adapter", ["layernorm", "lora", "osf"])
@pytest.mark.parametrize("kind", KINDS)
def test_merged_weights_compute_what_the_adapted_model_does(kind, adapter):
    plain = model(kind)
    size = KINDS[kind][1]["img_size"]
    images = torch.randn(2, 3, size, size)
    names, before = set(plain.state_dict()), plain(images)
    adapted = adapt(plain, adapter)
    assert torch.allclose(adapted.eval()(images), before, atol=1e-5)
    train_a_little(adapted.train(), size)
    after = adapted.eval()(images)
    assert not torch.allclose(after, before, atol=1e-3)
    result = merged(adapted)
    assert set(result.state_dict()) == names
    assert torch.allclose(result.eval()(images), after, atol=1e-5)
    assert torch.equal(adapted(images), after)  # it can still train on


def test_layernorm_trains_the_affine_parameters_and_the_classifier():
    # Two blocks of two norms and a last one, 24 channels each, weight and bias; the classifier has 24 * 2 + 2.
    adapted = adapt(model(), "layernorm")
    assert sum(one.numel() for one in adapted.parameters() if one.requires_grad) == 5 * 2 * 24 + 50


def test_lora_trains_rank_times_both_sides_of_every_linear_layer():
    adapted = adapt(model(), "lora", rank=3)
    layers = [(24, 72), (24, 24), (24, 96), (96, 24)]  # qkv, projection, two of the MLP
    expected = 2 * sum(3 * (into + out) for into, out in layers) + 50
    assert sum(one.numel() for one in adapted.parameters() if one.requires_grad) == expected


def test_osf_trains_one_direction_of_every_linear_layer():
    adapted = adapt(model(), "osf")
    layers = [(24, 72), (24, 24), (24, 96), (96, 24)]
    expected = 2 * sum(into + out + 1 for into, out in layers) + 50
    assert sum(one.numel() for one in adapted.parameters() if one.requires_grad) == expected


def test_batchnorm_of_a_convolutional_model():
    plain = build_model("test_resnet", image_size=64, pretrained="off")
    norms = sum(2 * module.num_features for module in plain.modules() if isinstance(module, nn.BatchNorm2d))
    head = sum(one.numel() for one in plain.get_classifier().parameters())
    adapted = adapt(plain, "batchnorm")
    assert sum(one.numel() for one in adapted.parameters() if one.requires_grad) == norms + head
    train_a_little(adapted.train(), 64)
    images = torch.randn(2, 3, 64, 64)
    assert torch.allclose(merged(adapted).eval()(images), adapted.eval()(images), atol=1e-5)


def test_the_classifier_alone():
    adapted = adapt(model(), "lora")
    train_classifier_alone(adapted, True)
    assert [name.split(".")[2] for name, one in adapted.named_parameters() if one.requires_grad] == ["head"] * 2
    train_classifier_alone(adapted, False)
    assert any("lora_A" in name for name, one in adapted.named_parameters() if one.requires_grad)


@pytest.mark.parametrize("adapter", ["layernorm", "lora", "osf"])
def test_a_saved_adapter_makes_the_same_model_of_its_base(adapter, tmp_path):
    base = model()
    adapted = adapt(copy.deepcopy(base), adapter, base="vit_tiny_patch16_224")
    train_a_little(adapted.train(), 32)
    save_adapter(adapted, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    assert '"base_model_name_or_path": "vit_tiny_patch16_224"' in (tmp_path / "adapter_config.json").read_text()
    images = torch.randn(2, 3, 32, 32)
    again = load_adapter(base, tmp_path)
    assert torch.allclose(again.eval()(images), adapted.eval()(images), atol=1e-5)


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(InputError, match="use --adapter batchnorm"):
        adapt(build_model("test_resnet", image_size=64, pretrained="off"), "layernorm")
    with pytest.raises(InputError, match="no layer that the adapter batchnorm could train"):
        adapt(model(), "batchnorm")
    with pytest.raises(InputError, match=r"holds no adapter_config\.json"):
        load_adapter(model(), tmp_path)
    save_adapter(adapt(model(), "layernorm"), tmp_path)
    other = timm.create_model("vit_tiny_patch16_224", **SMALL | {"embed_dim": 48})
    with pytest.raises(InputError, match="does not fit VisionTransformer"):
        load_adapter(other, tmp_path)


def test_a_model_without_adapter_is_left_alone(tmp_path):
    plain = model()
    assert merged(plain) is plain
    save_adapter(plain, tmp_path / "none")
    assert not (tmp_path / "none").exists()
