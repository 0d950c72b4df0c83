"""A classifier that trains alone, on features that are computed once."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from accelerate.utils import set_seed
from safetensors.torch import save_file
from timm.layers import DropPath
from tiny_runs import TINY, launch, options, state, stop_at, words
from torch import nn

from hf_deepfake.config import TrainConfig, build
from hf_deepfake.data.load import prepare
from hf_deepfake.evaluation import features
from hf_deepfake.models.adapters import adapt
from hf_deepfake.models.build import build_model, data_config, unfreeze
from hf_deepfake.training import finish, loop
from hf_deepfake.training.device import make_accelerator
from hf_deepfake.training.frozen import freeze_stage
from hf_deepfake.training.loop import Loop
from hf_deepfake.training.resume import RunFolder
from hf_deepfake.training.run import train
from hf_deepfake.training.signals import Stopped

SCRIPT = Path(__file__).parents[2] / "scripts" / "train.py"

PLAIN = {"head_epochs": 3, "epochs": 0, "flip": 0.0, "crop_scale": 1.0, "colour": 0.0, "head_lr": 0.01}
PLAIN |= {"steps_per_epoch": 3, "image_size": 32, "batch_size": 8}


def config(faces, tmp_path, name="run", **changes):
    own = {"data": str(faces), "output_dir": str(tmp_path / name), "cache_dir": str(tmp_path / "cache")}
    return build(TrainConfig, TINY | PLAIN | own | changes)


@pytest.fixture
def computed(monkeypatch):
    """Numbers of images of which features were computed, by split."""
    counts = []
    usual = features.make_loader

    def counting(images, batches, *given):
        counts.append(sum(len(batch) for batch in batches))
        return usual(images, batches, *given)

    monkeypatch.setattr(features, "make_loader", counting)
    return counts


def fitted(options):
    """The loop of a run that has trained; nothing is exported or measured."""
    AcceleratorState._reset_state(reset_partial_state=True)  # the runs differ in precision
    accelerator = make_accelerator(options)
    set_seed(options.seed)
    model = build_model(
        options.model, image_size=options.image_size, drop_rate=options.drop_rate, pretrained=options.pretrained
    )
    if options.adapter != "none":
        model = adapt(model, options.adapter)
    run = RunFolder.open(options)
    run.clear()
    done = Loop(options, accelerator, run, model, prepare(options)[0], data_config(model, options.image_size))
    done.fit()
    AcceleratorState._reset_state(reset_partial_state=True)
    return done


def same(one, other, tolerance):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], atol=tolerance, rtol=0, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"model": "test_vit", "drop_rate": 0.5, "sampling": "paired", "ema": 0.9},
        {"model": "test_resnet", "drop_rate": 0.3, "gradient_accumulation_steps": 2, "label_smoothing": 0.1},
        {"model": "test_vit", "adapter": "lora", "alignment_weight": 0.5, "uniformity_weight": 0.2},
        {"model": "test_efficientnet", "head_epochs": 1, "epochs": 1, "freeze_batchnorm": True},
        {"model": "test_convnext", "mixed_precision": "bf16", "class_weights": (1.3, 1.0), "max_grad_norm": 0.1},
        {"model": "resnetv2_18", "head_epochs": 1},  # its classifier is a convolution
        pytest.param(  # a hidden layer, with batch statistics of its own
            {"model": "resnet50_dense512", "drop_rate": 0.3, "head_epochs": 2}, marks=pytest.mark.slow
        ),
    ],
    ids=lambda changes: "-".join([changes["model"], changes.get("adapter", "none")]),
)  # fmt: skip
def test_a_stage_on_features_learns_what_one_on_images_learns(faces, tmp_path, monkeypatch, computed, changes):
    quick = fitted(config(faces, tmp_path, "quick", **changes))
    assert computed  # and the model itself was not asked for any training step
    monkeypatch.setattr(loop, "freeze_stage", lambda *_: None)
    plain = fitted(config(faces, tmp_path, "plain", **changes))
    tolerance = 1e-3 if changes.get("mixed_precision") else 1e-5
    same(quick.model.state_dict(), plain.model.state_dict(), tolerance)
    if quick.ema:
        same(quick.ema.module.state_dict(), plain.ema.module.state_dict(), tolerance)
    for mine, theirs in zip(quick.position.history, plain.position.history, strict=True):
        for name in ("train_loss", "log_loss", "auc"):
            assert mine[name] == pytest.approx(theirs[name], rel=1e-3)


@pytest.mark.slow
def test_a_second_run_computes_no_feature_again(faces, tmp_path, monkeypatch, computed):
    monkeypatch.setattr(finish, "render", lambda folder: None)
    weights = tmp_path / "start.safetensors"
    save_file(build_model("test_resnet", image_size=32, pretrained="off").state_dict(), weights)
    changes = {"model": "test_resnet", "pretrained": str(weights), "drop_rate": 0.3, "steps_per_epoch": None}
    first = train(config(faces, tmp_path, "first", **changes))
    sizes = [first.report.data["counts"][name] for name in ("train", "validation", "test")]
    train_images, validation, test = (sum(size.values()) for size in sizes)
    # Training images and validation for the stage, validation again for the decision, both for the exported folder.
    assert computed == [train_images, validation, 0, 0, test]
    computed.clear()
    second = train(config(faces, tmp_path, "second", **changes, seed=7, head_lr=0.003, sampling="paired"))
    assert computed == [0, 0, 0, 0, 0]
    scores = [result.report.splits["test"].metrics["log_loss"].value for result in (first, second)]
    assert scores[0] != scores[1]
    monkeypatch.setattr(loop, "freeze_stage", lambda *_: None)
    plain = train(config(faces, tmp_path, "plain", **changes))
    for name in ("validation", "test"):
        values = [result.report.splits[name].metrics["log_loss"].value for result in (first, plain)]
        assert values[0] == pytest.approx(values[1], abs=1e-5)
    assert first.report.checkpoint.temperature == pytest.approx(plain.report.checkpoint.temperature, rel=1e-3)


@pytest.mark.slow
def test_a_resumed_stage_ends_with_the_same_weights(faces, tmp_path, monkeypatch):
    monkeypatch.setattr(finish, "render", lambda folder: None)
    changes = {"model": "test_resnet", "drop_rate": 0.5, "ema": 0.9}
    train(config(faces, tmp_path, "whole", **changes))
    with monkeypatch.context() as patch:
        stop_at(patch, 4)
        with pytest.raises(Stopped):
            train(config(faces, tmp_path, "parts", **changes))
    train(config(faces, tmp_path, "parts", resume=True, **changes))
    whole, parts = state(tmp_path / "whole"), state(tmp_path / "parts")
    for key in ("model", "ema"):
        same(parts[key], whole[key], 0)


def staged(options, model):
    """What the stage of the classifier would train on."""
    unfreeze(model, 0)
    data, _ = prepare(options)
    preprocessing = data_config(model, options.image_size)
    return freeze_stage(options, model, data, np.arange(16), preprocessing, 0, "no", bool)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"flip": 0.1}, {"crop_scale": 0.9}, {"rotate": 5.0}, {"colour": 0.1}, {"degrade": 0.1}, {"compile": True},
        {"self_blend": 0.1, "sampling": "paired"}, {"mixup": 0.1}, {"cutmix": 0.1}, {"teacher": "some/checkpoint"},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_images_that_change_between_epochs_are_shown_to_the_model(faces, tmp_path, computed, change):
    assert staged(config(faces, tmp_path), build_model("test_resnet", image_size=32, pretrained="off")) is not None
    assert len(computed) == 2
    options = config(faces, tmp_path, **change)
    assert staged(options, build_model("test_resnet", image_size=32, pretrained="off")) is None


def drop_inside(model):
    model.blocks[0].mlp.drop1.p = 0.2


def drop_paths(model):
    model.blocks[0].drop_path1 = DropPath(0.3)


def count_batches(model):
    model.norm = nn.Sequential(
        model.norm, nn.Flatten(1), nn.BatchNorm1d(5 * 64, affine=False), nn.Unflatten(1, (5, 64))
    )


@pytest.mark.parametrize("unsteady", [drop_inside, drop_paths, count_batches])
def test_a_backbone_that_is_another_at_each_step_is_run_at_each_step(faces, tmp_path, unsteady):
    options = config(faces, tmp_path, model="test_vit")
    model = build_model("test_vit", image_size=32, pretrained="off")
    unsteady(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert staged(options, model) is None
    same(model.state_dict(), before, 0)


def test_features_as_large_as_images_are_not_kept(faces, tmp_path):
    options = config(faces, tmp_path, model="simple_cnn", image_size=128)
    assert staged(options, build_model("simple_cnn", image_size=128, pretrained="off")) is None


@pytest.mark.slow
def test_a_signal_while_features_are_computed_stops_the_run(faces, tmp_path, monkeypatch):
    usual = features._Memory.write

    def interrupted(*given):
        usual(*given)
        os.kill(os.getpid(), signal.SIGTERM)

    options = {"model": "test_resnet", "steps_per_epoch": None}
    with monkeypatch.context() as patch:
        patch.setattr(features._Memory, "write", interrupted)
        with pytest.raises(Stopped, match="stopped and saved; go on with --resume"):
            train(config(faces, tmp_path, **options))
    monkeypatch.setattr(finish, "render", lambda folder: None)
    assert train(config(faces, tmp_path, resume=True, **options)).report.splits["test"].n > 0


@pytest.mark.slow
def test_two_processes_train_on_features_as_one(faces, tmp_path):
    changes = PLAIN | {"model": "test_vit", "ema": 0.9, "workers": 1}
    changes |= {"cache_dir": str(tmp_path / "cache")}
    train(config(faces, tmp_path, "one", **changes))
    done = launch(SCRIPT, *words(options(faces, tmp_path / "two", **changes)))
    assert done.returncode == 0, done.stderr
    (tmp_path / "cache" / features.FEATURES_FILE).unlink()
    done = launch(SCRIPT, *words(options(faces, tmp_path / "fresh", **changes)))
    assert done.returncode == 0, done.stderr
    records = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("one", "two", "fresh")]
    assert [record["machine"]["processes"] for record in records] == [1, 2, 2]
    for epochs in zip(*(record["epochs"] for record in records), strict=True):
        for entry in epochs[1:]:
            assert entry["train_loss"] == pytest.approx(epochs[0]["train_loss"], rel=1e-5)
            assert entry["log_loss"] == pytest.approx(epochs[0]["log_loss"], rel=1e-5)
    states = [state(tmp_path / name)["model"] for name in ("one", "two", "fresh")]
    same(states[1], states[0], 1e-5)
    same(states[2], states[0], 1e-5)
