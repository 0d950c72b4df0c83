"""Gradient checkpointing: the same weights for less memory."""

import pytest
import torch
from torch import nn
from torch.utils import checkpoint

from hf_deepfake.config import TrainConfig, build
from hf_deepfake.errors import InputError
from hf_deepfake.models.build import build_model, checkpoint_gradients
from hf_deepfake.training.run import train

TINY = {"model": "test_vit", "pretrained": "off", "image_size": 160, "batch_size": 8, "workers": 0, "lr": 1e-3}
TINY |= {"mixed_precision": "no", "explained": 0, "audit": "off", "epochs": 1, "steps_per_epoch": 2, "drop_rate": 0.5}


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"adapter": "lora"}, {"model": "test_resnet", "freeze_batchnorm": True}])
def test_weights_are_those_of_a_run_without(weights_only, faces, tmp_path, monkeypatch, changes):
    usual, calls, models = checkpoint.checkpoint, [], []

    def counted(*given, **options):
        calls.append(1)
        return usual(*given, **options)

    monkeypatch.setattr(checkpoint, "checkpoint", counted)
    for name in ("without", "with"):
        given = {"data": str(faces), "output_dir": str(tmp_path / name), "gradient_checkpointing": name == "with"}
        train(build(TrainConfig, TINY | given | changes))
        assert bool(calls) == (name == "with")
        models.append(torch.load(tmp_path / name / "state.pt", weights_only=True)["model"])
    for name, tensor in models[0].items():
        torch.testing.assert_close(models[1][name], tensor, rtol=1e-5, atol=1e-6)


def test_what_cannot_be_checkpointed():
    with pytest.raises(InputError, match="count each batch twice in the statistics of BatchNorm; add --freeze_batch"):
        checkpoint_gradients(build_model("test_resnet", image_size=64, pretrained="off"), freeze_batchnorm=False)
    xception = build_model("legacy_xception", image_size=64, pretrained="off")
    for model in (xception, nn.Linear(2, 2)):
        with pytest.raises(InputError, match=f"timm has no gradient checkpointing for {type(model).__name__}"):
            checkpoint_gradients(model, freeze_batchnorm=True)
