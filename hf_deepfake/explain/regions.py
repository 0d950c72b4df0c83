"""Do maps fall on what was changed? Measured where it is known: pasted areas, and replaced parts of the face."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Image
from numpy.typing import NDArray
from PIL.Image import Resampling
from scipy.ndimage import distance_transform_edt
from torch import nn

from hf_deepfake.config import LABELS
from hf_deepfake.errors import InputError
from hf_deepfake.explain.cam import Method
from hf_deepfake.explain.probe import Heat, Probe, mean, moved
from hf_deepfake.images.faces import find_faces
from hf_deepfake.images.open import open_image
from hf_deepfake.metrics.classification import Floats
from hf_deepfake.report.report import ExplanationResult, Mean

FAKE = LABELS.index("fake")

TOLERANCE = 0.03
"""How far beside a mask the strongest place may lie, in sides of the image: 15 px on images of 500, as in the
pointing game's own set."""

PARTS = ("left eye", "right eye", "nose", "mouth")
"""Parts of the face in the order of the column regions; left is left in the image."""

RADIUS = 0.5
"""Radius of a part, in distances of the eyes: the eyes' discs touch, and all four cover eyes, nose and mouth."""

Masks = NDArray[np.bool_]


def find_masks(dataset: Dataset, size: int) -> dict[int, Masks]:
    """Find the masks of drawn fakes: `masks/NAME.png` beside the folder that holds `fake/NAME.jpg`.

    Args:
        dataset: with columns image and label.
        size: side of the masks that are wanted, px.

    Returns:
        For each row of a fake that has one, (size, size), where at least half of a pixel was pasted.
    """
    found = {}
    for row, (image, label) in enumerate(zip(_undecoded(dataset)["image"], dataset["label"], strict=True)):
        if label == FAKE and image["path"] is not None:
            file = Path(image["path"]).absolute()
            mask = file.parent.parent.parent / "masks" / f"{file.stem}.png"
            if mask.is_file():
                grey = open_image(mask).convert("L").resize((size, size), Resampling.BILINEAR)
                found[row] = np.asarray(grey) >= 128
    return found


def measure_masks(
    model: nn.Module,
    probe: Probe,
    masks: dict[int, Masks],
    groups: Sequence[Any] | None,
    generator: np.random.Generator,
) -> dict[str, Mean]:
    """Measure whether maps of "fake" fall on what was pasted, on fakes whatever the verdict.

    `pointing` is the pointing game (Zhang et al., "Top-Down Neural Attention by Excitation Backprop", IJCV
    2018): whether the map's strongest place lies in the mask, or at most 3 % of the image's side beside it;
    of equally strong places, the share that does.
    `mask` is the share of the map that lies in the mask. Each comes with X_area, X_random, X_difference and
    X_specific (see `compare`).

    Args:
        model: a model in eval mode.
        probe: N images.
        masks: (S, S) for the rows that have one, at least one.
        groups: N group names, or None.
        generator: source of the random maps.

    Returns:
        The metrics.
    """
    rows = list(masks)
    mask = np.stack(list(masks.values()))
    reached = np.stack([distance_transform_edt(~one) <= TOLERANCE * probe.size for one in mask])
    values = probe.maps(model, probe.images[rows], torch.full((len(rows),), FAKE)).values
    own, random = (probe.heat(one) for one in (values, moved(values, generator)))
    known = None if groups is None else [groups[row] for row in rows]
    tops = [(heat == heat.max(axis=(1, 2), keepdims=True)).astype(np.float32) for heat in (own, random)]
    return {
        **compare("pointing", *(_within(top, reached) for top in tops), _areas(reached), known),
        **compare("mask", *(_within(heat, mask) for heat in (own, random)), _areas(mask), known),
    }


def measure_regions(
    model: nn.Module,
    dataset: Dataset,
    data_config: dict[str, Any],
    *,
    method: Method = "gradcam",
    fine: bool = False,
    limit: int = 512,
    name: str = "composites",
    seed: int = 0,
) -> ExplanationResult:
    """Measure whether maps of "fake" fall on the parts of a face that were replaced, on composites.

    The face's five landmarks say where its four parts are (see `part_of_pixels`). `parts` is the share of the map
    within the four that lies in the replaced ones; with it come parts_area, parts_random, parts_difference and
    parts_specific (see `compare`). Left out are composites of which all four were replaced, or in which no face is
    found.

    Args:
        model: a timm model of two logits, in eval mode.
        dataset: a split of `data.load.prepare` with a column regions: four characters, 1 where left eye (as seen in
            the image), right eye, nose and mouth were replaced, and 0 where not.
        data_config: timm's preprocessing.
        method: of `cam.METHODS`.
        fine: measure the finer map of the method.
        limit: most composites; a random choice of these.
        name: what the result is to call the set.
        seed: decides on the choice and the random maps.

    Returns:
        The result; its `n` counts the composites that were measured.

    Raises:
        InputError: there are not two such composites, or no map can be made of this model.
        ImageError: an image cannot be opened.
    """
    generator = np.random.default_rng(seed)
    regions = dataset["regions"] if "regions" in dataset.column_names else []
    rows = [row for row, bits in enumerate(regions) if re.fullmatch("(?!0000|1111)[01]{4}", bits or "")]
    rows = sorted(generator.permutation(rows)[:limit].tolist())
    size = data_config["input_size"][-1]
    images = _undecoded(dataset)["image"]
    parts = {row: found for row in rows if (found := _find_parts(images[row], size)) is not None}
    if len(parts) < 2:
        raise InputError(
            f"{name} has {len(parts)} composites with a face and with a text such as 0110 in a column regions, which "
            "says what was replaced; give at least 2"
        )
    chosen = dataset.select(list(parts))
    groups = chosen["group"] if "group" in chosen.column_names else None
    probe = Probe.open(model, chosen, data_config, method, fine)
    values = probe.maps(model, probe.images, torch.full((len(chosen),), FAKE)).values
    # (N, 4, S, S): the four parts of each image.
    where = np.stack(list(parts.values()))[:, None] == np.arange(len(PARTS))[:, None, None]
    replaced = np.array([[bit == "1" for bit in bits] for bits in chosen["regions"]], np.float64)
    own, random, even = (
        _share_of_parts(heat, where) @ replaced.T
        for heat in (
            probe.heat(values),
            probe.heat(moved(values, generator)),
            np.ones((len(chosen), size, size), np.float32),
        )
    )
    return ExplanationResult(probe.name, name, len(chosen), compare("parts", own, random, even, groups))


