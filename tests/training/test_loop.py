"""Steps, epochs and stages of whole runs; most end after their last step."""

import os
import signal
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import config, record, state, stop_at

from hf_deepfake.errors import InputError
from hf_deepfake.models.build import build_model
from hf_deepfake.training import loop, loss, validation
from hf_deepfake.training.resume import Position
from hf_deepfake.training.run import train
from hf_deepfake.training.signals import Stopped, StopSignals


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "changes"),
    [
        (2, {}),
        pytest.param(4, {"workers": 2, "degrade": 0.5}, marks=pytest.mark.slow),
        (3, {"ema": 0.9, "mixup": 0.2, "cutmix": 0.5, "model": "test_resnet"}),
        (2, {"initial_image_size": 32, "model": "test_resnet"}),
        pytest.param(
            5,
            {
                "sampling": "paired",
                "gradient_accumulation_steps": 2,
                "drop_rate": 0.5,
                "optimizer": "sgd",
                "head_epochs": 1,
                "self_blend": 0.5,
            },
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_resumed_run_ends_with_the_same_weights(weights_only, faces, tmp_path, monkeypatch, step, changes):
    train(config(faces, tmp_path / "whole", **changes))
    with monkeypatch.context() as patch:
        stop_at(patch, step)
        with pytest.raises(Stopped):
            train(config(faces, tmp_path / "parts", **changes))
    assert record(tmp_path / "parts")["status"] == "stopped"
    train(config(faces, tmp_path / "parts", resume=True, **changes))
    whole, parts = state(tmp_path / "whole"), state(tmp_path / "parts")
    for key in ("model", "ema"):
        for name in whole[key] or ():
            assert torch.equal(whole[key][name], parts[key][name]), name
    losses = [[entry["train_loss"] for entry in found["position"]["history"]] for found in (whole, parts)]
    assert losses[0] == losses[1]


class WaitedFor:
    """Stands for a number on a device: a signal comes while it is waited for, as the steps before it end."""

    def __int__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        return 0


@pytest.mark.parametrize("processes", [1, 2])
def test_a_signal_that_comes_while_the_loop_looks_stops_it_at_the_next_look(processes):
    accelerator = SimpleNamespace(num_processes=processes, scaler=None, gather=lambda flags: flags.repeat(processes))
    one = SimpleNamespace(
        accelerator=accelerator, device=torch.device("cpu"), position=Position(step=1), bad_steps=WaitedFor()
    )
    with StopSignals() as signals:
        assert not loop.Loop._must_stop(one, signals, at_end=False)
        one.bad_steps = 0
        assert loop.Loop._must_stop(one, signals, at_end=False)
        assert signals.received == signal.SIGTERM


@pytest.mark.slow
def test_a_stage_that_was_just_done_leaves_its_optimiser_to_nobody(weights_only, faces, tmp_path, monkeypatch):
    """A crash between two stages: the state is that of the first one's end."""
    changes = {"model": "test_resnet", "head_epochs": 1, "epochs": 1, "steps_per_epoch": 2}
    train(config(faces, tmp_path / "whole", **changes))
    with monkeypatch.context() as patch:
        prepare, stages = loop.Loop._prepare, []

        def second(self, stage):
            stages.append(stage)
            if len(stages) == 2:
                raise RuntimeError("the power is gone")
            return prepare(self, stage)

        patch.setattr(loop.Loop, "_prepare", second)
        with pytest.raises(RuntimeError, match="the power is gone"):
            train(config(faces, tmp_path / "run", **changes))
    train(config(faces, tmp_path / "run", resume=True, **changes))
    models = [state(tmp_path / name)["model"] for name in ("whole", "run")]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


def test_the_model_gets_images_that_grow(weights_only, faces, tmp_path, monkeypatch):
    sides = []
    model = build_model("test_resnet", image_size=64, pretrained="off")
    model.register_forward_pre_hook(lambda model, given: sides.append(given[0].shape[-1]) if model.training else None)
    monkeypatch.setattr("hf_deepfake.training.run.build_model", lambda *_, **__: model)
    train(config(faces, tmp_path / "run", model="test_resnet", initial_image_size=32, epochs=3, steps_per_epoch=2))
    assert sides == [32, 32, 48, 48, 64, 64]


def test_a_model_of_one_size_is_refused(faces, tmp_path):
    with pytest.raises(InputError, match="vit_tiny_patch16_224 does not take images of 32 px beside 64 px"):
        train(config(faces, tmp_path / "run", model="vit_tiny_patch16_224", initial_image_size=32))


@pytest.mark.slow
def test_accumulation_changes_memory_not_weights(weights_only, faces, tmp_path):
    train(config(faces, tmp_path / "one"))
    train(config(faces, tmp_path / "four", gradient_accumulation_steps=4))
    one, four = state(tmp_path / "one")["model"], state(tmp_path / "four")["model"]
    for name in one:
        torch.testing.assert_close(one[name], four[name], atol=1e-4, rtol=1e-3)


def test_patience_ends_a_run_that_gains_nothing(weights_only, faces, tmp_path):
    train(config(faces, tmp_path / "run", model="test_resnet", freeze_batchnorm=True, epochs=9, lr=0.0, patience=2))
    assert len(record(tmp_path / "run")["epochs"]) == 3
    assert record(tmp_path / "run")["best_epoch"] == 1


@pytest.fixture
def stalled(monkeypatch):
    """Every epoch measures the same."""
    measured = validation.compute_metrics
    monkeypatch.setattr(validation, "compute_metrics", lambda *given: measured(*given) | {"auc": 0.5})


def test_a_stalled_stage_ends_and_the_next_has_patience_of_its_own(weights_only, stalled, faces, tmp_path):
    changes = {"model": "test_resnet", "head_epochs": 4, "epochs": 4, "patience": 2, "steps_per_epoch": 1}
    train(config(faces, tmp_path / "run", **changes))
    assert [(entry["stage"], entry["epoch"]) for entry in record(tmp_path / "run")["epochs"]] == [
        *(("classifier", epoch) for epoch in (1, 2, 3)),
        *(("main", epoch) for epoch in (5, 6, 7)),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("constant", [1, 1, 1, 1]),
        ("plateau", [1, 1, 0.5, 0.25]),
        ("cosine", [1, 0.853553, 0.5, 0.146447]),  # (1 + cos(k pi / 4)) / 2
    ],
)
def test_the_rates_of_each_schedule_where_nothing_is_gained(weights_only, stalled, faces, tmp_path, schedule, shares):
    changes = {"schedule": schedule, "plateau_patience": 1, "warmup_steps": 0, "steps_per_epoch": 1}
    changes |= {"model": "test_resnet", "head_epochs": 3, "head_lr": 0.01, "epochs": 4, "lr": 0.002}
    train(config(faces, tmp_path / "run", **changes))
    rates = [entry["rate"] for entry in record(tmp_path / "run")["epochs"]]
    assert rates == pytest.approx([0.01] * 3 + [0.002 * share for share in shares], rel=1e-5)


def test_frozen_batchnorm_keeps_its_statistics(weights_only, faces, tmp_path):
    train(config(faces, tmp_path / "run", model="test_resnet", freeze_batchnorm=True))
    trained = load_file(tmp_path / "run" / "best.safetensors")
    fresh = build_model("test_resnet", image_size=64, pretrained="off").state_dict()
    means = [name for name in trained if name.endswith("running_mean")]
    assert means
    assert all(torch.equal(trained[name], fresh[name]) for name in means)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_best_epoch(faces, tmp_path, monkeypatch):
    usual, calls = loss.soft_cross_entropy, []

    def failing(*arguments):
        calls.append(1)
        return usual(*arguments) * (float("nan") if len(calls) > 4 else 1)

    monkeypatch.setattr(loss, "soft_cross_entropy", failing)
    with pytest.raises(InputError, match=r"not a number any more at step 2 of epoch 2; the best epoch so far \(1\)"):
        train(config(faces, tmp_path / "run"))
    assert record(tmp_path / "run")["status"] == "failed"
    assert all(tensor.isfinite().all() for tensor in load_file(tmp_path / "run" / "best.safetensors").values())


@pytest.mark.slow
def test_a_compiled_run_learns_the_same(faces, tmp_path):
    plain = train(config(faces, tmp_path / "plain", epochs=1))
    compiled = train(config(faces, tmp_path / "compiled", epochs=1, compile=True))
    losses = [result.report.training["epochs"][0]["train_loss"] for result in (plain, compiled)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert (
        load_file(compiled.checkpoint / "model.safetensors").keys()
        == load_file(plain.checkpoint / "model.safetensors").keys()
    )
