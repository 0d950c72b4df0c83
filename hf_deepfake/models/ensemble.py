"""Several checkpoints as one model whose logits are their mean calibrated log-odds, and models with averaged weights.

The mean log-odds are a linear layer over one log-odds per member, so that temperature and operating point fold into
an ensemble as into any other model, and its checkpoint is one folder that every reader loads.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import timm
import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn
from torch.nn import functional

from hf_deepfake.config import LABELS
from hf_deepfake.errors import InputError
from hf_deepfake.models import zoo  # noqa: F401 - members may be models of the zoo
from hf_deepfake.models.build import data_config, model_args

__all__ = ["Ensemble", "average_weights", "make_ensemble"]  # timm adds each model that is registered

NAME = "checkpoint_ensemble"
"""Under which timm knows these models."""

_MEAN, _STD = 0.5, 0.5
"""What an ensemble's input is normalised by; each member's own normalisation follows inside."""


class Ensemble(nn.Module):
    """Models that evaluate the same image, each at its own size.

    Its input is (N, 3, S, S), float32 in [-1, 1]; its output (N, 2) logits, real and fake, whose difference is the
    weighted mean of the members' log-odds of "fake". A member of another size gets the image resized from S, which
    is close to, but not the same as, the image that a detector of its own would give it.
    """

    def __init__(
        self,
        members: Sequence[dict[str, Any]],
        *,
        flip: bool = False,
        num_classes: int = 2,
        in_chans: int = 3,
        global_pool: str = "",
    ) -> None:
        """Build it with random weights and equal shares.

        Args:
            members: of each its `architecture`, `model_args`, `side` in px, `mean` and `std`.
            flip: evaluate the mirrored image too and take the mean.
            num_classes: logits; only 2 is there.
            in_chans: channels of an image; only 3 is there.
            global_pool: as timm passes it to every model; members have their own.
        """
        super().__init__()
        if (num_classes, in_chans) != (len(LABELS), 3):
            raise ValueError(f"an ensemble of detectors has 2 classes and 3 channels, not {num_classes} and {in_chans}")
        self.specifications = [dict(member) for member in members]
        self.flip = flip
        self.model_args = {"members": self.specifications, "flip": flip}
        self.num_classes, self.num_features = num_classes, len(members)
        self.members = nn.ModuleList(
            timm.create_model(member["architecture"], num_classes=num_classes, **member["model_args"])
            for member in members
        )
        self.classifier = nn.Linear(len(members), num_classes)
        self.set_shares([1 / len(members)] * len(members))

    @torch.no_grad()
    def set_shares(self, shares: Sequence[float]) -> None:
        """Set each member's share of the log-odds; they sum to 1."""
        half = torch.tensor(list(shares)) / 2
        self.classifier.weight.copy_(torch.stack([-half, half]))
        self.classifier.bias.zero_()

    def get_classifier(self) -> nn.Module:
        """The linear layer over the members' log-odds."""
        return self.classifier

    def member_pixels(self, index: int, pixels: Tensor) -> Tensor:
        """Images as a member takes them, (N, 3, side, side).

        Args:
            index: of the member.
            pixels: (N, 3, S, S), in [-1, 1].

        Returns:
            The images at the member's size, normalised as it expects.
        """
        member = self.specifications[index]
        unit = pixels * _STD + _MEAN
        if pixels.shape[-1] != member["side"]:
            unit = functional.interpolate(unit, (member["side"],) * 2, mode="bicubic", antialias=True).clamp(0, 1)
        mean, std = (unit.new_tensor(member[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
        return (unit - mean) / std

    def forward_features(self, pixels: Tensor) -> Tensor:
        """Log-odds of "fake" by each member, (N, members)."""
        columns = []
        for index, model in enumerate(self.members):
            taken = self.member_pixels(index, pixels)
            odds = _log_odds(model(taken))
            columns.append((odds + _log_odds(model(taken.flip(3)))) / 2 if self.flip else odds)
        return torch.stack(columns, dim=1)

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits (N, 2) of the members' log-odds."""
        return features if pre_logits else self.classifier(features)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (N, 2), real and fake."""
        return self.forward_head(self.forward_features(pixels))


def make_ensemble(models: Sequence[nn.Module], sides: Sequence[int], shares: Sequence[float], flip: bool) -> Ensemble:
    """Put trained models together.

    Args:
        models: timm models with calibrated logits (real, fake); copied.
        sides: each model's input, px.
        shares: each model's share of the log-odds, summing to 1.
        flip: evaluate the mirrored image too and take the mean.

    Returns:
        The ensemble, in eval mode; its input is as large as the largest of theirs.
    """
    members = []
    for model, side in zip(models, sides, strict=True):
        start: Any = model.pretrained_cfg
        config = data_config(model, side)
        members.append(
            {
                "architecture": start["architecture"],
                "model_args": model_args(model, side),
                "side": side,
                "mean": list(config["mean"]),
                "std": list(config["std"]),
            }
        )
    ensemble = timm.create_model(NAME, members=members, flip=flip)
    assert isinstance(ensemble, Ensemble)
    for place, model in zip(ensemble.members, models, strict=True):
        place.load_state_dict(model.state_dict())
    ensemble.set_shares(shares)
    return ensemble.eval()


@torch.no_grad()
def average_weights(models: Sequence[nn.Module], shares: Sequence[float]) -> nn.Module:
    """Average the weights of models that were trained from the same start (Wortsman et al. 2022, "Model soups").

    Statistics of BatchNorm are averaged too, as if each model had seen its share of the images; where the models lie
    far apart that is too little, and the result is worse than its parts.

    Args:
        models: of one architecture and size.
        shares: each model's, summing to 1.

    Returns:
        A new model, in eval mode.

    Raises:
        InputError: the models differ.
    """
    states = [model.state_dict() for model in models]
    first = states[0]
    for state in states[1:]:
        if [(name, item.shape) for name, item in state.items()] != [(name, item.shape) for name, item in first.items()]:
            raise InputError("weights can be averaged of one kind of model only; average the log-odds of these")
    mean = {
        name: sum(share * state[name].double() for share, state in zip(shares, states, strict=True)).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in first.items()
    }
    result = deepcopy(models[0])
    result.load_state_dict(mean)
    return result.eval()


def _log_odds(logits: Tensor) -> Tensor:
    """Of "fake", (N,)."""
    return logits[:, 1] - logits[:, 0]


default_cfgs = generate_default_cfgs(
    {
        f"{NAME}.untrained": {
            "input_size": (3, 224, 224),
            "interpolation": "bicubic",
            "mean": (_MEAN,) * 3,
            "std": (_STD,) * 3,
            "num_classes": 2,
            "first_conv": None,
            "classifier": "classifier",
        }
    }
)


@register_model
def checkpoint_ensemble(pretrained: bool = False, **options: Any) -> Ensemble:
    """Models whose calibrated log-odds are averaged; `members` and `flip` as `Ensemble` takes them."""
    return build_model_with_cfg(Ensemble, NAME, pretrained, **options)
