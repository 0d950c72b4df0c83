import json
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from hf_deepfake.errors import InputError
from hf_deepfake.models.build import build_model
from hf_deepfake.models.pretrained import classifier_names

IMAGE = torch.linspace(-2, 2, 3 * 64 * 64).reshape(1, 3, 64, 64)

# From timm's names to EfficientNet-PyTorch's: in a block that expands, in one that does not, and around the blocks.
EXPANDING = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
EXPANDING |= {
    "se.conv_reduce": "_se_reduce",
    "se.conv_expand": "_se_expand",
    "conv_pwl": "_project_conv",
    "bn3": "_bn2",
}
PLAIN = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
PLAIN |= {"se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
AROUND = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}


def other_model(name: str, classes: int = 1000) -> Any:
    """A model with weights that no fresh model has, statistics of BatchNorm included."""
    torch.manual_seed(7)
    model = timm.create_model(name, num_classes=classes)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.get_buffer("running_mean"), -0.2, 0.2)
                nn.init.uniform_(module.get_buffer("running_var"), 0.5, 1.5)
    return model.eval()


def features(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval().forward_features(IMAGE)


def start_from(name: str, path, image_size: int = 64) -> Any:
    return build_model(name, image_size=image_size, pretrained=str(path))


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext"])
@pytest.mark.parametrize("kind", ["safetensors", "pth", "training checkpoint"])
def test_own_names(name, kind, tmp_path):
    source = other_model(name)
    file = tmp_path / ("model.safetensors" if kind == "safetensors" else "model.pth")
    if kind == "safetensors":
        save_file(source.state_dict(), file)
    elif kind == "pth":
        torch.save(source.state_dict(), file)
    else:
        wrapped = {f"module.{key}": value for key, value in source.state_dict().items()}
        torch.save({"epoch": 3, "state_dict": wrapped}, file)
    torch.testing.assert_close(features(start_from(name, file)), features(source), rtol=0, atol=0)


def test_classifier_is_kept_with_two_classes_and_new_otherwise(tmp_path):
    two, many = other_model("test_resnet", classes=2), other_model("test_resnet")
    torch.save(two.state_dict(), tmp_path / "two.pth")
    torch.save(many.state_dict(), tmp_path / "many.pth")
    assert torch.equal(start_from("test_resnet", tmp_path / "two.pth").fc.weight, two.fc.weight)
    assert start_from("test_resnet", tmp_path / "many.pth").fc.weight.shape == (2, many.fc.in_features)


def test_headless_file(tmp_path):
    source = other_model("test_resnet", classes=0)
    torch.save(source.state_dict(), tmp_path / "model.pth")
    torch.testing.assert_close(features(start_from("test_resnet", tmp_path / "model.pth")), features(source))


def test_position_embedding_is_resampled_to_the_new_size(tmp_path):
    source = other_model("test_vit")  # 160 px in patches of 16: 10 x 10 positions
    with torch.no_grad():
        source.pos_embed.fill_(0.25)
    torch.save(source.state_dict(), tmp_path / "model.pth")
    model = start_from("test_vit", tmp_path / "model.pth", image_size=64)
    assert source.pos_embed.shape[1] - model.pos_embed.shape[1] == 10 * 10 - 4 * 4
    torch.testing.assert_close(model.pos_embed, torch.full_like(model.pos_embed, 0.25))


@pytest.mark.parametrize(
    ("timm_name", "torchvision_model"),
    [("resnet18", torchvision.models.resnet18), ("efficientnet_b0", torchvision.models.efficientnet_b0)],
)
def test_torchvision_model_gives_the_same_logits(timm_name, torchvision_model, tmp_path):
    torch.manual_seed(0)
    source = torchvision_model(num_classes=2).eval()
    torch.save(source.state_dict(), tmp_path / "model.pth")
    model = start_from(timm_name, tmp_path / "model.pth").eval()
    with torch.no_grad():
        torch.testing.assert_close(model(IMAGE), source(IMAGE), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_torchvision_convnext_gives_the_same_logits(tmp_path):
    torch.manual_seed(0)
    source = torchvision.models.convnext_tiny(num_classes=2).eval()
    torch.save(source.state_dict(), tmp_path / "model.pth")
    model = start_from("convnext_tiny", tmp_path / "model.pth").eval()
    with torch.no_grad():
        torch.testing.assert_close(model(IMAGE), source(IMAGE), rtol=1e-4, atol=1e-5)


def lukemelas_weights(source: Any) -> dict[str, torch.Tensor]:
    """An EfficientNet's weights under EfficientNet-PyTorch's names."""
    places = [f"blocks.{i}.{j}" for i, stage in enumerate(source.blocks) for j in range(len(stage))]
    renamed = {}
    for name, value in source.state_dict().items():
        stem, _, kind = name.rpartition(".")
        if stem.startswith("blocks."):
            place = ".".join(stem.split(".")[:3])
            names = EXPANDING if f"{place}.conv_pwl.weight" in source.state_dict() else PLAIN
            renamed[f"_blocks.{places.index(place)}.{names[stem.removeprefix(place + '.')]}.{kind}"] = value
        else:
            renamed[f"{AROUND[stem]}.{kind}"] = value
    return renamed


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_lukemelas_names(suffix, tmp_path):
    source = other_model("tf_efficientnet_b0")
    weights = lukemelas_weights(source)
    assert {"_conv_stem.weight", "_blocks.0._depthwise_conv.weight", "_blocks.15._bn2.bias", "_fc.bias"} <= set(weights)
    file = tmp_path / f"model.{suffix}"
    save_file(weights, file) if suffix == "safetensors" else torch.save(weights, file)
    torch.testing.assert_close(features(start_from("tf_efficientnet_b0", file)), features(source), rtol=0, atol=0)


def test_order_is_not_trusted_where_the_file_is_sorted(tmp_path):
    source = {f"model.{index}": value for index, value in enumerate(other_model("test_resnet").state_dict().values())}
    save_file(source, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="does not fit test_resnet"):
        start_from("test_resnet", tmp_path / "model.safetensors")


def test_order_is_not_trusted_where_kinds_differ(tmp_path):
    weights = {f"model.{name}": value for name, value in other_model("test_resnet").state_dict().items()}
    torch.save(weights, tmp_path / "same.pth")
    start_from("test_resnet", tmp_path / "same.pth")
    swapped = {}
    for name, value in weights.items():  # as a model that registers bias before weight would
        other = name.replace(".weight", ".?").replace(".bias", ".weight").replace(".?", ".bias")
        swapped[other if ".bn1." in name else name] = value
    torch.save(swapped, tmp_path / "swapped.pth")
    with pytest.raises(InputError, match="does not fit test_resnet"):
        start_from("test_resnet", tmp_path / "swapped.pth")


def test_weights_of_another_model_say_how_many_are_missing(tmp_path):
    weights = other_model("test_resnet").state_dict()
    del weights["layer1.0.conv1.weight"], weights["layer2.0.bn1.bias"]
    torch.save(weights, tmp_path / "model.pth")
    with pytest.raises(InputError, match=r": 2 of the model's \d+ tensors .* such as layer1\.0\.conv1\.weight"):
        start_from("test_resnet", tmp_path / "model.pth")


def test_a_deeper_model_is_not_cut_to_fit(tmp_path):
    torch.save(timm.create_model("resnet34", num_classes=2).state_dict(), tmp_path / "model.pth")
    with pytest.raises(InputError, match=r"tensors are not in the model, such as layer1\.2\.conv1\.weight"):
        start_from("resnet18", tmp_path / "model.pth")


def test_folder_states_its_preprocessing(tmp_path):
    source = other_model("test_resnet")
    save_file(source.state_dict(), tmp_path / "model.safetensors")
    stated = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "interpolation": "bicubic"}
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "test_resnet", "pretrained_cfg": stated}))
    model = start_from("test_resnet", tmp_path)
    assert {key: model.pretrained_cfg[key] for key in stated} == stated
    torch.testing.assert_close(features(model), features(source), rtol=0, atol=0)


