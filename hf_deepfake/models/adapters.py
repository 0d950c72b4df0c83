"""Adapters: train next to nothing of a pretrained encoder, through PEFT, and merge the result into plain weights.

Which modules are adapted follows from their type, so that any timm backbone works without a list of names:

- layernorm: the affine parameters of every LayerNorm (Zhao et al. 2024, "Tuning LayerNorm in Attention",
  arXiv:2312.11420); for forgeries Yermakov et al. 2025, "Deepfake Detection that Generalizes Across Benchmarks",
  arXiv:2508.06248, section 3.
- batchnorm: the affine parameters of every BatchNorm (Frankle, Schwab and Morcos 2021, "Training BatchNorm and Only
  BatchNorm", arXiv:2003.00152).
- lora: low-rank additions to every linear layer (Hu et al. 2022, arXiv:2106.09685, section 4.1).
- osf: the smallest singular directions of every linear layer, kept orthogonal to the frozen rest (for forgeries Yan et
  al. 2025, "Orthogonal Subspace Decomposition for Generalizable AI-Generated Image Detection", arXiv:2411.15633,
  section 3).

The classifier always trains in full.
"""

import copy
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from timm.layers import RmsNorm
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hf_deepfake.errors import InputError

if TYPE_CHECKING:  # PEFT takes seconds to import, and a run without adapter needs none of it
    from peft import PeftConfig, PeftModel

NORMS: dict[str, tuple[type[nn.Module], ...]] = {
    "layernorm": (nn.LayerNorm, nn.RMSNorm, RmsNorm),
    "batchnorm": (_BatchNorm,),
}
"""Normalisation layers that an adapter trains; an encoder with RMSNorm has no LayerNorm."""

RANKS = {"lora": 8, "osf": 1}
"""Trained rank of each linear layer where none is given: LoRA's usual 8; one direction, as Yan et al. chose."""


def is_adapted(model: nn.Module) -> "TypeGuard[PeftModel]":
    """Whether a model has an adapter: PEFT's wrapper of it has its configuration."""
    return hasattr(model, "peft_config")


def adapt(model: nn.Module, adapter: str, rank: int | None = None, base: str = "") -> "PeftModel":
    """Freeze a model and give it an adapter that trains, with its classifier.

    Args:
        model: a timm model with logits (real, fake); it is changed in place and lives on inside the result.
        adapter: layernorm, batchnorm, lora or osf.
        rank: trained rank of each linear layer, for lora and osf; None is `RANKS`.
        base: what the adapter's own configuration calls the model that it belongs to.

    Returns:
        The model in PEFT's wrapper, which computes the same logits until it is trained.

    Raises:
        InputError: the model has no layer of that kind.
    """
    from peft import LNTuningConfig, LoraConfig, OSFConfig, get_peft_model

    head = _classifier_name(model)
    kinds = NORMS.get(adapter, (nn.Linear,))
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, kinds) and not (name == head or name.startswith(f"{head}."))
    ]
    if adapter in NORMS:  # one without parameters has nothing to train
        names = [name for name in names if list(model.get_submodule(name).parameters())]
    if not names:
        other = "batchnorm" if adapter == "layernorm" else "layernorm"
        raise InputError(
            f"{type(model).__name__} has no layer that the adapter {adapter} could train; use --adapter {other}"
        )
    # Full names as one pattern: PEFT would match a list by the names' ends.
    targets = "|".join(re.escape(name) for name in names)
    config: PeftConfig
    if adapter == "lora":
        rank = rank or RANKS["lora"]
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets, modules_to_save=[head])
    elif adapter == "osf":
        rank = rank or RANKS["osf"]
        sizes = {name: parameter.shape for name, parameter in model.named_parameters()}
        sides = {name: min(sizes[f"{name}.weight"]) for name in names}
        kept: dict[str, int | float] = {re.escape(name): side - rank for name, side in sides.items() if side > rank}
        config = OSFConfig(
            effective_rank=min(kept.values()), rank_pattern=kept, target_modules=targets, modules_to_save=[head]
        )
    else:
        config = LNTuningConfig(target_modules=targets, modules_to_save=[head])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Unsupported layer type")  # PEFT knows torch's own LayerNorm by name alone
        adapted: Any = get_peft_model(model, config)
    config.base_model_name_or_path = base  # PEFT has put in what transformers would call the model
    return adapted


def train_classifier_alone(model: "PeftModel", alone: bool) -> None:
    """Let the classifier train without the adapter, or both."""
    for name, parameter in model.named_parameters():
        if ".original_module." in name or ".base_layer." in name:
            continue
        if any(mark in name for mark in (".ln_tuning_layers.", ".lora_", ".osf_svd_params.")):
            parameter.requires_grad_(not alone)


def merged(model: nn.Module) -> nn.Module:
    """The plain timm model that an adapted one computes; a model without adapter is returned as it is.

    Args:
        model: of `adapt`, or any other model; it is left as it is.

    Returns:
        A model whose tensors have timm's own names, on the same device.
    """
    if not is_adapted(model):
        return model
    from peft.utils import ModulesToSaveWrapper

    plain: nn.Module = copy.deepcopy(model).merge_and_unload()
    for name, module in list(plain.named_modules()):
        if isinstance(module, ModulesToSaveWrapper):  # PEFT's normalisation tuning leaves these in place
            parent, _, child = name.rpartition(".")
            setattr(plain.get_submodule(parent), child, module.modules_to_save[module.active_adapter])
    return plain.requires_grad_(True)


def save_adapter(model: nn.Module, folder: Path) -> None:
    """Write an adapted model's adapter and classifier in PEFT's own format; nothing for a model without one."""
    if is_adapted(model):
        model.save_pretrained(str(folder), save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)  # a template of PEFT's that says nothing


def load_adapter(model: nn.Module, folder: Path) -> nn.Module:
    """Merge a saved adapter into its base model.

    Args:
        model: the plain base model, with two logits; it is used up.
        folder: of `save_adapter`.

    Returns:
        The plain model with the adapter merged.

    Raises:
        InputError: the folder holds no adapter, or one of another model.
    """
    from peft import PeftModel
    from peft.utils import CONFIG_NAME

    if not (folder / CONFIG_NAME).is_file():
        raise InputError(f"{folder} holds no {CONFIG_NAME}; give a folder that a run with --adapter wrote")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Unsupported layer type")
            return merged(PeftModel.from_pretrained(model, str(folder)))
    except (RuntimeError, ValueError, KeyError) as error:
        raise InputError(f"the adapter in {folder} does not fit {type(model).__name__}; give its own base") from error


def _classifier_name(model: nn.Module) -> str:
    """The classifier's name as a module."""
    timm_model: Any = model  # nn.Module declares no attributes, and timm has no common class
    classifier = timm_model.get_classifier()
    return next(name for name, module in model.named_modules() if module is classifier)
