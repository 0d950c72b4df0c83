import pytest
import timm
import torch

from hf_deepfake.config import TrainConfig, build
from hf_deepfake.errors import InputError
from hf_deepfake.recipe import read_recipe, recipe_names
from hf_deepfake.training.stages import (
    Stage,
    epochs_without_gain,
    image_size_of_epoch,
    make_optimizer,
    plan_stages,
    plateau_factor,
    set_rate,
)


def config(**options):
    return TrainConfig(data=("x",), output_dir="y", **options)


def test_two_stages_with_their_steps():
    head, main = plan_stages(config(head_epochs=2, epochs=3, batch_size=10, last_blocks=4, warmup_steps=2), 105)
    assert (head.first_epoch, head.epochs, head.steps_per_epoch, head.last_blocks) == (0, 2, 10, 0)
    assert (main.first_epoch, main.epochs, main.steps, main.last_blocks) == (2, 3, 30, 4)
    assert (head.schedule, main.schedule) == ("constant", "cosine")


def test_steps_can_be_capped_and_empty_stages_vanish():
    (only,) = plan_stages(config(epochs=3, batch_size=10, steps_per_epoch=4), 105)
    assert (only.name, only.steps_per_epoch) == ("main", 4)


def test_too_few_images_for_a_step():
    with pytest.raises(InputError, match="batch_size 32 is more than the 20 images"):
        plan_stages(config(), 20)


