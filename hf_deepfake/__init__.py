"""Tell real face images from deepfakes, with numbers that survive a second look.

The public names are imported when first used, so that `import hf_deepfake` itself costs next to nothing.
"""

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_deepfake.config import TrainConfig
    from hf_deepfake.data.load import load_images
    from hf_deepfake.detect.detector import Detector
    from hf_deepfake.detect.verdict import Explanation, FaceVerdict, Verdict
    from hf_deepfake.errors import ImageError, InputError
    from hf_deepfake.hub.card import build_card
    from hf_deepfake.report.report import Report
    from hf_deepfake.training.run import train

    __version__: str

_HOMES = {
    "Detector": "detect.detector",
    "Explanation": "detect.verdict",
    "FaceVerdict": "detect.verdict",
    "InputError": "errors",
    "ImageError": "errors",
    "Report": "report.report",
    "TrainConfig": "config",
    "Verdict": "detect.verdict",
    "build_card": "hub.card",
    "load_images": "data.load",
    "train": "training.run",
}

__all__ = [
    "Detector",
    "Explanation",
    "FaceVerdict",
    "ImageError",
    "InputError",
    "Report",
    "TrainConfig",
    "Verdict",
    "build_card",
    "load_images",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("hf-deepfake")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
