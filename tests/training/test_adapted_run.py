"""Whole runs that train an adapter of a small vision transformer."""

import json

import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import state, stop_at

from hf_deepfake.config import TrainConfig, build
from hf_deepfake.errors import InputError
from hf_deepfake.models.adapters import load_adapter
from hf_deepfake.models.build import build_model
from hf_deepfake.training.run import train
from hf_deepfake.training.signals import Stopped

TINY = {"model": "test_vit", "pretrained": "off", "image_size": 160, "batch_size": 8, "workers": 0, "lr": 1e-3}
TINY |= {"mixed_precision": "no", "explained": 0, "audit": "off", "epochs": 1, "steps_per_epoch": 3, "seed": 3}


def config(faces, folder, **changes):
    return build(TrainConfig, TINY | {"data": str(faces), "output_dir": str(folder)} | changes)


@pytest.mark.slow
@pytest.mark.parametrize("adapter", ["layernorm", "lora", "osf"])
def test_a_run_keeps_its_adapter_and_exports_merged_weights(adapter, faces, tmp_path):
    result = train(config(faces, tmp_path / "run", adapter=adapter, ema=0.5, head_epochs=1))
    best = load_file(tmp_path / "run" / "best.safetensors")
    torch.manual_seed(3)
    base = build_model("test_vit", image_size=160, pretrained="off")
    assert set(best) == set(base.state_dict())
    exported = load_file(result.checkpoint / "model.safetensors")
    assert set(exported) == set(best)
    # The base on disk is not needed to read the checkpoint; the adapter makes the same weights of it.
    from accelerate.utils import set_seed

    set_seed(3)
    again = load_adapter(build_model("test_vit", image_size=160, pretrained="off"), tmp_path / "run" / "adapter")
    for name, tensor in again.state_dict().items():
        assert torch.allclose(tensor, best[name], atol=1e-5), name
    stages = json.loads((tmp_path / "run" / "run.json").read_text())["epochs"]
    assert [entry["stage"] for entry in stages] == ["classifier", "main"]


def test_an_adapter_excludes_what_freezes_blocks(faces, tmp_path):
    with pytest.raises(InputError, match="an adapter trains parts of every block; leave out last_blocks"):
        config(faces, tmp_path, adapter="layernorm", last_blocks=2)
    with pytest.raises(InputError, match="adapter_rank is for the adapters lora and osf"):
        config(faces, tmp_path, adapter="layernorm", adapter_rank=2)


@pytest.mark.slow
def test_losses_on_embeddings_train_beside_cross_entropy(weights_only, faces, tmp_path):
    losses = []
    for name, factors in {"plain": {}, "both": {"alignment_weight": 0.5, "uniformity_weight": 0.25}}.items():
        train(config(faces, tmp_path / name, adapter="layernorm", steps_per_epoch=1, **factors))
        losses.append(json.loads((tmp_path / name / "run.json").read_text())["epochs"][0]["train_loss"])
    assert losses[0] != losses[1]


def test_a_compiled_model_has_no_losses_on_embeddings(faces, tmp_path):
    with pytest.raises(InputError, match=r"^a compiled model hides its embeddings; leave out compile"):
        config(faces, tmp_path, compile=True, uniformity_weight=0.5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("adapter", "step", "changes"),
    [("layernorm", 2, {"ema": 0.9}), ("lora", 4, {"head_epochs": 1}), ("osf", 1, {})],
)
def test_a_resumed_adapter_is_that_of_a_run_that_nothing_stopped(
    weights_only, faces, tmp_path, monkeypatch, adapter, step, changes
):
    changes |= {"adapter": adapter, "drop_rate": 0.5}
    train(config(faces, tmp_path / "whole", **changes))
    with monkeypatch.context() as patch:
        stop_at(patch, step)
        with pytest.raises(Stopped):
            train(config(faces, tmp_path / "parts", **changes))
    train(config(faces, tmp_path / "parts", resume=True, **changes))
    whole, parts = state(tmp_path / "whole"), state(tmp_path / "parts")
    assert (whole["ema"] is None) == ("ema" not in changes)
    for key in ("model", "ema"):
        for name in whole[key] or ():
            assert torch.equal(whole[key][name], parts[key][name]), name
    kept = [load_file(tmp_path / name / "adapter" / "adapter_model.safetensors") for name in ("whole", "parts")]
    assert kept[0].keys() == kept[1].keys()
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])


def test_the_kept_adapter_is_the_averaged_one(weights_only, faces, tmp_path):
    train(config(faces, tmp_path / "run", adapter="lora", ema=0.9))
    saved, trained = state(tmp_path / "run"), load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")
    names = {name: name.replace(".weight", ".default.weight") for name in trained if ".lora_" in name}
    assert names
    for name, full in names.items():
        assert torch.equal(trained[name], saved["ema"][full])
    assert any(not torch.equal(saved["model"][full], saved["ema"][full]) for full in names.values())
    frozen = [name for name in saved["model"] if ".base_layer." in name]
    assert frozen
    assert all(torch.equal(saved["model"][name], saved["ema"][name]) for name in frozen)
