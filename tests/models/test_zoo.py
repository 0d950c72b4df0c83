import subprocess
import sys

import pytest
import timm
import torch

from hf_deepfake.explain.cam import explain
from hf_deepfake.models import zoo
from hf_deepfake.models.build import blocks, build_model, unfreeze
from hf_deepfake.models.checkpoint import export_checkpoint
from hf_deepfake.models.fold import final_layer

NETS = {"simple_cnn": (128, 8_408_386), "cnn5": (256, 4_731_074), "compact_cnn": (220, 421_570)}
NETS |= {"resnet50_dense512": (256, 24_559_170)}


@pytest.mark.parametrize("name", NETS)
def test_shapes_and_parameters_are_those_documented(name):
    size, parameters = NETS[name]
    model = build_model(name, image_size=size, pretrained="off")
    assert sum(one.numel() for one in model.parameters()) == parameters
    assert f"{parameters:,} parameters" in getattr(zoo, name).__doc__
    assert model(torch.zeros(2, 3, size, size)).shape == (2, 2)
    assert model.pretrained_cfg["architecture"] == name


def test_parameters_by_hand():
    convolutions = [(3 * 9 + 1) * 32, (32 * 9 + 1) * 64]
    assert sum(convolutions) + (64 * 32 * 32 + 1) * 128 + (128 + 1) * 2 == NETS["simple_cnn"][1]
    convolutions += [(64 * 9 + 1) * 128, (128 * 9 + 1) * 256]
    assert sum(convolutions) + (256 + 1) * 128 + (128 + 1) * 2 == NETS["compact_cnn"][1]
    resnet = timm.create_model("resnet50", num_classes=0)
    head = (2048 + 1) * 512 + 2 * 512 + (512 + 1) * 2
    assert sum(one.numel() for one in resnet.parameters()) + head == NETS["resnet50_dense512"][1]


def test_forward_by_hand():
    model = zoo.SmallCNN((1,), 1, flatten=False, in_chans=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.features[0][0].weight[0, 0, 1, 1] = 2.0  # twice the pixel itself
        model.classifier[0].weight[0, 0] = 1.0
        model.classifier[3].weight[1, 0] = 3.0
        model.classifier[3].bias[0] = 0.5
    pixels = torch.tensor([[1.0, -5.0, 0.0, 0.0], [2.0, 0.0, 0.0, 4.0], [0, 0, 0, 0], [0, 0, 0, 0]])[None, None]
    # Largest of each 2 x 2, negative ones cut: 4, 8, 0, 0; their mean 3.
    torch.testing.assert_close(model.eval()(pixels), torch.tensor([[0.5, 9.0]]))


@pytest.mark.parametrize("name", ["simple_cnn", "resnet50_dense512"])
def test_the_whole_head_is_the_classifier(name):
    model = build_model(name, image_size=64, pretrained="off")
    unfreeze(model, 0)
    trained = {key for key, one in model.named_parameters() if one.requires_grad}
    assert trained == set(blocks(model)[-1])
    assert {key.split(".")[0] for key in trained} == {"fc" if name.startswith("resnet") else "classifier"}
    assert final_layer(model)[0].shape == (2, 128 if name == "simple_cnn" else 512)


def test_blocks_of_a_small_model():
    assert [len(block) for block in blocks(build_model("compact_cnn", image_size=64, pretrained="off"))] == [
        2,
        2,
        2,
        2,
        4,
    ]


def test_start_weights_of_a_plain_resnet50(tmp_path):
    start = timm.create_model("resnet50", num_classes=1000)
    torch.save(start.state_dict(), tmp_path / "resnet50.pth")
    model = build_model("resnet50_dense512", image_size=64, pretrained=str(tmp_path / "resnet50.pth"))
    torch.testing.assert_close(model.layer4[2].conv3.weight, start.layer4[2].conv3.weight)
    assert model.fc[0].weight.shape == (512, 2048)


def test_maps_of_a_head_with_a_hidden_layer():
    model = build_model("compact_cnn", image_size=64, pretrained="off")
    maps = explain(model, torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert maps.values.shape == (2, 4, 4)


def test_other_pooling_is_refused():
    with pytest.raises(ValueError, match="these models have avg"):
        zoo.SmallCNN((4,), 4, flatten=False, global_pool="max")


@pytest.mark.slow
def test_pipeline_loads_it_after_the_import(tmp_path):
    folder = export_checkpoint(build_model("cnn5", image_size=64, pretrained="off"), tmp_path / "model", image_size=64)
    code = (
        "import hf_deepfake.models.zoo\nfrom PIL import Image\nfrom transformers import pipeline\n"
        f"print(pipeline('image-classification', model={str(folder)!r})(Image.new('RGB', (64, 64)))[0]['label'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in {"real", "fake"}
