"""Features of images, which is what a classifier takes of them: computed once and kept in the cache, for every run.

They depend on the image, its preprocessing, the model without its classifier, and the precision. Where none of these
changes, as from epoch to epoch of a classifier that trains alone, or from run to run, they need not be computed again.
"""

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from hf_deepfake.config import DataConfig
from hf_deepfake.data.batch import DecodedImages, Normalise, make_loader
from hf_deepfake.data.load import cache_folder, hash_images
from hf_deepfake.errors import InputError, Interrupted
from hf_deepfake.evaluation.inference import BATCH_SIZE, autocast
from hf_deepfake.images.formats import decoders
from hf_deepfake.models.adapter_folder import base_digest
from hf_deepfake.progress import Progress

FEATURES_FILE = "features.sqlite"
"""Name of the file in the cache; whoever deletes it loses nothing but time."""


def classifier_of(model: nn.Module) -> nn.Module:
    """Find the module that makes logits of features.

    Args:
        model: a timm model, perhaps in PEFT's wrapper.

    Returns:
        Its classifier, with all hidden layers.
    """
    timm_model: Any = model  # nn.Module declares no attributes, and timm has no common class
    return timm_model.get_classifier()


@contextlib.contextmanager
def kept_features(model: nn.Module) -> Generator[list[Tensor]]:
    """Keep what the classifier takes while the model runs.

    Args:
        model: a timm model, perhaps in PEFT's wrapper.

    Yields:
        A list that grows by one tensor (B, D), or (B, D, 1, 1), for each pass of B images.
    """
    kept: list[Tensor] = []
    handle = classifier_of(model).register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
    try:
        yield kept
    finally:
        handle.remove()


def compute_features(
    model: nn.Module,
    dataset: Dataset,
    data_config: dict[str, Any],
    workers: int,
    precision: str = "no",
    *,
    cache: DataConfig,
    rows: Sequence[int] | NDArray[np.int64] | None = None,
    reduced: bool = False,
    title: str = "",
    asked_to_stop: Callable[[], int | bool] = bool,
) -> Tensor:
    """Features of images, out of the cache where it has them, computed by all processes together.

    Args:
        model: a plain timm model, on its device; left in eval mode.
        dataset: a split with columns image and label.
        data_config: timm's preprocessing, as of `models.build.data_config`.
        workers: decoding processes for each process.
        precision: "bf16" or "fp16" for autocast, "no" for float32.
        cache: what the images were loaded with; says where the cache is.
        rows: positions of the images in the split; None is all.
        reduced: decode large JPEGs at reduced scale, as training does; see `data.batch.DecodedImages`.
        title: what progress is called; none is shown without.
        asked_to_stop: looked at after each batch; where it is true in any process, all stop together, and what was
            computed is kept.

    Returns:
        (N, D), or (N, D, 1, 1), on the CPU, as the classifier takes them, in the order of `rows`, the same on every
        process.

    Raises:
        ImageError: an image cannot be opened.
        InputError: the cache cannot be used.
        Interrupted: some process was asked to stop.
    """
    state = PartialState()
    device = next(model.parameters()).device
    rows = np.arange(len(dataset)) if rows is None else np.asarray(rows)
    places = np.arange(state.process_index, len(rows), state.num_processes)
    mine = rows[places]
    normalise = Normalise(data_config, device)

    @torch.inference_mode()
    def features_of(images: Tensor) -> Tensor:
        with kept_features(model) as kept, autocast(device, precision):
            model(normalise(images.to(device, non_blocking=True)))
        return kept[0].cpu()

    model.eval()
    like = features_of(torch.zeros(1, *data_config["input_size"], dtype=torch.uint8))
    keys = _keys(hash_images(dataset.select(mine), cache), model, data_config, device, precision, reduced)
    memory = _Memory(cache_folder(cache) / FEATURES_FILE, like[0].numel())
    found = memory.read(keys)
    own = np.array([found.get(key, memory.nothing) for key in keys], np.float32).reshape(len(keys), -1)
    missing = [place for place, key in enumerate(keys) if key not in found]
    batches = [missing[start : start + BATCH_SIZE] for start in range(0, len(missing), BATCH_SIZE)]
    images = DecodedImages(dataset, data_config, reduced=reduced)
    loader = make_loader(
        images, [mine[batch].tolist() for batch in batches], workers if missing else 0, device.type == "cuda"
    )
    title = f"features of {title}" if title else ""
    with Progress(title, len(missing), "images", shown=bool(title and missing) and state.is_main_process) as progress:
        for where, batch in zip(batches, loader, strict=True):
            own[where] = features_of(batch.images).float().flatten(1).numpy()
            memory.write([keys[place] for place in where], own[where])
            progress.update(len(where))
            if asked_to_stop():
                break
    if any(gather_object([bool(asked_to_stop())])):
        raise Interrupted
    features = torch.empty(len(rows), *like.shape[1:], dtype=like.dtype)
    for where, values in gather_object([(places, own)]):
        features[torch.from_numpy(where)] = torch.from_numpy(values).view(-1, *like.shape[1:]).to(like.dtype)
    return features


