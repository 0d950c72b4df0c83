"""What a backend answers to regions of images, and the maps of what speaks for the answer."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hf_deepfake.config import LABELS
from hf_deepfake.detect.backends import Backend
from hf_deepfake.runtimes.variants import PLAIN

if TYPE_CHECKING:
    from hf_deepfake.explain.cam import Maps, Method

Answer = tuple[Tensor, Tensor | None]
"""Logits (N, 2) of regions, and what speaks for each one's label, (N, h, w), also in logits; or None."""


def answer_regions(batch: Tensor, backend: Backend, build: Callable[[], nn.Module], explained: bool) -> Answer:
    """Evaluate regions, with their maps if these are asked for.

    Args:
        batch: float32 (N, 3, S, S), on the device.
        backend: computes the scores.
        build: gives the checkpoint's model on the device, for what the backend has no maps of.
        explained: whether maps are asked for.

    Returns:
        Logits and maps.

    Raises:
        InputError: there is no map of this model.
    """
    if not explained:
        return backend(batch)[0], None
    if backend.variant == PLAIN:  # the verdict comes out of the maps' own pass
        maps = _map(build, batch)
        return maps.logits, maps.values
    logits, planes = backend(batch)
    labels = logits.argmax(dim=1)
    if planes is None:
        return logits, _map(build, batch, targets=labels).values
    return logits, planes[torch.arange(len(labels)), labels].clamp(min=0)


def explain_regions(
    batches: Sequence[Tensor], backend: Backend, build: Callable[[], nn.Module], method: "Method", fine: bool
) -> tuple[Tensor, Tensor]:
    """Evaluate the regions of one image, and show what speaks for the image's label in each.

    Args:
        batches: of its regions, each float32 (N, 3, S, S), on the device.
        backend: computes the scores.
        build: gives the checkpoint's model on the device, for what the backend has no maps of.
        method: see `hf_deepfake.explain.cam.explain`.
        fine: see there.

    Returns:
        Logits (N, 2) and maps (N, h, w) of all regions.

    Raises:
        InputError: there is no such map of this model.
    """
    by_backend = backend.variant != PLAIN
    seen = [backend(batch) for batch in batches] if by_backend else []
    # The verdict of the model itself comes out of the maps' own pass.
    maps = [] if by_backend else [_map(build, batch, method=method, fine=fine) for batch in batches]
    logits = torch.cat([one for one, _ in seen] or [one.logits for one in maps])
    target = LABELS.index("fake" if (logits[:, 1] > logits[:, 0]).any() else "real")
    planes = [plane for _, plane in seen if plane is not None]
    values = []
    for number, batch in enumerate(batches):
        if planes and method == "gradcam" and not fine:
            values.append(planes[number][:, target].clamp(min=0))
        elif maps and (maps[number].targets == target).all():
            values.append(maps[number].values)
        else:
            targets = torch.full((len(batch),), target, device=batch.device)
            values.append(_map(build, batch, targets=targets, method=method, fine=fine).values)
    return logits, torch.cat(values)


def _map(build: Callable[[], nn.Module], batch: Tensor, **how: Any) -> "Maps":
    """Maps by torch."""
    from hf_deepfake.explain.cam import explain  # Captum takes a second to import, and other runtimes have maps

    return explain(build(), batch, **how)
