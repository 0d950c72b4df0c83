"""The report of a checkpoint: what was measured, on what, made how; one JSON file, and the scores beside it."""

import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.bootstrap import index_groups, intervals
from hf_deepfake.evaluation.metrics import CONFUSION, METRICS, compute_metrics, undefined
from hf_deepfake.files import replacing, write_json

FORMAT_VERSION = 1

MAIN_METRICS = {
    "auc": "AUC",
    "average_precision": "Average precision",
    "eer": "Equal error rate",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "recall_fake": "Recall of fake",
    "recall_real": "Recall of real",
    "f1_fake": "F1 of fake",
    "fpr_at_recall_95": "False alarms at 95 % recall",
    "brier": "Brier score",
    "ece": "Calibration error (ECE)",
}
"""The metrics that a summary shows, with the names that it gives them."""


@dataclass(frozen=True)
class Metric:
    """A metric with its 95 % interval; all None where it is undefined, and then `reason` says why.

    Attributes:
        value: the metric on all pictures of the split.
        low: lower end of the interval, None where there is none.
        high: upper end of the interval.
        reason: why `value` is None.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    def __str__(self) -> str:
        if self.value is None:
            return f"undefined ({self.reason})"
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class SplitResult:
    """What was measured on one split.

    Attributes:
        n: pictures; `n_real` and `n_fake` of each class.
        n_groups: groups that were resampled, None where pictures were.
        threshold: score P(fake) from which a picture counts as fake.
        metrics: by the names of `metrics.METRICS`.
        confusion: counts tn, fp, fn, tp, where p(ositive) is fake.
        test_looks: how often this run has looked at the split, this time included; None where looking is free.
    """

    n: int
    n_real: int
    n_fake: int
    n_groups: int | None
    threshold: float
    metrics: dict[str, Metric]
    confusion: dict[str, int]
    test_looks: int | None = None


@dataclass(frozen=True)
class CheckpointInfo:
    """The checkpoint that was measured.

    Attributes:
        model: timm name of the net.
        image_size: side of the square input, px.
        parameters: number of weights.
        temperature: what logits were divided by (folded into the weights).
        operating_point: P(fake) after temperature from which the verdict is fake (folded into the weights).
    """

    model: str
    image_size: int
    parameters: int
    temperature: float = 1.0
    operating_point: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that is known about a checkpoint.

    Attributes:
        checkpoint: what was measured.
        splits: results by split name.
        data: `DataReport.to_dict()`; empty where it is not known.
        training: the run record (`run.json`); empty where it is not known.
        created: UTC, ISO 8601.
        hf_deepfake: version of this package.
        format_version: of the JSON file.
    """

    checkpoint: CheckpointInfo
    splits: dict[str, SplitResult]
    data: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    hf_deepfake: str = field(default_factory=lambda: version("hf-deepfake"))
    format_version: int = FORMAT_VERSION

    def save(self, path: str | Path) -> None:
        """Write the report as JSON, whole or not at all; numbers that are not finite become null.

        Args:
            path: file to write or replace.
        """
        write_json(Path(path), _plain(asdict(self)))

    @classmethod
    def load(cls, path: str | Path) -> "Report":
        """Read a report that `save` wrote.

        Args:
            path: the JSON file.

        Returns:
            The report.

        Raises:
            InputError: there is no such file, it is damaged, or a newer version of this package wrote it.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if isinstance(content, dict) and content.get("format_version", FORMAT_VERSION) != FORMAT_VERSION:
                raise InputError(
                    f"{path} has report format {content['format_version']}, this version reads {FORMAT_VERSION}; "
                    "use the version of hf-deepfake that wrote it, or evaluate again"
                )
            return _read(cls, content, "report")
        except OSError as error:
            raise InputError(f"cannot read {path} ({error.strerror}); name a report.json") from error
        except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
            raise InputError(f"{path} is not a whole report ({error}); evaluate the checkpoint again") from error

    def summary(self) -> str:
        """Lay out the main metrics of all splits.

        Returns:
            A text table of a few lines, splits side by side, metrics with their 95 % intervals.
        """
        checkpoint = self.checkpoint
        rows = [["", *self.splits]]
        rows.append(["Pictures", *(f"{split.n_real} real, {split.n_fake} fake" for split in self.splits.values())])
        if any(split.n_groups for split in self.splits.values()):
            rows.append(["Groups", *(str(split.n_groups or "") for split in self.splits.values())])
        for name, title in MAIN_METRICS.items():
            rows.append([title, *(str(split.metrics[name]) for split in self.splits.values())])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        head = f"{checkpoint.model}, {checkpoint.image_size} px, {checkpoint.parameters / 1e6:.1f} M parameters"
        return "\n".join([head, *lines])


def evaluate_scores(
    scores: ArrayLike,
    labels: ArrayLike,
    groups: Sequence[Any] | None = None,
    threshold: float = 0.5,
    *,
    test_looks: int | None = None,
) -> SplitResult:
    """Measure one split: all metrics with their 95 % intervals.

    Args:
        scores: (N,) P(fake), in [0, 1], before the operating point is folded in.
        labels: (N,) integers, 0 real and 1 fake.
        groups: N group names, to be resampled whole; None where they are not known.
        threshold: a picture counts as fake from this score on.
        test_looks: how often this run has looked at the split, this time included.

    Returns:
        The result.
    """
    values = compute_metrics(scores, labels, threshold)
    reasons = undefined(values)
    ranges = intervals(scores, labels, groups, threshold)
    metrics = {name: Metric(values[name], *(ranges[name] or (None, None)), reasons.get(name)) for name in METRICS}
    confusion = {name: int(values[name] or 0) for name in CONFUSION}
    n = sum(confusion.values())
    return SplitResult(
        n=n,
        n_real=confusion["tn"] + confusion["fp"],
        n_fake=confusion["fn"] + confusion["tp"],
        n_groups=None if groups is None else int(index_groups(groups, n).max()) + 1,
        threshold=threshold,
        metrics=metrics,
        confusion=confusion,
        test_looks=test_looks,
    )


def save_scores(
    path: str | Path,
    *,
    files: Sequence[str],
    splits: Sequence[str],
    labels: ArrayLike,
    scores: ArrayLike,
    groups: Sequence[Any] | None = None,
    sources: Sequence[str] | None = None,
) -> None:
    """Write the scores as parquet, whole or not at all, so that all figures can be made again without pictures.

    Columns: file, split, group, source (text; group and source null where not known), label (int8, 1 fake),
    score (float64, P(fake)).

    Args:
        path: file to write or replace.
        files: N names of pictures.
        splits: N names of splits.
        labels: (N,) integers, 0 real and 1 fake.
        scores: (N,) P(fake).
        groups: N group names.
        sources: N source names.
    """
    texts = {"file": files, "split": splits, "group": groups, "source": sources}
    columns = {name: pd.Series(text, index=range(len(files)), dtype="string") for name, text in texts.items()}
    table = pd.DataFrame(
        {**columns, "label": np.asarray(labels, np.int8), "score": np.asarray(scores, np.float64)},
    )
    with replacing(Path(path)) as temporary:
        table.to_parquet(temporary, index=False)


def _plain(value: Any) -> Any:
    """`value` in JSON's own types; NaN and infinity become None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def _read(kind: Any, value: Any, where: str) -> Any:
    """JSON `value` as `kind`: a dataclass, dict, union with None, or plain type; TypeError names what is wrong."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin is types.UnionType:
        return None if value is None else _read(arguments[0], value, where)
    if origin is dict and isinstance(value, dict):
        return {key: _read(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if is_dataclass(kind) and isinstance(value, dict):
        hints = typing.get_type_hints(kind)
        if missing := hints.keys() - value.keys():
            raise TypeError(f"{where} has no {min(missing)}")
        return kind(**{name: _read(hint, value[name], f"{where}.{name}") for name, hint in hints.items()})
    if kind is float and type(value) is int:
        return float(value)
    if kind in (str, int, float) and type(value) is kind:
        return value
    raise TypeError(f"{where} has the wrong type")
