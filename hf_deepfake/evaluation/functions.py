"""Functions from images to P(fake): any detector that Python can call."""

import importlib
import operator
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
from datasets import Dataset
from numpy.typing import ArrayLike, NDArray

from hf_deepfake.data.batch import OpenedBatch, OpenedImages
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.inference import by_all_processes
from hf_deepfake.evaluation.scorers import BATCH_SIZE, UNDECIDED, Change, Scorer, said
from hf_deepfake.files import local_path
from hf_deepfake.metrics.classification import Floats
from hf_deepfake.report.report import CheckpointInfo

Function = Callable[[list[PIL.Image.Image]], ArrayLike]
"""From a list of RGB images to P(fake) of each, in [0, 1]."""


class FunctionScorer(Scorer):
    """A function from a list of RGB images to P(fake) of each.

    Args:
        name: "module:function".
        function: the function.
    """

    def __init__(self, name: str, function: Function) -> None:
        self.name, self.function = name, function

    def describe(self) -> CheckpointInfo:
        """What a report says of it."""
        kind = "A function from images to P(fake): nothing is known of its model, size and weights."
        return CheckpointInfo(self.name, 0, 0, remarks=[kind, *UNDECIDED])

    def score(self, images: Dataset, *, change: Change | None = None, fast: bool = False, title: str = "") -> Floats:
        """Score images; see `Scorer.score`."""
        opened = OpenedImages(images, _as_it_is, change)
        # No workers: what the function's module has started (threads, a GPU) may not survive a fork.
        return by_all_processes(self._compute, opened, 0, BATCH_SIZE, (), title)

    def _compute(self, batch: OpenedBatch) -> NDArray:
        """P(fake) of a batch, checked."""
        n = len(batch.images)
        try:
            given = self.function(batch.images)
        except Exception as error:
            raise InputError(f"{self.name} failed on {n} images ({said(error)}); mend it") from error
        wanted = "it must give one P(fake) in [0, 1] for each, in their order"
        try:
            values = np.asarray(given, np.float64)
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{self.name} gave {type(given).__name__}, no numbers, for {n} images; {wanted}"
            ) from error
        if values.shape != (n,):
            shape = f"{len(values):,} values" if values.ndim == 1 else f"values of the shape {values.shape}"
            raise InputError(f"{self.name} gave {shape} for {n} images; {wanted}")
        wrong = values[~((values >= 0) & (values <= 1))]  # NaN too
        if len(wrong):
            raise InputError(f"{self.name} gave {wrong[0]:g} as P(fake) of an image; {wanted}")
        return values


def find_function(model: str | Path | Function) -> tuple[str, Function] | None:
    """Find the function that a model is.

    Args:
        model: a function, or "module:function", where the module may lie in the working directory; or another model.

    Returns:
        Its name and the function; None where the model is no function.

    Raises:
        InputError: it cannot be imported, or is no function.
    """
    if not isinstance(model, (str, Path)):
        return f"{model.__module__}:{getattr(model, '__qualname__', type(model).__name__)}", model
    name = str(model)
    if not re.fullmatch(r"[^\W\d][\w.]*:[^\W\d][\w.]*", name) or local_path(name).exists():
        return None
    module, _, path = name.partition(":")
    if (here := os.getcwd()) not in sys.path:  # noqa: PTH109
        sys.path.insert(0, here)  # as `python -m` has it; it stays, for what the function imports later
    try:
        function = operator.attrgetter(path)(importlib.import_module(module))
    except Exception as error:  # the module is any code
        raise InputError(
            f"{name} cannot be imported ({said(error)}); give module:function, importable from here"
        ) from error
    if not callable(function):
        raise InputError(f"{name} is a {type(function).__name__}, no function; name one that takes a list of images")
    return name, function


def _as_it_is(image: PIL.Image.Image) -> PIL.Image.Image:
    """A function gets the image itself."""
    return image
