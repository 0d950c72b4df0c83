"""An adapter's folder, which with the base that it was trained on computes what the run's checkpoint does.

`adapter_config.json` and `adapter_model.safetensors` are PEFT's own. `config.json` beside them is the checkpoint's,
with two digests in place of that of its weights: decision and preprocessing hold for this adapter on this base alone.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from hf_deepfake.errors import InputError
from hf_deepfake.files import write_json
from hf_deepfake.models.adapters import load_adapter
from hf_deepfake.models.build import build_model, default_image_size
from hf_deepfake.models.digest import weights_digest
from hf_deepfake.models.fold import fold
from hf_deepfake.models.pretrained import classifier_names
from hf_deepfake.models.replace import CONFIG_FILE

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
"""Names of PEFT's files."""

Config = dict[str, Any]


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no whole checkpoint."""
    return (folder / ADAPTER_CONFIG).is_file() and not (folder / "model.safetensors").is_file()


def base_digest(model: nn.Module) -> str:
    """Digest of a base model without its classifier, which an adapter replaces.

    Args:
        model: a plain timm model.

    Returns:
        64 hexadecimal digits; see `weights_digest`.
    """
    replaced = set(classifier_names(model))
    tensors = {name: tensor for name, tensor in model.state_dict().items() if name not in replaced}
    copies = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    return weights_digest(save(copies))


def state_decision(folder: Path, checkpoint: Path, base: str, save_fp16: bool) -> None:
    """Write into an adapter's folder how the run's checkpoint prepares images and decides.

    Args:
        folder: of the adapter.
        checkpoint: folder of the checkpoint that was exported from the adapter merged into its base.
        base: the base's digest.
        save_fp16: the checkpoint's weights were rounded to float16.
    """
    config = json.loads((checkpoint / CONFIG_FILE).read_text(encoding="utf-8"))
    config["hf_deepfake"] |= {"weights_digest": _digest(folder), "base_digest": base, "save_fp16": save_fp16}
    write_json(folder / CONFIG_FILE, config)


def read_adapter(folder: Path) -> tuple[str, Config]:
    """Read what an adapter's folder states.

    Args:
        folder: of the adapter.

    Returns:
        Name of the base, and `config.json`; nothing where it has none.

    Raises:
        InputError: a file is missing or damaged, or the adapter names no base.
    """
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise InputError(f"{folder} has no {ADAPTER_WEIGHTS}; fetch or copy the whole adapter again")
    try:
        base = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8")) if has_decision(folder) else {}
        if not isinstance(base, str) or not base or not isinstance(config, dict):
            raise ValueError("it names no base")
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the adapter in {folder} cannot be read ({type(error).__name__}: {error}); give one that training with "
            "--adapter kept, such as RUN/adapter"
        ) from error
    return base, config


def has_decision(folder: Path) -> bool:
    """Whether an adapter's folder states how it decides."""
    return (folder / CONFIG_FILE).is_file()


def is_unchanged(folder: Path, config: Config) -> bool:
    """Whether the adapter is the one that its `config.json` was written for."""
    return config.get("hf_deepfake", {}).get("weights_digest") == _digest(folder)


def load_adapted(folder: Path, base: str | Path | None) -> tuple[nn.Module, int, Config, bool]:
    """Lay an adapter over its base.

    Args:
        folder: of the adapter.
        base: file or folder of the base's weights; None fetches them by the base's name, as timm does.

    Returns:
        The plain model, folded where the folder states a decision for this adapter on this base; side of its input,
        px; `config.json`, or nothing; and whether there is such a decision.

    Raises:
        InputError: the adapter is damaged, or its base cannot be had or is another model.
    """
    name, config = read_adapter(folder)
    size = config["pretrained_cfg"]["input_size"][-1] if config else default_image_size(name)
    if base is not None:  # whose architecture need not be fetched
        name = config.get("architecture", name)
    try:
        model: Any = build_model(name, image_size=size, pretrained="hub" if base is None else str(base))
    except InputError as error:
        raise InputError(
            f"the base of {folder}, {name}, cannot be loaded ({str(error).partition(';')[0]}); give a file or folder "
            "with its weights as base"
        ) from error
    stated = config.get("pretrained_cfg", {})
    model.pretrained_cfg.update({key: stated[key] for key in ("mean", "std", "interpolation") if key in stated})
    ours = config.get("hf_deepfake", {})
    trusted = is_unchanged(folder, config) and ours.get("base_digest") == base_digest(model)
    adapted = load_adapter(model, folder)
    if trusted:
        fold(adapted, ours["temperature"], ours["operating_point"])
        if ours["save_fp16"]:
            adapted = adapted.half().float()
    return adapted, size, config, trusted


def _digest(folder: Path) -> str:
    """Digest of the adapter's own weights."""
    return weights_digest(np.memmap(folder / ADAPTER_WEIGHTS, mode="r").data)