def test_folder_of_another_architecture_is_named(tmp_path):
    save_file(other_model("test_resnet").state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"architecture": "test_resnet"}')
    with pytest.raises(InputError, match="holds a test_resnet, not a test_vit; add --model test_resnet"):
        start_from("test_vit", tmp_path)


def test_unreadable_sources(tmp_path):
    with pytest.raises(InputError, match="no weights at"):
        start_from("test_resnet", tmp_path / "missing.pth")
    with pytest.raises(InputError, match=r"holds neither model\.safetensors nor pytorch_model\.bin"):
        start_from("test_resnet", tmp_path)
    for name in ("junk.pth", "junk.safetensors"):
        (tmp_path / name).write_bytes(b"no weights at all")
        with pytest.raises(InputError, match="cannot be read as weights"):
            start_from("test_resnet", tmp_path / name)
    torch.save({"epoch": 3}, tmp_path / "numbers.pth")
    with pytest.raises(InputError, match="is not a mapping from names to tensors"):
        start_from("test_resnet", tmp_path / "numbers.pth")
    for name, value in {"list.pth": [1, 2], "pickle.pth": other_model("test_resnet")}.items():
        torch.save(value, tmp_path / name)
        with pytest.raises(InputError, match="cannot be read as weights"):
            start_from("test_resnet", tmp_path / name)


def test_classifier_names():
    assert classifier_names(timm.create_model("test_convnext")) == ["head.fc.weight", "head.fc.bias"]