def test_cosine_with_warm_up_by_hand():
    stage = Stage("main", 0, 2, 6, lr=0.8, last_blocks=None, schedule="cosine", warmup_steps=4)
    assert [stage.rate(step) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert stage.rate(4) == pytest.approx(0.8)
    assert stage.rate(8) == pytest.approx(0.4)  # half of the eight steps after the warm-up
    assert stage.rate(12) == pytest.approx(0.0)


@pytest.mark.parametrize(("schedule", "expected"), [("constant", 0.8), ("plateau", 0.2), ("cosine", 0.8)])
def test_a_plateau_lowers_the_rate_of_the_schedule_plateau_alone(schedule, expected):
    stage = Stage("main", 0, 2, 6, lr=0.8, last_blocks=None, schedule=schedule, warmup_steps=0)
    assert stage.rate(0, lowered=0.25) == pytest.approx(expected)


RATES = {
    "cnn5": {"main": (1e-3, 1e-3, 1e-3)},
    "compact-cnn": {"main": (1e-3, 0.5e-3, 0.25e-3)},
    "convnext-tiny": {"classifier": (1e-3, 1e-3, 1e-3), "main": (2e-4, 1e-4, 0)},
    "deepdetect-resnet50": {"classifier": (1e-4, 1e-4, 1e-4), "main": (1e-5, 0.5e-5, 0.125e-5)},
    "demo": {"main": (2e-3, 1e-3, 0)},
    "effort-clip-l14": {"main": (2e-4, 1e-4, 0)},
    "efficientnet-b0": {"classifier": (1e-3, 1e-3, 1e-3), "main": (5e-4, 2.5e-4, 0)},
    "gend-clip-l14": {"main": (3e-4, 1.5e-4, 0)},
    "layernorm-clip-b16": {"main": (6e-4, 3e-4, 0)},
    "layernorm-dinov2-s14": {"main": (1e-3, 0.5e-3, 0)},
    "layernorm-dinov3-l16": {"main": (3e-4, 1.5e-4, 0)},
    "layernorm-pe-l14": {"main": (3e-4, 1.5e-4, 0)},
    "resnet18-gradcam": {"classifier": (1e-4, 1e-4, 1e-4)},
    "resnet50-dense512": {"main": (1e-4, 1e-4, 1e-4)},
    "resnet50-frozen": {"classifier": (1e-4, 1e-4, 1e-4)},
    "resnet50-robust": {"main": (5e-4, 2.5e-4, 0)},
    "self-blended": {"main": (1e-3, 0.5e-3, 0)},
    "simple-cnn": {"main": (1e-3, 1e-3, 1e-3)},
    "small": {"main": (7e-4, 3.5e-4, 0)},
    "efficientnet-lite2": {"classifier": (1e-3, 1e-3, 1e-3), "main": (5e-4, 2.5e-4, 0)},
    "probe-clip-b16": {"classifier": (1e-3, 1e-3, 1e-3)},
    "vit-small-dinov2": {"classifier": (1e-3, 1e-3, 1e-3), "main": (1e-4, 0.5e-4, 0)},
    "vit-small": {"classifier": (1e-3, 1e-3, 1e-3), "main": (1e-4, 0.5e-4, 0)},
    "xception": {"classifier": (1e-3, 1e-3, 1e-3), "main": (3e-4, 1.5e-4, 0)},
    "xception-frozen": {"classifier": (1e-4, 1e-4, 1e-4)},
}
"""Rates of each recipe's stages after their warm-up, half way from there and at their last step, where no epoch gains
anything after the stage's first."""


@pytest.mark.parametrize("name", recipe_names())
def test_the_rates_of_every_recipe_by_hand(name):
    options = build(TrainConfig, read_recipe(name).options, {"data": "x", "output_dir": "y"})
    stages = plan_stages(options, 1000 * options.batch_size)
    found = {}
    for stage in stages:
        steps = stage.warmup_steps, (stage.steps + stage.warmup_steps) // 2, stage.steps - 1
        stalled = [[0.5] * (step // stage.steps_per_epoch) for step in steps]
        lowered = [
            plateau_factor(options.monitor, values, options.plateau_patience, options.plateau_factor)
            for values in stalled
        ]
        found[stage.name] = tuple(stage.rate(step, factor) for step, factor in zip(steps, lowered, strict=True))
        if stage.warmup_steps:
            assert stage.rate(0) == pytest.approx(stage.lr / stage.warmup_steps)
    assert found.keys() == RATES[name].keys()
    for stage, rates in RATES[name].items():
        assert found[stage] == pytest.approx(rates, rel=1e-3, abs=1e-5 * rates[0]), stage


def test_plateau_lowers_after_patience_and_counts_anew():
    values = [0.5, 0.6, 0.6, 0.55, 0.6, 0.58, 0.7, 0.7]
    assert plateau_factor("auc", values[:3], 2, 0.5) == 1.0
    assert plateau_factor("auc", values[:4], 2, 0.5) == 0.5
    assert plateau_factor("auc", values[:6], 2, 0.5) == 0.25
    assert plateau_factor("auc", values, 2, 0.5) == 0.25
    assert plateau_factor("log_loss", [0.9, 0.8, 0.7], 1, 0.1) == 1.0


def test_epochs_without_gain():
    assert epochs_without_gain("auc", []) == 0
    assert epochs_without_gain("auc", [0.5, 0.7, 0.7, 0.6]) == 2
    assert epochs_without_gain("log_loss", [0.5, 0.7, 0.4]) == 0


def test_layer_decay_scales_each_block():
    model = timm.create_model("resnet18", num_classes=2)
    (stage,) = plan_stages(config(batch_size=2, epochs=1), 10)
    optimizer = make_optimizer(model, stage, config(layer_decay=0.5))
    set_rate(optimizer, 0.1)
    rates = {id(parameter): group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    assert rates[id(model.fc.weight)] == pytest.approx(0.1)
    assert rates[id(model.layer4[1].conv1.weight)] == pytest.approx(0.05)
    assert rates[id(model.layer4[0].conv1.weight)] == pytest.approx(0.025)


@pytest.mark.parametrize(("name", "decay"), [("adamw", 0.05), ("adam", 0.0), ("sgd", 0.0)])
def test_optimisers_and_their_weight_decay(name, decay):
    model = torch.nn.Linear(3, 2)
    (stage,) = plan_stages(config(batch_size=2, epochs=1), 10)
    optimizer = make_optimizer(model, stage, config(optimizer=name))
    decays = {group["weight_decay"] for group in optimizer.param_groups}
    assert max(decays) == decay


def test_images_grow_from_the_first_epoch_of_the_main_stage_to_its_last():
    growing = config(head_epochs=1, epochs=4, image_size=160, initial_image_size=96)
    # 96, 117.3 and 138.7 by the line, in multiples of 16, and the whole at the end; the first stage sees the whole.
    assert [image_size_of_epoch(growing, epoch) for epoch in range(5)] == [160, 96, 112, 144, 160]
    assert [image_size_of_epoch(config(epochs=1, image_size=160, initial_image_size=96), 0)] == [160]
    assert {image_size_of_epoch(config(epochs=4, image_size=160), epoch) for epoch in range(4)} == {160}
    with pytest.raises(InputError, match="initial_image_size 192 is more than image_size 160"):
        config(image_size=160, initial_image_size=192)
