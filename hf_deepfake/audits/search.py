"""The audit of a data set, before anything is trained on it."""

import io
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict, Image, concatenate_datasets
from numpy.typing import NDArray
from PIL import Image as PillowImage

from hf_deepfake.audits.alike import Pairs, connect, find_alike
from hf_deepfake.audits.assess import evaluate_files, evaluate_report, evaluate_shared, evaluate_shortcut
from hf_deepfake.audits.content import CONTENT
from hf_deepfake.audits.facts import FACTS
from hf_deepfake.audits.findings import Audit, Files, Kind, Shared
from hf_deepfake.audits.measurements import Wanted, measure
from hf_deepfake.audits.shortcut import find_shortcut
from hf_deepfake.audits.statistics import STATISTICS
from hf_deepfake.config import LABELS, SPLITS, DataConfig
from hf_deepfake.data.image_names import name_images
from hf_deepfake.data.load import prepare
from hf_deepfake.errors import InputError
from hf_deepfake.images.open import open_image

SAMPLE = {"facts": 2000, "statistics": 5000, "content": 500}
"""Images of each class that are measured at most, by the table of features: enough for an AUC to within .02, .01
and .04 or so. Facts are read of all images in a full audit, which opens them anyway."""

TINY = 64
"""Shortest side, px, below which an image is called tiny."""

_Boundary = tuple[str, NDArray[np.bool_], str, NDArray[np.bool_]]

_EXAMPLES = 5
_SHEET = (8, 5, 112)  # columns, rows, px of each image


def audit(config: DataConfig, *, against: str | None = None, level: Literal["full", "basic"] = "full") -> Audit:
    """Look for leaks and shortcuts in a data set.

    Nothing is dropped for the audit: leaks are counted in the splits as they are given, or as they would be made. A
    full audit opens every image twice (once if the cache knows it) and finds near duplicates and shared scenes; a
    basic one reads the facts of a sample of files only, and knows of the exact leaks that every run finds.

    Args:
        config: sources and options; `on_leak` and `on_bad_file` are not heeded.
        against: a further source that must share nothing with the data, such as a test set of its own.
        level: `full` or `basic`.

    Returns:
        The audit.

    Raises:
        InputError: a source cannot be used, or `against` is given with a basic audit.
    """
    if against is not None and level == "basic":
        raise InputError("a basic audit does not compare images; audit against another set with level full")
    config = replace(config, on_leak="keep", on_bad_file="skip")
    splits, report = prepare(config)
    table = together(splits)
    labels = np.array(table["label"], np.int8)
    groups = np.array(table["group"] if "group" in table.column_names else [None] * len(table), object)
    # Without any group known, images are their own groups.
    known_groups = groups.tolist() if pd.notna(groups).any() else None
    full = level == "full"

    other = None
    if against is not None:
        other_splits, other_report = prepare(replace(config, data=(against,)))
        other_report.warn_of_losses()
        other, against = together(other_splits), ", ".join(other_report.sources)
    everything = (
        table if other is None else concatenate_datasets([one.select_columns(["image"]) for one in (table, other)])
    )
    samples = {name: _sample(labels, size) for name, size in SAMPLE.items()}
    size = len(table)
    if full:
        samples["facts"] = np.ones(size, bool)
        wanted = [Wanted(True, *chosen) for chosen in zip(samples["statistics"], samples["content"], strict=True)]
        measured = measure(everything, wanted + [Wanted(True, False, False)] * (len(everything) - size))
        facts = measured.table[:size]
    else:
        facts = measure(table.select(np.flatnonzero(samples["facts"])), [Wanted(False, False, False)] * size).table
        facts = facts.set_axis(np.flatnonzero(samples["facts"])).reindex(range(size))

    shortcuts = {}
    for name, features in {"facts": FACTS, **({"statistics": STATISTICS, "content": CONTENT} if full else {})}.items():
        rows = np.flatnonzero(samples[name])
        some_groups = None if known_groups is None else [known_groups[row] for row in rows]
        found = find_shortcut(facts.iloc[rows], labels[rows], some_groups, features)
        if found is not None:
            shortcuts[name] = found

    shared: list[Shared] = []
    scenes = None
    if full:
        alike = find_alike(measured.codes, measured.colours)
        sides = _sides(splits, labels, against, len(everything))
        names = [*name_images(table), *(name_images(other) if other is not None else [])]
        shared = _shared(alike.near, alike.scenes, sides, names)
        scenes = np.bincount(
            connect(size, *(within(pairs, size) for pairs in (alike.near, alike.scenes)), same(groups))
        )

    files = _files(facts[samples["facts"]], labels[samples["facts"]])
    findings = [
        *evaluate_report(report.to_dict(), len(set(groups[pd.notna(groups)]))),
        *(evaluate_shared(one, against) for one in shared),
        *filter(None, (evaluate_shortcut(name, shortcut) for name, shortcut in shortcuts.items())),
        *evaluate_files(files),
    ]
    order = ("fatal", "warning", "note")
    return Audit(
        data=list(report.sources),
        against=against,
        level=level,
        report=report.to_dict(),
        files=files,
        shared=shared,
        scene_count=None if scenes is None else len(scenes),
        largest_scene=None if scenes is None else int(scenes.max()),
        shortcuts=shortcuts,
        findings=sorted(findings, key=lambda finding: order.index(finding.severity)),
        sheets={name: _sheet(table, labels == label) for label, name in enumerate(LABELS)},
    )


