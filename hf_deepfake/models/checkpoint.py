"""The checkpoint folder: `config.json` and `model.safetensors`, which four readers load to the same score.

timm, transformers (pipeline and auto classes) and `hf_deepfake.Detector` read timm's own format. What is ours
stands under one key, `hf_deepfake`. A change of this format is a change of contract: every reader must agree.
"""

import json
import logging
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL.Image import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from timm.data import create_transform, resolve_data_config
from torch import Tensor, nn

from hf_deepfake.errors import InputError
from hf_deepfake.files import local_path
from hf_deepfake.images.crop import Margin
from hf_deepfake.models import ensemble  # noqa: F401 - registers the model
from hf_deepfake.models.adapter_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, is_adapter, load_adapted
from hf_deepfake.models.checkpoint_config import WEIGHTS_FILE, check_labels, read_config, timm_config
from hf_deepfake.models.digest import weights_digest
from hf_deepfake.models.fetch import fetch_repo, is_repo
from hf_deepfake.models.fold import fold
from hf_deepfake.models.replace import CONFIG_FILE, check_place, replacing_folder
from hf_deepfake.models.seen import SEEN_FILE, Seen

_FETCHED = (CONFIG_FILE, WEIGHTS_FILE, ADAPTER_CONFIG, ADAPTER_WEIGHTS, SEEN_FILE, "report.json")
"""What is fetched from the Hub: checkpoint or adapter, the images that it has seen, and its history if it has one."""

