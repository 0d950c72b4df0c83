"""What a detector gets wrong: errors grouped by attribute, and sheets of the worst with their maps."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from accelerate import PartialState
from datasets import Dataset, Image
from PIL import Image as PILImage
from PIL import ImageDraw, ImageOps

from hf_deepfake.config import LABELS, DataConfig
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.evaluate import load_split
from hf_deepfake.evaluation.others import Model, load_ours
from hf_deepfake.evaluation.unseen import without_seen
from hf_deepfake.explain.attributes import measure_attributes
from hf_deepfake.explain.overlay import GROUND, INK, caption_font, shade
from hf_deepfake.explain.probe import Heat, Probe
from hf_deepfake.files import local_path, make_folder, replacing
from hf_deepfake.images.open import open_image
from hf_deepfake.metrics.error_groups import ErrorGroup, group_errors
from hf_deepfake.models.checkpoint import LoadedCheckpoint
from hf_deepfake.report.report import Report

SHOWN = 12
"""Images on a sheet, at most."""

SHEETS = {"false_alarms": 0, "misses": 1}
"""Names of the sheets, with the label of the images that they show."""

TILE = 168
"""Side of an image on a sheet, px."""

_COLUMNS, _GAP, _TEXT = 3, 12, 40


def add_errors(
    report: Report, table: pd.DataFrame, checkpoint: Model, config: DataConfig, folder: str | Path
) -> tuple[Report, list[Path]]:
    """Analyse the errors of an evaluation, and keep sheets of the worst beside its report; every process calls this.

    The sheets show the images themselves, so they are in no report, page or card that might be passed on.

    Args:
        report: of `evaluation.evaluate.evaluate`.
        table: its scores.
        checkpoint: what was evaluated, as `evaluate` took it.
        config: the data on which.
        folder: where the sheets go; made if need be.

    Returns:
        On the main process, which does the work, the report with its `errors` and the files of the sheets; on others
        the report as it was and no files.

    Raises:
        InputError: checkpoint, data or folder cannot be used.
    """
    data, _ = load_split(config, report.evaluated_split)  # waits for all processes
    loaded, images = load_ours(checkpoint), data[report.evaluated_split]
    if report.foreign and loaded:
        images = without_seen(images, loaded.seen, config)
    if not PartialState().is_main_process:
        return report, []
    groups, sheets = analyse_errors(loaded, images, table, report.checkpoint.operating_point)
    return replace(report, errors=groups), save_sheets(local_path(folder), sheets)


def analyse_errors(
    loaded: LoadedCheckpoint | None, images: Dataset, table: pd.DataFrame, point: float
) -> tuple[list[ErrorGroup], dict[str, PILImage.Image]]:
    """Analyse errors on one split.

    Args:
        loaded: the checkpoint; None for a model of others, which has no maps.
        images: the split, N rows with columns image and label.
        table: of `scores.score_table`, the same rows in the same order.
        point: the operating point.

    Returns:
        The groups of `metrics.error_groups.group_errors`; and by name of `SHEETS` the worst errors, those with errors
        only.

    Raises:
        ImageError: an image cannot be opened.
    """
    groups = group_errors(table, measure_attributes(images), point)
    label, score = table["label"].to_numpy(), table["score"].to_numpy()
    sheets = {}
    for name, of in SHEETS.items():
        distance = np.where((label == of) & ((score >= point) != (of == 1)), np.abs(score - point), -1)
        rows = [int(row) for row in np.argsort(-distance, kind="stable")[:SHOWN] if distance[row] >= 0]
        if rows:
            sheets[name] = draw_sheet(loaded, images.select(rows), table.iloc[rows])
    return groups, sheets


def draw_sheet(loaded: LoadedCheckpoint | None, dataset: Dataset, table: pd.DataFrame) -> PILImage.Image:
    """Draw images with their scores, each beside the map of its verdict where the model has maps.

    Args:
        loaded: the checkpoint; None for a model of others.
        dataset: N rows with columns image and label.
        table: of `scores.score_table`, the same rows.

    Returns:
        RGB, three pairs in a row.

    Raises:
        ImageError: an image cannot be opened.
    """
    heats = None if loaded is None else _maps(loaded, dataset)
    images = dataset.select_columns(["image"]).cast_column("image", Image(decode=False))["image"]
    rows = -(-len(table) // _COLUMNS)
    width, height = 2 * TILE + _GAP, TILE + _TEXT
    sheet = PILImage.new("RGB", (_COLUMNS * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP), GROUND)
    draw, font = ImageDraw.Draw(sheet), caption_font(13)
    for place, (image, one) in enumerate(zip(images, table.to_dict("records"), strict=True)):
        left, top = _GAP + place % _COLUMNS * (width + _GAP), _GAP + place // _COLUMNS * (height + _GAP)
        opened = open_image(image["bytes"] or image["path"])
        # Squashed, as the model sees it, so that the map lies where it belongs.
        opened = opened.resize((TILE, TILE), PILImage.Resampling.BICUBIC, reducing_gap=3)
        sheet.paste(opened, (left, top))
        if heats is not None:
            heat = np.asarray(PILImage.fromarray(heats[place]).resize((TILE, TILE), PILImage.Resampling.BILINEAR))
            sheet.paste(shade(opened, heat), (left + TILE + _GAP // 2, top))
        kind = one["manipulation"] if isinstance(one["manipulation"], str) else LABELS[one["label"]]
        name = Path(str(one["file"])).name
        draw.text((left, top + TILE + 4), f"P(fake) {one['score']:.3f}  ({kind})", INK, font)
        draw.text((left, top + TILE + 21), name if len(name) <= 42 else f"{name[:20]}…{name[-20:]}", INK, font)
    return ImageOps.expand(sheet, 4, GROUND)


def save_sheets(folder: Path, sheets: Mapping[str, PILImage.Image]) -> list[Path]:
    """Write sheets as JPEG, and remove those of an earlier analysis.

    Args:
        folder: made if need be.
        sheets: by name of `SHEETS`.

    Returns:
        The files.

    Raises:
        InputError: the folder cannot be made or written.
    """
    make_folder(folder)
    written = []
    for name in SHEETS:
        path = folder / f"errors_{name}.jpg"
        if name not in sheets:
            path.unlink(missing_ok=True)
            continue
        with replacing(path) as temporary:
            sheets[name].save(temporary, "JPEG", quality=88)
        written.append(path)
    return written


def _maps(loaded: LoadedCheckpoint, images: Dataset) -> Heat | None:
    """float32 (N, S, S) maps of the verdicts; None where the model has none."""
    model = loaded.model
    probe = Probe.open(model, images, loaded.config["pretrained_cfg"], "gradcam", fine=False)
    try:
        return probe.heat(probe.maps(model, probe.images).values)
    except InputError:
        return None
