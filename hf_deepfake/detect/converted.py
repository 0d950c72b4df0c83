"""A checkpoint without exported files on OpenVINO: converted when it is first loaded, and kept in the cache."""

import importlib.util
import logging
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

import torch
from torch.nn import functional

from hf_deepfake.detect.backends import OpenVinoBackend, TorchBackend
from hf_deepfake.errors import InputError
from hf_deepfake.files import cache_path, make_folder
from hf_deepfake.models.checkpoint import LoadedCheckpoint
from hf_deepfake.runtimes.export import backend_file, export_backend

FOLDER = "runtimes"
"""Folder of converted models in the cache."""

KEPT = 8
"""Models that are kept, the newest: a ResNet50 has 94 MB."""

LARGEST = 1e-5
"""Largest difference of P(fake) from torch, as between the readers of a checkpoint."""

_DRAWN = 8


def convert(loaded: LoadedCheckpoint) -> Path | None:
    """Convert a checkpoint to OpenVINO in float32, or find what an earlier call made of the same weights.

    The converted model is kept only if P(fake) of drawn images differs by at most `LARGEST` from torch's; otherwise an
    empty folder is kept, so that nothing is tried again.

    Args:
        loaded: the checkpoint.

    Returns:
        The file for `OpenVinoBackend`; None where OpenVINO is not installed, the model cannot be converted or does not
        agree, or the cache cannot be written.
    """
    if loaded.digest is None or importlib.util.find_spec("openvino") is None:
        return None
    parent = cache_path() / FOLDER
    folder = parent / f"{loaded.digest[:32]}-{version('openvino')}"
    file = backend_file(folder, "openvino", False)
    if not folder.is_dir():
        try:
            make_folder(parent)
            with tempfile.TemporaryDirectory(dir=parent, prefix=".") as temporary:
                _convert(loaded, Path(temporary) / "new", file.relative_to(folder))
                _keep(Path(temporary) / "new", folder)
        except (InputError, OSError):
            return None
    return file if file.is_file() else None


def drawn_images(side: int) -> torch.Tensor:
    """Images that hold coarse and fine structure: noise of one value for 1, 2, 4 ... px, enlarged smoothly.

    Args:
        side: px.

    Returns:
        float32 (8, 3, side, side), about as a normalised image.
    """
    generator = torch.Generator().manual_seed(0)
    cells = [max(2, side >> level) for level in range(_DRAWN)]
    noise = [torch.randn(1, 3, cell, cell, generator=generator) for cell in cells]
    return torch.cat([functional.interpolate(one, (side, side), mode="bilinear") for one in noise])


def _convert(loaded: LoadedCheckpoint, folder: Path, file: Path) -> None:
    """Fill a new folder with the converted model, or leave it empty."""
    logging.getLogger(__name__).warning("converting the model to OpenVINO, which is done once for these weights")
    folder.mkdir()
    side = loaded.config["pretrained_cfg"]["input_size"][-1]
    try:
        export_backend(loaded.model, side, folder, "openvino")
        pixels = drawn_images(side)
        found = [backend(pixels)[0] for backend in (TorchBackend(loaded.model), OpenVinoBackend(folder / file, "fp32"))]
        agrees = bool((found[0].softmax(dim=1) - found[1].softmax(dim=1)).abs().max() <= LARGEST)
    except (InputError, RuntimeError):
        agrees = False
    if not agrees:
        shutil.rmtree(folder)
        folder.mkdir()


def _keep(made: Path, folder: Path) -> None:
    """Move a converted model to its place, unless another process was first, and drop the oldest."""
    if not folder.exists():
        made.rename(folder)
    models = sorted((one for one in folder.parent.glob("[!.]*") if one.is_dir()), key=lambda one: one.stat().st_mtime)
    for old in models[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