def compare(key: str, inside: Floats, random: Floats, area: Floats, groups: Sequence[Any] | None) -> dict[str, Mean]:
    """Hold the shares of maps that lie in what was changed against three kinds of chance.

    Args:
        key: name X of the share.
        inside: float64 (N, N), share of each image's map that lies where each image (columns) was changed.
        random: the same of maps that were moved at random.
        area: the same of even maps: shares of the area.
        groups: N group names, or None.

    Returns:
        X, the mean share inside what was changed in the image itself; X_area and X_random, the same of even and of
        random maps; X_difference, X minus X_random; and X_specific, which a map cannot gain by always marking the
        middle of the face: X minus X_area, less the same for what was changed in the other images.
    """
    own, chance = np.diag(inside), np.diag(random)
    gain = inside - area
    others = (gain.sum(axis=1) - np.diag(gain)) / (len(gain) - 1) if len(gain) > 1 else np.full(len(gain), np.nan)
    columns = {
        key: own,
        f"{key}_area": np.diag(area),
        f"{key}_random": chance,
        f"{key}_difference": own - chance,
        f"{key}_specific": np.diag(gain) - others,
    }
    return {name: mean(values, groups) for name, values in columns.items()}


def part_of_pixels(landmarks: NDArray[np.float64], size: int) -> NDArray[np.int8]:
    """Divide an image into the parts of its face: each pixel goes to the nearest part, if one is near.

    Args:
        landmarks: float64 (5, 2), x and y in px of left eye, right eye, nose, left and right corner of the mouth.
        size: side of the image, px.

    Returns:
        int8 (size, size), index in `PARTS`, or -1 further than half the distance of the eyes from all of them.
    """
    centres = np.vstack([landmarks[:3], landmarks[3:].mean(axis=0)])
    y, x = np.mgrid[0:size, 0:size] + 0.5
    distances = np.hypot(x - centres[:, 0, None, None], y - centres[:, 1, None, None])
    eye_distance = np.hypot(*(landmarks[1] - landmarks[0]))
    return np.where(distances.min(axis=0) <= RADIUS * eye_distance, distances.argmin(axis=0), -1).astype(np.int8)


def _find_parts(image: dict[str, Any], size: int) -> NDArray[np.int8] | None:
    """The parts of an image squashed to `size`; None without a face of which all four are in the image."""
    opened = open_image(image["bytes"] or image["path"])
    faces = find_faces(opened)
    if not faces:
        return None
    parts = part_of_pixels(np.array(faces[0].landmarks) * size / np.array(opened.size), size)
    return parts if np.isin(range(len(PARTS)), parts).all() else None


def _undecoded(dataset: Dataset) -> Dataset:
    """The column image as paths and bytes."""
    return dataset.select_columns(["image"]).cast_column("image", Image(decode=False))


def _shares(values: Floats, even: Floats) -> Floats:
    """Rows as shares of their sum; of those that are 0 everywhere, those of the even row instead."""
    known = np.where(values.any(axis=1, keepdims=True), values, even)
    return known / known.sum(axis=1, keepdims=True)


def _within(heat: Heat, masks: Masks) -> Floats:
    """(N, N), share of each map that lies in each mask."""
    flat = heat.reshape(len(heat), -1).astype(np.float64)
    return _shares(flat, np.ones_like(flat)) @ masks.reshape(len(masks), -1).T


def _areas(masks: Masks) -> Floats:
    """(N, N), share of the image that each mask (columns) covers."""
    return np.broadcast_to(masks.mean(axis=(1, 2)), (len(masks), len(masks)))


def _share_of_parts(heat: Heat, where: Masks) -> Floats:
    """(N, 4), of the map within the four parts (N, 4, S, S), how much lies in each."""
    return _shares(np.einsum("nyx,npyx->np", heat, where, dtype=np.float64), where.mean(axis=(2, 3)))
