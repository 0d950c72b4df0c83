"""The report of a checkpoint: what was measured, on what, made how; one JSON file."""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hf_deepfake.errors import InputError
from hf_deepfake.files import local_path, write_json
from hf_deepfake.metrics.conditions import ConditionResult
from hf_deepfake.metrics.error_groups import ATTRIBUTES, ErrorGroup, worst_groups
from hf_deepfake.metrics.foreign import ForeignResult
from hf_deepfake.metrics.one_sided import one_sided_splits
from hf_deepfake.metrics.result import UNSURE_METRICS, Metric, SplitResult
from hf_deepfake.metrics.subgroups import FACETS, OwnThreshold
from hf_deepfake.metrics.videos import VideoResult
from hf_deepfake.report.foreign_table import CROSS_CALIBRATED, IN_SOURCE_ONLY, foreign_rows
from hf_deepfake.report.text_table import align
from hf_deepfake.report.typed_json import plain, read_typed
from hf_deepfake.report.video_table import video_note, video_rows

FORMAT_VERSION = 1

REPORT_FILE = "report.json"

ROLES = ("training", "calibration")
"""What origins may have been used for; what is foreign to both evaluates."""

MAIN_METRICS = {
    "auc": "AUC",
    "average_precision": "Average precision",
    "eer": "Equal error rate",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "recall_fake": "Recall of fake",
    "recall_real": "Recall of real",
    "f1_fake": "F1 of fake",
    "fpr_at_recall_95": "FPR@95TPR",
    "brier": "Brier score",
    "ece": "Calibration error (ECE)",
}
"""The metrics that a summary shows, with the names that it gives them."""


@dataclass(frozen=True)
class Mean(Metric):
    """A mean over images.

    Attributes:
        n: images that it is a mean of.
    """

    n: int = 0


@dataclass(frozen=True)
class ExplanationResult:
    """What was measured of the maps of one method on one set of images.

    Attributes:
        method: how the maps were made, such as "gradcam" or "gradcam, fine".
        data: the set.
        n: images.
        metrics: means over the images, by the names that `faithfulness` and `regions` give them.
    """

    method: str
    data: str
    n: int
    metrics: dict[str, Mean]


@dataclass(frozen=True)
class Part:
    """One of the checkpoints that another was combined of.

    Attributes:
        name: of its folder or repository.
        model: name of its model.
        share: what it counts for; all parts together make 1.
    """

    name: str
    model: str
    share: float


@dataclass(frozen=True)
class Combination:
    """How a checkpoint was combined of others.

    Attributes:
        method: "log_odds" or "weights", whichever was averaged.
        flip: whether the mirrored image is evaluated too.
        parts: the checkpoints.
    """

    method: str
    flip: bool
    parts: list[Part]

    def __str__(self) -> str:
        """One sentence without a full stop."""
        names = ", ".join(f"{part.name} ({part.model}, {part.share:.3g})" for part in self.parts)
        what = {"log_odds": "mean calibrated log-odds", "weights": "averaged weights"}[self.method]
        return f"{what} of {names}" + (", each on the image and its mirror image" if self.flip else "")


@dataclass(frozen=True)
class BackendResult:
    """How another runtime's scores differ from torch's in float32, on the same images.

    Attributes:
        runtime: "torch", "openvino" or "onnx".
        precision: "fp32", "bf16" or "int8".
        n: images.
        largest: largest difference of P(fake).
        mean: mean absolute difference of P(fake).
        auc_difference: its AUC minus torch's.
        changed: verdicts that differ, of images that neither calls unsure.
        agrees: whether it may stand in for torch.
        images_per_second: from files to verdicts, on `machine`.
        machine: that measured.
        doubt: why it may not stand in for torch; empty where it may.
    """

    runtime: str
    precision: str
    n: int
    largest: float
    mean: float
    auc_difference: Metric
    changed: int
    agrees: bool
    images_per_second: float
    machine: str
    doubt: str = ""


