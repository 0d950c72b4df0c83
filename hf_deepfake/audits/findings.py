"""The result of an audit: what was counted and measured, and what of it matters."""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from hf_deepfake.audits.shortcut import Shortcut, Telling
from hf_deepfake.errors import InputError
from hf_deepfake.files import local_path

FORMAT_VERSION = 1

Severity = Literal["fatal", "warning", "note"]
"""fatal: numbers measured on this set would mislead; warning: read it before you train; note: good to know."""


Kind = Literal["near", "scene"]
"""Near duplicates, exact ones included; or images of the same scene that are no near duplicates."""


_SHORTCUTS = {
    "facts": "facts of the files",
    "statistics": "low-level statistics",
    "content": "content outside the face's looks",
}
"""What a shortcut may lie in, by the name of its table."""


@dataclass(frozen=True)
class Finding:
    """Something that matters.

    Attributes:
        severity: how much.
        what: one sentence with the numbers.
        advice: what to do about it, one sentence.
    """

    severity: Severity
    what: str
    advice: str


@dataclass(frozen=True)
class Shared:
    """Images on one side of a boundary that are like images on the other.

    Attributes:
        kind: in what they are alike.
        later: the side that is counted: validation, test, fake, or "NAME's" of the set audited against.
        earlier: the other side: train, validation, real, or the set itself.
        images: images of the later side that are like one of the earlier side, directly or through others.
        of: images of the later side.
        examples: names of a later and an earlier image each.
    """

    kind: Kind
    later: str
    earlier: str
    images: int
    of: int
    examples: list[list[str]]


@dataclass(frozen=True)
class Files:
    """What was found of the files, over those whose facts were read.

    Attributes:
        n: files.
        sizes: the ten most common, each width and height in px, and the number of real and of fake images.
        size_count: how many different sizes there are.
        sides: histogram of the shorter side: lower and upper edge in px, and the number of real and of fake images.
        tiny: shortest side below `run.TINY`.
        grey: stored as grey.
        long: one side more than twice the other.
    """

    n: int
    sizes: list[list[int]]
    size_count: int
    sides: list[list[int]]
    tiny: int
    grey: int
    long: int


@dataclass(frozen=True, kw_only=True)
class Audit:
    """An audit of a data set.

    Attributes:
        data: the sources' names.
        against: name of the set that must share nothing with it, None if there is none.
        level: `full` or `basic`.
        report: `DataReport.to_dict()`: counts by split and class, by source, files that do not open, exact leaks.
        files: what was found of the files.
        shared: near duplicates and shared scenes across splits, classes and sets; only where there are any.
        scene_count: groups that near duplicates, scenes and given groups make; None if not looked for.
        largest_scene: images in the largest of them, None if not looked for.
        shortcuts: by `facts`, `statistics` and `content`; what was not measured, or had too few images, is left out.
        findings: what matters, the worst first.
        created: UTC, ISO 8601.
        hf_deepfake: version of this package.
        format_version: of the JSON file.
        sheets: JPEG files, a sheet of images drawn from each class by name; not in the JSON file.
    """

    data: list[str]
    against: str | None
    level: Literal["full", "basic"]
    report: dict[str, Any]
    files: Files
    shared: list[Shared]
    scene_count: int | None
    largest_scene: int | None
    shortcuts: dict[str, Shortcut]
    findings: list[Finding]
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    hf_deepfake: str = field(default_factory=lambda: version("hf-deepfake"))
    format_version: int = FORMAT_VERSION
    sheets: dict[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    @property
    def fatal(self) -> bool:
        """Whether numbers measured on this set would mislead."""
        return any(finding.severity == "fatal" for finding in self.findings)

    @property
    def unseen(self) -> list[str]:
        """What was not looked at, so that no findings there mean nothing: by the level, or for want of images."""
        never = ["near duplicates", "images of one scene"] if self.level == "basic" else []
        return never + [text for name, text in _SHORTCUTS.items() if name not in self.shortcuts]

    def to_dict(self) -> dict[str, Any]:
        """All fields but the sheets, as JSON has them."""
        values = asdict(self)
        del values["sheets"]
        return values

    def for_report(self) -> dict[str, Any]:
        """What a checkpoint's report keeps: level, what was unseen, findings, each shortcut's AUC with its interval."""
        numbers = ("auc", "low", "high", "n")
        return {
            "level": self.level,
            "unseen": self.unseen,
            "findings": [asdict(finding) for finding in self.findings],
            "shortcuts": {
                name: {number: getattr(shortcut, number) for number in numbers}
                for name, shortcut in self.shortcuts.items()
            },
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Audit":
        """Rebuild an audit.

        Args:
            values: what `to_dict` gave.

        Returns:
            The audit, without sheets.

        Raises:
            InputError: another version of this package wrote it, or something is missing.
        """
        if values.get("format_version") != FORMAT_VERSION:
            raise InputError(
                f"the audit has format {values.get('format_version')}, this version reads {FORMAT_VERSION}; audit again"
            )
        try:
            shortcuts = {
                name: Shortcut(**one | {"telling": [Telling(**feature) for feature in one["telling"]]})
                for name, one in values["shortcuts"].items()
            }
            parts: dict[str, Any] = {
                "files": Files(**values["files"]),
                "shared": [Shared(**one) for one in values["shared"]],
                "shortcuts": shortcuts,
                "findings": [Finding(**one) for one in values["findings"]],
            }
            return cls(**(values | parts))
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"the audit is not whole ({error}); audit again") from error

    @classmethod
    def load(cls, path: str | Path) -> "Audit":
        """Read `audit.json`.

        Args:
            path: the file.

        Returns:
            The audit, without sheets.

        Raises:
            InputError: there is no such file, or it is no audit that this version reads.
        """
        try:
            values = json.loads(local_path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"cannot read {path} ({error.strerror}); name an audit.json") from error
        except ValueError as error:
            raise InputError(f"{path} is not JSON ({error}); audit again") from error
        return cls.from_dict(values if isinstance(values, dict) else {})
