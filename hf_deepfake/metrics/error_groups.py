"""Where a detector errs: wrong verdicts by what is known and what was measured of the images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hf_deepfake.metrics.classification import Counts, Floats
from hf_deepfake.metrics.result import Metric, bootstrapped
from hf_deepfake.metrics.score_table import groups_of

UNTOUCHED = "train on more real images like those"
"""The hint where the images of a manipulation are all real."""

SMALLEST = 10
"""Images below which a group is left out: its interval would span nearly everything."""

NAMED = 5
"""Groups that are named as the worst, at most."""


@dataclass(frozen=True)
class Attribute:
    """A property of images by which errors are grouped.

    Attributes:
        title: what a report calls it.
        low: what data would help where errors gather at low values, or in one of its kinds (`{}`).
        high: the same for high values; empty for kinds.
    """

    title: str
    low: str
    high: str = ""


ATTRIBUTES = {
    "source": Attribute("Source", "train on more images like those of {}"),
    "manipulation": Attribute("Manipulation", "train on more fakes made by {}"),
    "format": Attribute("File format", "train on more {} files, in both classes"),
    "side": Attribute("Shorter side, px", "train on smaller images, or with --degrade", "train at a larger image_size"),
    "brightness": Attribute(
        "Brightness, of 255", "train on darker images, or with --degrade", "train on brighter images"
    ),
    "contrast": Attribute("Contrast, of 255", "train on paler images, or with --degrade", "train on harsh light"),
    "saturation": Attribute("Saturation, of 1", "train on greyish images", "train on images of strong colours"),
    "sharpness": Attribute(
        "Sharpness, log variance", "train on blurred images, or with --degrade", "train on sharper images"
    ),
    "noise": Attribute(
        "Noise, of 255", "train on images that a phone has denoised", "train on noisy images, or with --degrade"
    ),
    "quality": Attribute("JPEG quality", "train on stronger compression, or with --degrade", "train on finer JPEGs"),
    "face": Attribute("Shorter side of the face, px", "train on smaller faces", "train on larger faces"),
    "turn": Attribute(
        "Head turned (0 frontal, 0.5 half profile)", "train on more frontal faces", "train on faces turned away"
    ),
    "tilt": Attribute("Head tilted, degrees", "train on more upright faces", "train on tilted heads"),
}
"""What errors are grouped by; the first four are columns of a table of scores, the others are measured."""


@dataclass(frozen=True)
class ErrorGroup:
    """Errors on the images that are alike in one attribute.

    Attributes:
        attribute: of `ATTRIBUTES`.
        value: what the images have in common: a kind, or a quarter of the values.
        n_real: real images of the group.
        n_fake: fake ones.
        wrong: share of verdicts that are wrong.
        false_alarms: share of its real images called fake.
        misses: share of its fakes called real.
        excess: share wrong here minus share wrong among all other images of the same class, mean of the classes that
            the group has; so a group is not blamed for its mixture of classes.
        hint: what data would help; empty unless the group is among the worst.
    """

    attribute: str
    value: str
    n_real: int
    n_fake: int
    wrong: Metric
    false_alarms: Metric
    misses: Metric
    excess: Metric
    hint: str = ""


def group_errors(table: pd.DataFrame, attributes: pd.DataFrame, threshold: float) -> list[ErrorGroup]:
    """Group a split's errors by every attribute, and name the worst groups.

    Numbers are cut into quarters of equal size. Groups are among the worst where the interval of `excess` lies above
    0; no correction is made for looking at many, so about one in forty groups would seem so by chance.

    Args:
        table: of one split, with the columns of `scores.COLUMNS`.
        attributes: as many rows in the same order, with numbers of `ATTRIBUTES`; NaN where there is none.
        threshold: an image counts as fake from this score on.

    Returns:
        The groups of at least 10 images, largest `excess` first; without attributes in which all are alike.
    """
    known = pd.concat([table.reset_index(drop=True), attributes.reset_index(drop=True)], axis=1)
    named = [
        (name, value, hint, members)
        for name in ATTRIBUTES
        if name in known
        for value, hint, members in _divide(name, known[name])
        if members.sum() >= SMALLEST
    ]
    if not named:
        return []
    fake = known["label"].to_numpy() == 1
    wrong = (known["score"].to_numpy() >= threshold) != fake
    metrics = _measure(np.array([members for *_, members in named]), fake, wrong, groups_of(table))
    groups = [
        ErrorGroup(
            name,
            value,
            int((members & ~fake).sum()),
            int((members & fake).sum()),
            wrong=values[0],
            false_alarms=values[1],
            misses=values[2],
            excess=values[3],
            # Data may name what was not done to real images, too.
            hint=UNTOUCHED if name == "manipulation" and not (members & fake).any() else hint,
        )
        for (name, value, hint, members), values in zip(named, metrics, strict=True)
    ]
    groups.sort(key=lambda group: -np.inf if group.excess.value is None else group.excess.value, reverse=True)
    worst = set(map(id, worst_groups(groups)))
    return [group if id(group) in worst else replace(group, hint="") for group in groups]


def worst_groups(groups: Sequence[ErrorGroup]) -> list[ErrorGroup]:
    """Choose the groups in which errors gather.

    Args:
        groups: of `group_errors`.

    Returns:
        At most five, those whose `excess` is most certainly above 0 first.
    """
    sure = [group for group in groups if (group.excess.low or 0) > 0]
    return sorted(sure, key=lambda group: -(group.excess.low or 0))[:NAMED]


def _divide(name: str, values: pd.Series) -> list[tuple[str, str, np.ndarray]]:
    """An attribute's values, the hint for each and the images that have it; nothing where all are alike."""
    there, attribute = values.notna().to_numpy(), ATTRIBUTES[name]
    is_number = bool(attribute.high)
    parts: list[tuple[str, np.ndarray]]
    if not is_number or values.nunique() <= 4:
        parts = [(_text(kind), values.eq(kind).fillna(False).to_numpy(bool)) for kind in sorted(values[there].unique())]
    else:
        edges = np.quantile(values[there], [0.25, 0.5, 0.75])
        quarter = np.searchsorted(edges, values.to_numpy(np.float64), side="left")
        low, middle, high = map(_text, edges)
        texts = (f"up to {low}", f"{low} to {middle}", f"{middle} to {high}", f"above {high}")
        parts = [(text, there & (quarter == place)) for place, text in enumerate(texts)]
        parts = [part for part in parts if part[1].any()]
    found = [
        (text, attribute.high if is_number and 2 * place >= len(parts) else attribute.low.format(text), members)
        for place, (text, members) in enumerate(parts)
    ]
    if is_number and not there.all():
        found.append(("none", "look at these: no face was found, or the file does not state it", ~there))
    return found if len(found) > 1 else []