@dataclass(frozen=True)
class CheckpointInfo:
    """The checkpoint that was measured.

    Attributes:
        model: timm name of the model; for a model of others, its repository, folder or function.
        image_size: side of the square input, px; 0 where it is not known.
        parameters: number of weights; 0 where it is not known.
        temperature: what logits were divided by (folded into the weights).
        operating_point: P(fake) after temperature from which the verdict is fake (folded into the weights).
        criterion: what the operating point was chosen by; empty where it was not chosen.
        decided_on: the images that decided on temperature, operating point and band; empty where not known.
        abstention_band: lowest and highest P(fake) after temperature on which the verdict is unsure; None for no such
            band.
        confident_error: largest share of each class that the band lets be confidently misclassified.
        remarks: sentences on what is evaluated, where it is a model of others.
    """

    model: str
    image_size: int
    parameters: int
    temperature: float = 1.0
    operating_point: float = 0.5
    criterion: str = ""
    decided_on: str = ""
    abstention_band: tuple[float, float] | None = None
    confident_error: float | None = None
    remarks: list[str] = field(default_factory=list)

    def size(self) -> list[str]:
        """Image size and number of weights in words, as far as they are known."""
        parameters = f"{self.parameters / 1e6:.1f} M parameters"
        return [f"{self.image_size} px"] * bool(self.image_size) + [parameters] * bool(self.parameters)


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that is known about a checkpoint.

    Attributes:
        checkpoint: what was measured.
        splits: results by split name.
        subsets: results of `evaluated` apart, by facet and value, as `subsets.measure_subsets` gives them.
        own_thresholds: what sources would gain by thresholds of their own.
        foreign: results on sources foreign to training and calibration; None where none was evaluated.
        cross_calibrated: results on calibration origins, each decided by the others alone; None for fewer than two.
        videos: the same by video, and how videos are decided; None where no image is known to be a video's frame.
        robustness: results on degraded images of `evaluated`, clean ones first; empty where not measured.
        errors: where errors gather on `evaluated`, worst groups first; empty where not analysed.
        roles: origins of the images that trained it and, apart from them, calibrated it, by the names of `ROLES`; empty
            where that is not known.
        data: `DataReport.to_dict()`; empty where it is not known.
        audit: what was found wrong with the data, as `audits.findings.Audit.for_report` gives it; empty for no audit.
        training: the run record (`run.json`); empty where it is not known.
        explanations: what was measured of its maps, one result for each set and method.
        backends: how exported models agree with it; empty where none was exported.
        combination: what it was combined of; None for a model that was trained as it is.
        notes: what its author adds for the card, in Markdown.
        created: UTC, ISO 8601.
        hf_deepfake: version of this package.
        format_version: of the JSON file.
    """

    checkpoint: CheckpointInfo
    splits: dict[str, SplitResult]
    subsets: dict[str, dict[str, SplitResult]] = field(default_factory=dict)
    own_thresholds: dict[str, OwnThreshold] = field(default_factory=dict)
    foreign: ForeignResult | None = None
    cross_calibrated: ForeignResult | None = None
    videos: VideoResult | None = None
    robustness: list[ConditionResult] = field(default_factory=list)
    errors: list[ErrorGroup] = field(default_factory=list)
    roles: dict[str, list[str]] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    audit: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    explanations: list[ExplanationResult] = field(default_factory=list)
    backends: list[BackendResult] = field(default_factory=list)
    combination: Combination | None = None
    notes: str = ""
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    hf_deepfake: str = field(default_factory=lambda: version("hf-deepfake"))
    format_version: int = FORMAT_VERSION

    @property
    def evaluated_split(self) -> str:
        """Name of the split that tells how good the checkpoint is: test, or else the one that there is."""
        return "test" if "test" in self.splits else next(iter(self.splits))

    @property
    def warnings(self) -> list[str]:
        """What must be known before any number is believed: splits on which the threshold decides nothing."""
        return one_sided_splits(self.splits, self.checkpoint.criterion)

    def save(self, path: str | Path) -> None:
        """Write the report as JSON, with its `warnings`, whole or not at all; numbers that are not finite become null.

        Args:
            path: file to write or replace.
        """
        write_json(local_path(path), plain(asdict(self) | {"warnings": self.warnings}))

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
            content = json.loads(local_path(path).read_text(encoding="utf-8"))
            if isinstance(content, dict) and content.get("format_version", FORMAT_VERSION) != FORMAT_VERSION:
                raise InputError(
                    f"{path} has report format {content['format_version']}, this version reads {FORMAT_VERSION}; "
                    "use the version of hf-deepfake that wrote it, or evaluate again"
                )
            return read_typed(cls, content, "report")
        except OSError as error:
            raise InputError(f"cannot read {path} ({error.strerror}); name a report.json") from error
        except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
            raise InputError(f"{path} is not a whole report ({error}); evaluate the checkpoint again") from error

    def summary(self) -> str:
        """Lay out the main metrics of all splits, and what was measured apart.

        Returns:
            Text tables of a few lines, metrics with their 95 % intervals.
        """
        checkpoint, splits = self.checkpoint, self.splits.values()
        rows = [["", *self.splits]]
        rows.append(["Images", *(f"{split.n_real} real, {split.n_fake} fake" for split in splits)])
        if any(split.n_groups for split in splits):
            rows.append(["Groups", *(str(split.n_groups or "") for split in splits)])
        for name, title in MAIN_METRICS.items():
            rows.append([title, *(str(split.metrics[name]) for split in splits)])
        for name, title in UNSURE_METRICS.items():
            if any(split.unsure for split in splits):
                rows.append([title, *(str(split.unsure.get(name, "")) for split in splits)])
        lines = [", ".join([checkpoint.model, *checkpoint.size()]), *checkpoint.remarks]
        lines += align(rows)
        if self.combination:
            lines.insert(1, f"{self.combination}")
        apart = {facet: self.subsets[facet] for facet in FACETS if facet in self.subsets}
        for facet, found in apart.items():
            metrics = ("auc", "accuracy")
            head = [FACETS[facet], "Images", *(MAIN_METRICS[metric] for metric in metrics)]
            cells = [
                [name, f"{one.n_real} real, {one.n_fake} fake", *(str(one.metrics[metric]) for metric in metrics)]
                for name, one in found.items()
            ]
            lines += ["", *align([head, *cells])]
        for title, result in {CROSS_CALIBRATED: self.cross_calibrated, "": self.foreign}.items():
            lines += [title, *align(foreign_rows(result))] if result else []
        lines += [] if self.foreign or self.cross_calibrated else ["", IN_SOURCE_ONLY]
        if self.videos:
            lines += ["", *align(video_rows(self.videos, MAIN_METRICS))]
            lines += ["", *align(foreign_rows(self.videos.foreign, "Videos"))] if self.videos.foreign else []
            lines.append(video_note(self.videos, checkpoint.operating_point))
        if seen := self.data.get("seen"):
            lines += ["", f"{seen:,} of these images had a part in making the checkpoint; their share hardly counts"]
        if worst := worst_groups(self.errors):
            rows = [["Errors gather in", "Wrong", "More than elsewhere", "What would help"]]
            for one in worst:
                group = f"{ATTRIBUTES[one.attribute].title}: {one.value}"
                rows.append([group, str(one.wrong), str(one.excess), one.hint])
            lines += ["", *align(rows)]
        lines += [line for warning in self.warnings for line in ("", f"WARNING: {warning}")]
        return "\n".join(lines)