_DAMAGES = (
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    OSError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A checkpoint ready to evaluate images.

    Attributes:
        build: makes `model`, which takes time and memory that a detector on another runtime saves.
        transform: timm's own, from an RGB image of any size to a normalised tensor (3, side, side).
        config: `config.json` as it stands.
        temperature: T that is folded into the model; 1 where the checkpoint does not say.
        operating_point: t that is folded into the model; .5 where the checkpoint does not say.
        abstention_band: lowest and highest P(fake), after temperature and before the operating point, that count as
            unsure; None where the checkpoint has none.
        criterion: what the operating point was chosen by; empty where the checkpoint does not say.
        confident_error: largest share of each class that the band lets be confidently misclassified; None where there
            is none.
        face_margin: how the training images were cropped around the face; None where that is not known.
        data_fingerprint: digest of the training data; None where the checkpoint does not say.
        trusted: the configuration was written for these weights. Where they have changed since, by fine-tuning with
            other tools for example, all that was decided for the old ones is left out: temperature and operating point
            are 1 and .5, and the band, criterion, error and fingerprint are missing.
        digest: of the weights (`models.digest`); None of an adapter over its base.
        folder: where it lies on this machine.
        fetch: of a checkpoint from the Hub, brings further files of the same commit into its folder, by their names,
            where it has them; None of a local one.
        seen: which images had a part in it; None where it does not say.
    """

    build: Callable[[], nn.Module]
    transform: Callable[[Image], Tensor]
    config: dict[str, Any]
    temperature: float
    operating_point: float
    abstention_band: tuple[float, float] | None
    criterion: str
    confident_error: float | None
    face_margin: Margin | None
    data_fingerprint: str | None
    trusted: bool
    digest: str | None
    folder: Path
    fetch: Callable[[Sequence[str]], Path] | None
    seen: Seen | None

    @cached_property
    def model(self) -> nn.Module:
        """Build the model when it is first asked for.

        Returns:
            The folded model in eval mode, float32 on the CPU; (N, 3, side, side) to logits (N, 2), real and fake.

        Raises:
            InputError: the weights cannot be read, or have changed since the checkpoint was loaded.
        """
        return self.build()

    @property
    def half_precision(self) -> bool:
        """Whether the weights are stored in float16, or rounded to it where they are an adapter's over its base."""
        file = self.folder / WEIGHTS_FILE
        if not file.is_file():
            return bool(self.config.get("hf_deepfake", {}).get("save_fp16", False))
        with safe_open(file, framework="numpy") as weights:
            return any(part.get_dtype() == "F16" for part in map(weights.get_slice, weights.keys()))


def export_checkpoint(
    model: nn.Module,
    folder: str | Path,
    *,
    image_size: int,
    temperature: float = 1.0,
    operating_point: float = 0.5,
    abstention_band: tuple[float, float] | None = None,
    criterion: str = "",
    confident_error: float | None = None,
    face_margin: Margin | None = None,
    data_fingerprint: str | None = None,
    seen: Seen | None = None,
    save_fp16: bool = False,
) -> Path:
    """Write a model as a checkpoint folder, whole or not at all.

    The folder is written beside its place and then renamed, so that an existing checkpoint is replaced, with all it
    holds, only by a complete one. Other folders are not replaced, but an empty one is filled. The model itself stays as
    it is.

    Args:
        model: a model of `build_model`, with logits (real, fake), not folded.
        folder: where the checkpoint shall lie.
        image_size: side of the square input, px.
        temperature: T > 0 to fold (see `fold`).
        operating_point: t in (0, 1) to fold.
        abstention_band: lowest and highest P(fake) after temperature that count as unsure, stated in the checkpoint.
        criterion: what the operating point was chosen by, stated in the checkpoint.
        confident_error: largest share of each class that the band lets be confidently misclassified, stated in the
            checkpoint.
        face_margin: how the training images were cropped around the face, stated in the checkpoint.
        data_fingerprint: digest of the training data, stated in the checkpoint.
        seen: which images had a part in it, kept beside the weights.
        save_fp16: store the weights in float16; readers calculate in float32 all the same.

    Returns:
        The folder.

    Raises:
        InputError: the classifier cannot be folded, a weight is too large for float16, or the folder holds something
            else or the working directory, or cannot be written (a full disk, for example).
    """
    folder = local_path(folder)
    check_place(folder)
    folded = deepcopy(model).cpu()
    fold(folded, temperature, operating_point)
    config = timm_config(folded, image_size)
    # Clones in NCHW order: safetensors takes neither channels_last nor shared memory.
    weights = {
        name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in folded.state_dict().items()
    }
    if save_fp16:
        weights = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
        if not all(bool(tensor.isfinite().all()) for tensor in weights.values()):
            raise InputError(f"a weight is larger than float16 holds; export {folder} in float32, without --save_fp16")
    # save_file would leave the weights readable by their owner alone.
    data = save(weights, metadata={"format": "pt"})
    config["hf_deepfake"] = {
        "version": version("hf-deepfake"),
        "temperature": temperature,
        "operating_point": operating_point,
        "abstention_band": abstention_band,
        "criterion": criterion,
        "confident_error": confident_error,
        "face_margin": face_margin and asdict(face_margin),
        "data_fingerprint": data_fingerprint,
        "weights_digest": weights_digest(data),
    }
    with replacing_folder(folder) as written:
        (written / WEIGHTS_FILE).write_bytes(data)
        (written / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        if seen is not None:
            seen.save(written)
    return folder


def load_checkpoint(
    folder_or_repo: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    base: str | Path | None = None,
) -> LoadedCheckpoint:
    """Load a checkpoint, or an adapter over its base, from a folder or the Hugging Face Hub. No code in it is run.

    Args:
        folder_or_repo: a folder that `export_checkpoint` wrote, or an adapter's, or the Hub's "owner/name". A folder
            wins.
        revision: branch, tag or commit on the Hub.
        token: of the Hub; by default the one that `hf auth login` or HF_TOKEN gave, False for none.
        cache_dir: where what comes from the Hub is kept; by default huggingface_hub's cache.
        base: for an adapter, file or folder of its base's weights; by default timm fetches them by the base's name.

    Returns:
        Model, transform and configuration.

    Raises:
        InputError: there is no such checkpoint, it is damaged, its labels are not real and fake in this order, or an
            adapter's base cannot be had.
    """
    folder, fetch, digest = local_path(folder_or_repo), None, None
    if not folder.is_dir():
        if folder.exists() or not is_repo(str(folder)):
            raise InputError(
                f"no checkpoint folder {folder_or_repo}; give an existing folder, or owner/name on the Hub"
            )
        repo = str(folder)
        folder = fetch_repo(repo, _FETCHED, revision=revision, token=token, cache_dir=cache_dir)
        # huggingface_hub calls the folder by its commit.
        fetch = partial(fetch_repo, repo, revision=folder.name, token=token, cache_dir=cache_dir)
    adapter = is_adapter(folder)
    if base is not None and not adapter:
        raise InputError(f"{folder_or_repo} is a whole checkpoint and has no use for a base; leave it out")
    try:
        if adapter:
            model, image_size, config, trusted = load_adapted(folder, base)
            config = config or timm_config(model, image_size)
            build = model.eval
        else:
            config = read_config(folder)
            check_labels(folder_or_repo, config)
            digest = _digest(folder)
            trusted = config.get("hf_deepfake", {}).get("weights_digest") == digest
            build = partial(_build, folder, digest)
            if not trusted:  # nothing else says that the weights are whole and belong to this model
                model = build()
                build = model.eval
        transform = create_transform(**resolve_data_config(pretrained_cfg=config["pretrained_cfg"]))
        ours = config.get("hf_deepfake", {})
        face_margin = Margin(**ours["face_margin"]) if ours.get("face_margin") else None
        if not trusted:
            ours = {}
        temperature, operating_point = float(ours.get("temperature", 1.0)), float(ours.get("operating_point", 0.5))
        low_and_high, error = ours.get("abstention_band"), ours.get("confident_error")
        abstention_band = (float(low_and_high[0]), float(low_and_high[1])) if low_and_high else None
        confident_error = None if error is None else float(error)
    except InputError:
        raise
    except _DAMAGES as error:
        raise _damaged(folder_or_repo, error) from error
    if not trusted:
        logging.getLogger(__name__).warning(
            "%s states no decision for %s, so that verdicts are by the plain .5 and never unsure; %s",
            folder_or_repo,
            "this adapter on this base" if adapter else "the weights that it has",
            f"run hf-deepfake {'merge, and of its result ' if adapter else ''}recalibrate to have one",
        )
    return LoadedCheckpoint(
        build,
        transform,
        config,
        temperature,
        operating_point,
        abstention_band,
        criterion=str(ours.get("criterion", "")),
        confident_error=confident_error,
        face_margin=face_margin,
        data_fingerprint=ours.get("data_fingerprint"),
        trusted=trusted,
        digest=digest,
        folder=folder,
        fetch=fetch,
        seen=Seen.load(folder),
    )


def checkpoint_name(folder_or_repo: str | Path) -> str:
    """What a checkpoint is called: its folder or repository, or its run where the folder is a run's checkpoint.

    Args:
        folder_or_repo: as for `load_checkpoint`.

    Returns:
        The name, without the path before it.
    """
    path = local_path(folder_or_repo)
    path = path.resolve() if path.is_dir() else path
    return path.parent.name if path.name == "checkpoint" else path.name


def _build(folder: Path, digest: str) -> nn.Module:
    """The model of a folder whose weights have this digest."""
    try:
        if _digest(folder) != digest:
            raise InputError(f"the weights in {folder} have changed since they were loaded; load the checkpoint again")
        return timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    except InputError:
        raise
    except _DAMAGES as error:
        raise _damaged(folder, error) from error


def _digest(folder: Path) -> str:
    """Digest of a folder's weights."""
    return weights_digest(np.memmap(folder / WEIGHTS_FILE, mode="r").data)


def _damaged(name: str | Path, error: Exception) -> InputError:
    """What to say of a checkpoint that cannot be read."""
    reason = " ".join(str(error).split())[:200]
    return InputError(f"{name} is damaged ({type(error).__name__}: {reason}); export or fetch it again")
