"""Many pictures: where they are, which are broken or the same, and how they are split."""

from hf_deepfake.data.load import load_images, prepare
from hf_deepfake.data.report import DataReport

__all__ = ["DataReport", "load_images", "prepare"]
