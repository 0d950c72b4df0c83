"""Maps of where a model saw its verdict: Grad-CAM, a finer map from an earlier stage, and two methods beside it.

All maps have one unit, so that they can be drawn without stretching the noise of each image: the logit that the
explained class would gain if the whole image were like this place. Their mean over the image is what the places
together gave to the class, as far as a method can tell.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from captum.attr import LayerGradCam, LayerGradientXActivation
from torch import Tensor, nn
from torch.nn import functional

from hf_deepfake.errors import InputError
from hf_deepfake.explain.attribution import integrated_gradients, occlusion
from hf_deepfake.models.ensemble import Ensemble

Method = Literal["gradcam", "integrated_gradients", "occlusion"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True)
class Maps:
    """Verdicts of a batch, and where the model saw them. Tensors lie on the model's device.

    Attributes:
        logits: float32 (N, 2), real and fake; what the model answers.
        targets: int64 (N,), the class that is explained.
        values: float32 (N, h, w), at least 0: the logit that the class would gain if the whole image were like
            this place. The grid is the method's own, row by row from the upper left; it spans the whole image.
    """

    logits: Tensor
    targets: Tensor
    values: Tensor


def explain(
    model: nn.Module,
    pixels: Tensor,
    *,
    targets: Tensor | None = None,
    method: Method = "gradcam",
    fine: bool = False,
) -> Maps:
    """Show where a model saw the logit of a class, before softmax.

    "gradcam" is Grad-CAM (Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks", ICCV 2017, section 3)
    on the features that enter the classifier, in one pass with the verdict; times the number of cells, it is the
    classifier's row times the features of a cell where a linear classifier follows mean pooling. A plain ViT is
    read before its last block, because after it only the class token counts. The map of an ensemble is the mean of its
    members' maps by their shares, the mirrored image left out. With `fine` the same total is laid out
    as LayerCAM sees it (Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps", IEEE TIP 2021, section
    III) on the last stage of a finer grid, in a second pass. For the other methods see `attribution`.

    Args:
        model: a timm model of two logits, in eval mode. For `fine`, and for a ViT, a hook is set on it while it runs,
            so that no other thread may use it.
        pixels: (N, 3, S, S), normalised, on the model's device.
        targets: int64 (N,), the class to explain, 0 real or 1 fake; the predicted one if not given.
        method: one of `METHODS`.
        fine: twice the grid or more, for "gradcam" on models that work on several scales.

    Returns:
        Logits, targets and maps.

    Raises:
        InputError: the method is unknown, it has no finer map, or the model's features lie on no grid.
    """
    if method not in METHODS:
        raise InputError(f"there is no method {method!r}; use one of {', '.join(METHODS)}")
    if method == "gradcam" and isinstance(model, Ensemble):
        return _explain_members(model, pixels, targets, fine)
    if method == "gradcam":
        maps = _read(model, pixels, targets, LayerGradCam, _place(model))
        if not fine:
            return maps
        finer = _read(model, pixels, maps.targets, LayerGradientXActivation, _finer_place(model))
        total, seen = (one.values.mean(dim=(1, 2), keepdim=True) for one in (maps, finer))
        tiny = torch.finfo(torch.float32).tiny
        return Maps(maps.logits, maps.targets, finer.values * total / seen.clamp(min=tiny))
    if fine:
        raise InputError(f"a finer map is made by gradcam alone, not by {method}; leave out one of the two")
    with torch.no_grad():
        logits = model(pixels)
    if targets is None:
        targets = logits.argmax(dim=1)
    values = {"integrated_gradients": integrated_gradients, "occlusion": occlusion}[method](model, pixels, targets)
    return Maps(logits.float(), targets, values)


def _explain_members(model: Ensemble, pixels: Tensor, targets: Tensor | None, fine: bool) -> Maps:
    """Members' maps for the ensemble's verdict, laid on the finest of their grids."""
    with torch.no_grad():
        logits = model(pixels).float()
    if targets is None:
        targets = logits.argmax(dim=1)
    found = [
        explain(member, model.member_pixels(index, pixels), targets=targets, fine=fine).values
        for index, member in enumerate(model.members)
    ]
    grid = max(one.shape[-2:] for one in found)
    weights = model.classifier.weight[1].detach()
    values = [functional.interpolate(one[:, None], grid, mode="bilinear")[:, 0] for one in found]
    shares = (weights / weights.sum()).tolist()
    return Maps(logits, targets, torch.stack([share * one for share, one in zip(shares, values, strict=True)]).sum(0))


@dataclass(frozen=True)
class _Place:
    """Where in a model a map is read: a module's output with C channels; no name for that of `forward_features`."""

    module: str | None
    channels: int


class _Tap(nn.Module):
    """The place itself: the graph begins here, on a grid, and what follows gets the features as they came."""

    def __init__(self, channels: int, prefix_tokens: int | None) -> None:
        super().__init__()
        self.channels = channels
        self.prefix_tokens = prefix_tokens
        self.grid = nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        to_grid, back = self._layout(features)
        torch.set_grad_enabled(True)
        return back(self.grid(to_grid(features).detach().requires_grad_()))

    def _layout(self, features: Any) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
        """How these features become (N, C, h, w), and how they are put back."""
        shape, prefix = getattr(features, "shape", ()), self.prefix_tokens
        if len(shape) == 4 and shape[1] == self.channels:
            return (lambda x: x), (lambda x: x)
        if len(shape) == 4 and shape[3] == self.channels:
            return (lambda x: x.permute(0, 3, 1, 2)), (lambda x: x.permute(0, 2, 3, 1))
        if len(shape) == 3 and prefix is not None:
            side = math.isqrt(shape[1] - prefix)
            if side**2 == shape[1] - prefix:
                return (
                    lambda x: x[:, prefix:].mT.unflatten(2, (side, side)),
                    lambda x: torch.cat([features[:, :prefix], x.flatten(2).mT], dim=1),
                )
        raise InputError("the features of this model lie on no grid that a map could show; use the method occlusion")


def _read(
    model: nn.Module,
    pixels: Tensor,
    targets: Tensor | None,
    method: type[LayerGradCam] | type[LayerGradientXActivation],
    place: _Place,
) -> Maps:
    """Run the model once, without a graph up to the place and with one after it, and let Captum read it there."""
    timm_model: Any = model  # nn.Module declares no attributes, and timm has no common class
    tap = _Tap(place.channels, getattr(timm_model, "num_prefix_tokens", None))
    seen: list[Tensor] = []

    def explained_logits(pixels: Tensor) -> Tensor:
        with torch.no_grad():
            if place.module is None:
                logits = timm_model.forward_head(tap(timm_model.forward_features(pixels)))
            else:
                hook = timm_model.get_submodule(place.module).register_forward_hook(lambda *run: tap(run[-1]))
                try:
                    logits = timm_model(pixels)
                finally:
                    hook.remove()
        chosen = logits.argmax(dim=1) if targets is None else targets
        seen.extend([logits.detach().float(), chosen])
        return logits.gather(1, chosen[:, None])[:, 0]

    shares = method(explained_logits, tap.grid).attribute(pixels).detach()
    cells = shares.shape[-2] * shares.shape[-1]
    # LayerCAM's positive part is of each channel, Grad-CAM's of their sum: Captum has summed that already.
    return Maps(*seen, shares.relu().sum(dim=1).float() * cells)


def _place(model: nn.Module) -> _Place:
    """Where Grad-CAM is read."""
    timm_model: Any = model
    if hasattr(timm_model, "num_prefix_tokens"):  # tokens of a plain ViT, whose blocks all have one grid
        before_last = timm_model.feature_info[-2]
        return _Place(before_last["module"], before_last["num_chs"])
    return _Place(None, timm_model.num_features)


def _finer_place(model: nn.Module) -> _Place:
    """The last stage whose grid is finer than the last one's."""
    stages = getattr(model, "feature_info", [])
    finer = [stage for stage in stages if stage["reduction"] < stages[-1]["reduction"]]
    if not finer:
        raise InputError(f"{type(model).__name__} works on one scale and has no finer map; leave out fine")
    return _Place(finer[-1]["module"], finer[-1]["num_chs"])