def logits_of_features(model: nn.Module, features: Tensor, precision: str = "no") -> NDArray[np.float64]:
    """Logits of images whose features are known.

    Args:
        model: a timm model with logits (real, fake), perhaps in PEFT's wrapper; its classifier is left in eval mode.
        features: of `compute_features`, in the same precision.
        precision: "bf16" or "fp16" for autocast, "no" for float32.

    Returns:
        float64 (N, 2).
    """
    classifier = classifier_of(model).eval()
    device = next(classifier.parameters()).device
    with torch.inference_mode(), autocast(device, precision):
        parts = [classifier(part.to(device)).flatten(1).float().cpu() for part in features.split(BATCH_SIZE)]
    return torch.cat(parts).numpy().astype(np.float64)


def predict_logits_by_features(
    model: nn.Module,
    dataset: Dataset,
    data_config: dict[str, Any],
    workers: int,
    *,
    cache: DataConfig,
    title: str = "",
    asked_to_stop: Callable[[], int | bool] = bool,
) -> NDArray[np.float64]:
    """Compute what `predict_logits` does in float32, but each image's features once for all models that share them.

    Args:
        model: of `compute_features`, with logits (real, fake).
        dataset: see there.
        data_config: see there.
        workers: see there.
        cache: see there.
        title: see there.
        asked_to_stop: see there.

    Returns:
        float64 (N, 2), in the split's order, the same on every process.
    """
    features = compute_features(
        model, dataset, data_config, workers, cache=cache, title=title, asked_to_stop=asked_to_stop
    )
    return logits_of_features(model, features)


def _keys(
    hashes: NDArray[np.bytes_],
    model: nn.Module,
    data_config: dict[str, Any],
    device: torch.device,
    precision: str,
    reduced: bool,
) -> list[bytes]:
    """What features are remembered by: the image, and everything that makes features of it."""
    timm_model: Any = model
    facts = {
        # Activations, for example, are not among the weights: the name of the architecture stands for the code.
        "architecture": timm_model.pretrained_cfg["architecture"],
        "weights": base_digest(model),
        "preprocessing": {name: data_config[name] for name in ("input_size", "mean", "std", "interpolation")},
        "reduced": reduced,
        "precision": [device.type, precision],
        "versions": [decoders(), timm.__version__, torch.__version__],
    }
    context = json.dumps(facts, sort_keys=True).encode()
    return [hashlib.blake2b(context + b"\0" + image, digest_size=16).digest() for image in hashes]


class _Memory:
    """Features by key, in a file of the cache that several processes may use at once."""

    def __init__(self, path: Path, numbers: int):
        self.path = path
        self.nothing = np.zeros(numbers, np.float32)

    def read(self, keys: list[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """Those that are known, float32 (D,) each."""
        with self._open() as file:
            found = ((key, file.execute("SELECT value FROM features WHERE key = ?", (key,)).fetchone()) for key in keys)
            known = {key: row[0] for key, row in found if row and len(row[0]) == self.nothing.nbytes}
        return {key: np.frombuffer(value, "<f4") for key, value in known.items()}

    def write(self, keys: list[bytes], values: NDArray[np.float32]) -> None:
        """Remember (B, D)."""
        with self._open() as file:
            rows = [(key, value.astype("<f4").tobytes()) for key, value in zip(keys, values, strict=True)]
            file.executemany("INSERT OR REPLACE INTO features VALUES (?, ?)", rows)

    @contextlib.contextmanager
    def _open(self) -> Generator[sqlite3.Connection]:
        """The file, for a moment: workers that start meanwhile inherit no open one."""
        try:
            with closing(sqlite3.connect(self.path, timeout=60)) as file, file:
                file.execute("CREATE TABLE IF NOT EXISTS features (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
                yield file
        except sqlite3.Error as error:
            raise InputError(
                f"{self.path} cannot be used ({error}); delete it or choose another --cache_dir"
            ) from error
