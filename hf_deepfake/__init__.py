"""Tell real face images from deepfakes, with numbers that survive a second look.

The public names are imported when first used, so that `import hf_deepfake` itself costs next to nothing. No package or
module in here has the name of one of them: importing it would put it in the name's place.
"""

import importlib
import importlib.metadata
import os
from typing import TYPE_CHECKING, Any

# onnxruntime starts a telemetry client when it is imported, whose threads also end a forked child with an abort.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from hf_deepfake.audits.search import audit
    from hf_deepfake.config import DataConfig, TrainConfig
    from hf_deepfake.data.load import load_images
    from hf_deepfake.detect.detector import Detector
    from hf_deepfake.detect.verdict import Explanation, FaceVerdict, Verdict
    from hf_deepfake.detect.video_verdict import VideoVerdict
    from hf_deepfake.errors import ImageError, InputError, VideoError
    from hf_deepfake.evaluation.compare_models import compare
    from hf_deepfake.evaluation.evaluate import evaluate
    from hf_deepfake.hub.card import build_card
    from hf_deepfake.hub.push import push_to_hub
    from hf_deepfake.images.video import VideoLimits, read_frames
    from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint
    from hf_deepfake.report.report import Report
    from hf_deepfake.training.run import train
    from hf_deepfake.training.signals import Stopped

    __version__: str

_HOMES = {
    "DataConfig": "config",
    "Detector": "detect.detector",
    "Explanation": "detect.verdict",
    "FaceVerdict": "detect.verdict",
    "ImageError": "errors",
    "InputError": "errors",
    "Report": "report.report",
    "Stopped": "training.signals",
    "TrainConfig": "config",
    "Verdict": "detect.verdict",
    "VideoError": "errors",
    "VideoLimits": "images.video",
    "VideoVerdict": "detect.video_verdict",
    "audit": "audits.search",
    "build_card": "hub.card",
    "compare": "evaluation.compare_models",
    "evaluate": "evaluation.evaluate",
    "export_checkpoint": "models.checkpoint",
    "load_checkpoint": "models.checkpoint",
    "load_images": "data.load",
    "push_to_hub": "hub.push",
    "read_frames": "images.video",
    "train": "training.run",
}

__all__ = [
    "DataConfig",
    "Detector",
    "Explanation",
    "FaceVerdict",
    "ImageError",
    "InputError",
    "Report",
    "Stopped",
    "TrainConfig",
    "Verdict",
    "VideoError",
    "VideoLimits",
    "VideoVerdict",
    "audit",
    "build_card",
    "compare",
    "evaluate",
    "export_checkpoint",
    "load_checkpoint",
    "load_images",
    "push_to_hub",
    "read_frames",
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