def together(splits: DatasetDict) -> Dataset:
    """All images of a data set, split after split."""
    return concatenate_datasets([splits[name] for name in SPLITS if len(splits[name])])


def within(pairs: Pairs, count: int) -> Pairs:
    """The pairs of the first `count` rows."""
    return pairs[(pairs < count).all(axis=1)]


def same(values: NDArray[np.object_]) -> Pairs:
    """Pairs that connect rows of equal value; None equals nothing."""
    rows = pd.Series(np.arange(len(values)))
    first = rows.groupby(values).transform("min").fillna(rows).to_numpy(np.int64)
    return np.stack([first, rows.to_numpy()], axis=1)


def _sample(labels: NDArray[np.int8], size: int) -> NDArray[np.bool_]:
    """At most `size` images of each class, drawn with a fixed seed."""
    chosen = np.zeros(len(labels), bool)
    for label in range(len(LABELS)):
        rows = np.flatnonzero(labels == label)
        chosen[np.random.default_rng(0).permutation(rows)[:size]] = True
    return chosen


def _sides(splits: DatasetDict, labels: NDArray[np.int8], against: str | None, count: int) -> list[_Boundary]:
    """Every boundary: name and rows of the later side and of the earlier one."""
    part = np.repeat(range(len(SPLITS)), [len(splits[name]) for name in SPLITS])
    masks = {name: part == place for place, name in enumerate(SPLITS)}
    masks |= {name: labels == label for label, name in enumerate(LABELS)}
    masks["the set's"] = np.ones(len(labels), bool)
    masks = {name: np.pad(mask, (0, count - len(labels))) for name, mask in masks.items()}
    boundaries = [("validation", "train"), ("test", "train"), ("test", "validation"), ("fake", "real")]
    if against is not None:
        masks[f"{against}'s"] = ~masks["the set's"]  # not to be taken for a split of that name
        boundaries.append((f"{against}'s", "the set's"))
    return [(later, masks[later], earlier, masks[earlier]) for later, earlier in boundaries]


def _shared(near: Pairs, scenes: Pairs, sides: list[_Boundary], names: list[str]) -> list[Shared]:
    """What the sides of each boundary share."""
    units: dict[Kind, NDArray[np.int32]] = {
        "near": connect(len(names), near),
        "scene": connect(len(names), near, scenes),
    }
    result = []
    for later, is_later, earlier, is_earlier in sides:
        seen = np.zeros(len(names), bool)
        for kind, unit in units.items():
            both = np.intersect1d(unit[is_later], unit[is_earlier])
            rows = np.flatnonzero(is_later & np.isin(unit, both) & ~seen)
            seen[rows] = True
            if not len(rows):
                continue
            examples = [
                [names[row], names[np.flatnonzero(is_earlier & (unit == unit[row]))[0]]] for row in rows[:_EXAMPLES]
            ]
            result.append(Shared(kind, later, earlier, len(rows), int(is_later.sum()), examples))
    return result


def _files(facts: pd.DataFrame, labels: NDArray[np.int8]) -> Files:
    """Counts of sizes and odd files."""
    width, height = facts["width"].astype(int), facts["height"].astype(int)
    sizes = pd.crosstab([width, height], labels).reindex(columns=range(len(LABELS)), fill_value=0)
    common = sizes.loc[sizes.sum(axis=1).sort_values(ascending=False, kind="stable").index[:10]]
    return Files(
        n=len(facts),
        sizes=[
            [*size, *counts] for size, counts in zip(common.index.tolist(), common.to_numpy().tolist(), strict=True)
        ],
        size_count=len(sizes),
        sides=_histogram(np.minimum(width, height).to_numpy(), labels),
        tiny=int((np.minimum(width, height) < TINY).sum()),
        grey=int(facts["grey"].sum()),
        long=int(((facts["aspect"] > 2) | (facts["aspect"] < 0.5)).sum()),
    )


def _histogram(side: NDArray[np.int64], labels: NDArray[np.int8]) -> list[list[int]]:
    """A histogram of at most 24 bins; one of equal sides has one bin."""
    edges = np.unique(np.linspace(side.min(), side.max() + 1, 25).astype(int)) if len(side) else np.zeros(1, int)
    counts = [np.histogram(side[labels == label], edges)[0] for label in range(len(LABELS))]
    return [list(map(int, row)) for row in zip(edges[:-1], edges[1:], *counts, strict=True)]


def _sheet(table: Dataset, chosen: NDArray[np.bool_]) -> bytes:
    """A JPEG of some images side by side."""
    columns, rows, side = _SHEET
    sheet = PillowImage.new("RGB", (columns * side, rows * side), (128, 128, 128))
    some = np.random.default_rng(0).permutation(np.flatnonzero(chosen))[: columns * rows]
    encoded = table.cast_column("image", Image(decode=False)).select(some)["image"]
    for place, image in enumerate(encoded):
        opened = open_image(image["bytes"] or image["path"], draft=side)
        opened.thumbnail((side - 4, side - 4))
        corner = (place % columns * side, place // columns * side)
        sheet.paste(opened, (corner[0] + (side - opened.width) // 2, corner[1] + (side - opened.height) // 2))
    encoded = io.BytesIO()
    sheet.save(encoded, "JPEG", quality=85)
    return encoded.getvalue()
