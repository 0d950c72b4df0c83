"""What `load_images` found and did, for the log, the run record and the model card."""

import logging
from dataclasses import asdict, dataclass, field
from typing import Any

from hf_deepfake.config import LABELS, SPLITS
from hf_deepfake.data.walk import describe_left_out

logger = logging.getLogger(__name__)

_NAMED = 3  # examples of each trouble in the summary; the report itself names all


@dataclass(frozen=True)
class DataReport:
    """Counts of a loaded data set, and everything that was left out or looks wrong.

    Attributes:
        counts: images by split and class.
        sources: images by source, split and class.
        listed: images found, before any was left out.
        bad_files: name (as of `image_names.name_images`, without where the data lie) and reason of each image
            that did not open; all were skipped.
        leaked_groups: groups that given splits share.
        leaked_images: number of different images that given splits share.
        dropped: images left out of the earlier split because of these leaks.
        duplicates: images whose pixels another image of the same split has already.
        label_conflicts: name of a real and of a fake image with the same pixels, one pair for each such image.
        unmatched_rows: rows of tables that name no image.
        made: splits that were made here, by source.
        origins: origins of the images, sorted; see `DataConfig.origins`.
        fingerprint: SHA-256 over hash, label and split of all images: equal for equal data, wherever it lies.
        unlabelled: images left out because no table says their label.
        notes: by source, lines that say where labels and groups are from, and which folders were not looked into.
        left_out: files that were not read, by suffix or what else they are.
    """

    counts: dict[str, dict[str, int]]
    sources: dict[str, dict[str, dict[str, int]]]
    listed: int
    bad_files: tuple[tuple[str, str], ...]
    leaked_groups: tuple[str, ...]
    leaked_images: int
    dropped: int
    duplicates: int
    label_conflicts: tuple[tuple[str, str], ...]
    unmatched_rows: int
    made: dict[str, tuple[str, ...]]
    origins: tuple[str, ...]
    fingerprint: str
    unlabelled: int = 0
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether nothing was left out and nothing looks wrong."""
        return not (
            self.bad_files
            or self.leaked_groups
            or self.leaked_images
            or self.duplicates
            or self.label_conflicts
            or self.unmatched_rows
            or self.unlabelled
            or self.left_out
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON has them."""
        return {
            **asdict(self),
            "bad_files": [list(pair) for pair in self.bad_files],
            "leaked_groups": list(self.leaked_groups),
            "label_conflicts": [list(pair) for pair in self.label_conflicts],
            "made": {source: list(splits) for source, splits in self.made.items()},
            "origins": list(self.origins),
            "notes": {source: list(notes) for source, notes in self.notes.items()},
        }

    def warn_of_losses(self) -> None:
        """Say in the log what was left out, for those who do not show the summary."""
        for line in self._losses():
            logger.warning("%s", line)

    def summary(self) -> str:
        """A table of the counts and a line for each further finding."""
        tables = {"all": self.counts} if len(self.sources) == 1 else self.sources | {"all": self.counts}
        width = max(map(len, tables))
        rows = [("", *SPLITS)]
        for name, table in tables.items():
            for label in LABELS:
                rows.append((f"{name:{width}} {label}", *(f"{table[split][label]:,}" for split in SPLITS)))
        first = max(len(row[0]) for row in rows)
        lines = [f"{row[0]:{first}}" + "".join(f"{cell:>12}" for cell in row[1:]) for row in rows]
        return "\n".join([*lines, *self._findings()])

    def _findings(self) -> list[str]:
        """One line for each finding."""
        lines = [f"made here for {source}: {', '.join(splits)}" for source, splits in self.made.items()]
        lines += [f"{source}: {note}" for source, notes in self.notes.items() for note in notes]
        lines += self._losses()
        if self.leaked_groups or self.leaked_images:
            what = f"dropped {self.dropped:,} images from the earlier split" if self.dropped else "kept as they are"
            lines.append(
                f"leaks between splits: {len(self.leaked_groups):,} groups, {self.leaked_images:,} images; {what}"
            )
        if self.duplicates:
            lines.append(f"{self.duplicates:,} images repeat another one of their split; kept")
        if self.label_conflicts:
            pairs = [f"{real} = {fake}" for real, fake in self.label_conflicts]
            lines.append(f"{len(pairs):,} images are in both classes: {_some(pairs)}; kept")
        if self.unmatched_rows:
            lines.append(f"{self.unmatched_rows:,} rows of tables name no image that is here")
        if self.unlabelled:
            lines.append(f"{self.unlabelled:,} images left out, for no table has a row with their label")
        return lines

    def _losses(self) -> list[str]:
        """What was not read, and what did not open."""
        lines = [describe_left_out(self.left_out)] if self.left_out else []
        if self.bad_files:
            reasons = [reason if name in reason else f"{name}: {reason}" for name, reason in self.bad_files]
            lines.append(f"skipped {len(reasons):,} of {self.listed:,} that do not open: {_some(reasons)}")
        return lines


def _some(items: list[str]) -> str:
    """The first items, and that there are more."""
    return "; ".join(items[:_NAMED]) + ("; ..." if len(items) > _NAMED else "")
