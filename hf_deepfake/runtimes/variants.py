"""A runtime and what it computes in, and which of them agree with torch on a checkpoint."""

import json
from dataclasses import dataclass
from pathlib import Path

from hf_deepfake.errors import InputError
from hf_deepfake.runtimes.export import backend_file

_REPORT = "report.json"
_PRECISIONS = ("int8", "bf16", "fp32")


@dataclass(frozen=True)
class Variant:
    """A runtime and what it computes in.

    Attributes:
        runtime: "torch", "openvino" or "onnx".
        precision: "fp32", "bf16" or "int8".
    """

    runtime: str
    precision: str

    def __str__(self) -> str:
        """Such as "openvino int8"."""
        return f"{self.runtime} {self.precision}"


PLAIN = Variant("torch", "fp32")
"""What all others are compared with, and what is there without an export."""


def agreeing(folder: Path) -> list[Variant]:
    """Variants that a checkpoint's report says agree with torch in float32.

    The report's few fields are read as they are: to read it whole would import most of this package before the first
    verdict.

    Args:
        folder: of the checkpoint; its exported files need not be there.

    Returns:
        Variants beside `PLAIN`, in the order in which they are as a rule fast; none without a report.

    Raises:
        InputError: the report does not say what agrees.
    """
    report = folder / _REPORT
    if not report.is_file():
        return []
    try:
        results = json.loads(report.read_text(encoding="utf-8"))["backends"]
        found = [Variant(one["runtime"], one["precision"]) for one in results if one["agrees"]]
        found.sort(key=lambda one: (_PRECISIONS.index(one.precision), one.runtime != "openvino"))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{report} does not say what agrees; run hf-deepfake export again") from error
    return [one for one in found if one != PLAIN]


def variant_files(folder: Path, variant: Variant) -> list[Path]:
    """Where the files of a variant of an exported runtime lie, whether they are there or not.

    Args:
        folder: of the checkpoint.
        variant: of another runtime than torch.

    Returns:
        The file that the runtime reads, and what belongs to it.
    """
    if variant.runtime == "openvino":
        file = backend_file(folder, "openvino", variant.precision == "int8")
        return [file, file.with_suffix(".bin")]
    return [backend_file(folder, "onnx", variant.precision == "int8")]


def exported_files(folder: Path) -> list[Path]:
    """The exported files of a checkpoint that are there and agree with torch.

    Args:
        folder: of the checkpoint.

    Returns:
        Paths, sorted.

    Raises:
        InputError: the report does not say what agrees.
    """
    files = {file for one in agreeing(folder) if one.runtime != "torch" for file in variant_files(folder, one)}
    return sorted(file for file in files if file.is_file())