def _text(value: object) -> str:
    """A value as a report shows it: three digits of a number."""
    return value if isinstance(value, str) else f"{value:.3g}" if abs(float(str(value))) < 1000 else f"{value:.0f}"


def _measure(
    members: np.ndarray, fake: np.ndarray, wrong: np.ndarray, groups: Sequence[str | None] | None
) -> list[list[Metric]]:
    """The four metrics of each of G groups, bool (G, N)."""
    inside = np.stack([members & ~fake, members & fake]).astype(np.float64)  # (2, G, N)
    outside = np.stack([~members & ~fake, ~members & fake]).astype(np.float64)

    def rates(weights: Counts) -> Floats:
        """All metrics one after the other, under a resample; NaN where one is undefined."""
        with np.errstate(invalid="ignore", divide="ignore"):
            n, errors = inside @ weights, inside @ (weights * wrong)
            rate = errors / n
            gap = rate - outside @ (weights * wrong) / (outside @ weights)
            there = ~np.isnan(gap)
            excess = np.where(there, gap, 0).sum(axis=0) / there.sum(axis=0)
            return np.concatenate([errors.sum(axis=0) / n.sum(axis=0), *rate, excess])

    reasons = np.repeat(["no such images", "no real images", "no fakes", "nothing to compare with"], len(members))
    found = bootstrapped(rates, groups, len(fake), reasons.tolist())
    return [found[place :: len(members)] for place in range(len(members))]
