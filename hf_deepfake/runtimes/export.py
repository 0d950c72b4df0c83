"""Models for other runtimes: OpenVINO and ONNX files beside a checkpoint, in float32 or int8.

Both take pixels (N, 3, S, S), normalised, and give `logits` (N, 2) and, for models whose linear classifier follows mean
pooling, `maps` (N, 2, h, w): the classifier's rows times the features of each cell. That is Grad-CAM before its
rectifier, in the unit of `explain.cam.Maps`, for the price of a 1 x 1 convolution.
"""

import contextlib
import logging
import warnings
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hf_deepfake.errors import InputError
from hf_deepfake.files import make_folder
from hf_deepfake.models.fold import final_layer
from hf_deepfake.runtimes.quantisation import quantise_onnx, quantise_openvino

Format = Literal["openvino", "onnx"]
FORMATS: tuple[Format, ...] = get_args(Format)

FOLDER = "backends"
"""Folder of these files in a checkpoint."""


class OnePass(nn.Module):
    """A model that gives its logits, and the maps of both where its head allows."""

    def __init__(self, model: nn.Module, with_maps: bool):
        super().__init__()
        self.model, self.with_maps = model, with_maps

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Logits (N, 2), and maps (N, 2, h, w) if wanted."""
        if not self.with_maps:
            return (self.model(pixels),)
        model: Any = self.model  # nn.Module declares no attributes, and timm has no common class
        features = model.forward_features(pixels)
        weight, _ = final_layer(model)
        return model.forward_head(features), functional.conv2d(features, weight.reshape(2, -1, 1, 1))


@torch.no_grad()
def pools_linearly(model: nn.Module, side: int) -> bool:
    """Whether one linear layer follows the mean over the cells, so that maps come with the logits.

    Args:
        model: a timm model of two logits, in eval mode.
        side: of its input, px.

    Returns:
        True where the mean of the maps, plus the bias, is the logits of an image of noise.
    """
    timm_model: Any = model
    pixels = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    try:
        features = timm_model.forward_features(pixels)
        weight, bias = final_layer(model)
        maps = functional.conv2d(features, weight.reshape(2, -1, 1, 1))
    except (AttributeError, InputError, RuntimeError, TypeError):
        return False
    return torch.allclose(maps.mean(dim=(2, 3)) + bias, timm_model.forward_head(features), rtol=1e-3, atol=1e-4)


def backend_file(folder: Path, form: Format, int8: bool) -> Path:
    """Where an exported model lies.

    Args:
        folder: of the checkpoint.
        form: "openvino" or "onnx".
        int8: whether it is quantised.

    Returns:
        Path of the file that the runtime reads.
    """
    suffix = {"openvino": "xml", "onnx": "onnx"}[form]
    return folder / FOLDER / f"{form}_{'int8' if int8 else 'fp32'}.{suffix}"


def export_backend(
    model: nn.Module, side: int, folder: Path, form: Format, calibration: Sequence[NDArray[np.float32]] | None = None
) -> Path:
    """Write a model for another runtime.

    Weights stay float32 unless images for calibration are given; then the model is quantised to int8, see
    `runtimes.quantisation`.

    Args:
        model: a timm model of two logits, on the CPU in eval mode.
        side: of its input, px.
        folder: of the checkpoint; receives the file in `backends/`.
        form: "openvino" or "onnx".
        calibration: pixels (1, 3, side, side) of some hundred images that it will not be evaluated by.

    Returns:
        The file.

    Raises:
        InputError: the format's packages are not installed, or the model cannot be written in it.
    """
    one_pass = OnePass(model, pools_linearly(model, side)).eval()
    example = torch.zeros(2, 3, side, side)
    file = backend_file(folder, form, calibration is not None)
    make_folder(file.parent)
    try:
        with _quiet():
            written = _to_openvino(one_pass, example) if form == "openvino" else _to_onnx(one_pass, example)
            if calibration is not None:
                quantise = quantise_openvino if form == "openvino" else quantise_onnx
                written = quantise(written, calibration)
            _save(written, form, file)
    except ImportError as error:
        packages = {"openvino": "openvino and nncf", "onnx": "onnx, onnxscript and nncf"}[form]
        raise InputError(
            f"{form} files need {packages}, and {error.name} is not here; run pip install 'hf-deepfake[{form}]'"
        ) from error
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"this model cannot be written for {form} ({reason}); use the other format") from error
    return file


def _to_openvino(one_pass: OnePass, example: Tensor) -> Any:
    """An OpenVINO model that takes any number of images."""
    import openvino

    shape = openvino.PartialShape([-1, *example.shape[1:]])
    model = openvino.convert_model(one_pass, example_input=example, input=[shape])
    for output, name in zip(model.outputs, ("logits", "maps"), strict=False):
        output.get_tensor().set_names({name})
    return model


def _to_onnx(one_pass: OnePass, example: Tensor) -> Any:
    """An ONNX model that takes any number of images."""
    names = ["logits", "maps"][: 1 + one_pass.with_maps]
    images = torch.export.Dim("images")
    program = torch.onnx.export(
        one_pass,
        (example,),
        dynamo=True,
        input_names=["pixels"],
        output_names=names,
        dynamic_shapes=({0: images},),
        verbose=False,
    )
    assert program is not None
    written = program.model_proto
    # The exporter notes for each node from which line of which file on this machine it comes.
    for parts in (written.graph, *written.functions):
        for part in (*parts.node, *parts.value_info):
            del part.metadata_props[:]
    return written


def _save(model: Any, form: Format, file: Path) -> None:
    """Write the file."""
    if form == "openvino":
        import openvino

        openvino.save_model(model, file, compress_to_fp16=False)
    else:
        import onnx

        onnx.save(model, file)


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Without the exporters' remarks about themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
