"""Build a timm model with two logits, and say which of its parts train."""

import difflib
from typing import Any

import timm
import torch
from timm.data import resolve_data_config
from timm.models import get_pretrained_cfg, group_parameters
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hf_deepfake.config import LABELS
from hf_deepfake.errors import InputError
from hf_deepfake.models import zoo  # noqa: F401 - registers the models
from hf_deepfake.models.fetch import HUB_PREFIX
from hf_deepfake.models.fold import final_layer
from hf_deepfake.models.pretrained import classifier_names, fetch_start, load_pretrained_weights


def build_model(name: str, *, image_size: int, drop_rate: float = 0.0, pretrained: str = "hub") -> nn.Module:
    """Build a timm model whose logits are (real, fake), with its pretrained weights.

    Models whose parameters depend on the image's size (ViT, Swin ...) are built for `image_size`; pretrained weights
    of another size are resampled by timm. The model's `pretrained_cfg` holds the preprocessing of its pretrained
    weights.

    Args:
        name: name of a timm model, with or without a tag, such as resnet50 or resnet50.a1_in1k; or hf-hub:owner/name,
            a repository in timm's format.
        image_size: side of the square input, px.
        drop_rate: dropout before the classifier, a probability.
        pretrained: "hub" for timm's own weights, or the repository's, "off" for none, or the path of a local file or
            folder (see `load_pretrained_weights`). The classifier is always new unless the weights have two classes.

    Returns:
        The model, float32 on the CPU in eval mode; input (N, 3, image_size, image_size), output (N, 2).

    Raises:
        InputError: the name is unknown, the model does not work at that size, its classifier cannot be
            folded (see `fold`), or the weights cannot be had.
    """
    if name.startswith(HUB_PREFIX):
        name, folder = fetch_start(name, weights=pretrained == "hub")
        pretrained = str(folder) if pretrained == "hub" else pretrained
    _check_name(name)
    options: dict[str, Any] = {"num_classes": len(LABELS), "drop_rate": drop_rate}
    start = get_pretrained_cfg(name)
    if start is not None and start.fixed_input_size:
        options["img_size"] = image_size
    try:
        model = _build_from_hub(name, options) if pretrained == "hub" else timm.create_model(name, **options)
        with torch.no_grad():
            model.eval()(torch.zeros(1, 3, image_size, image_size))
    except (AssertionError, IndexError, RuntimeError, TypeError) as error:
        raise InputError(
            f"{name} does not work with image_size {image_size} and drop_rate {drop_rate} "
            f"({' '.join(str(error).split()) or type(error).__name__}); try image_size 224 or another model"
        ) from error
    # Refuses now, not after training, a model that no checkpoint could hold. Drawn small, because some of timm's
    # classifiers start with logits so large that they shake the backbone.
    weight, bias = final_layer(model)
    nn.init.normal_(weight, std=0.01)
    nn.init.zeros_(bias)
    if pretrained not in {"hub", "off"}:
        load_pretrained_weights(model, pretrained)
    return model


def default_image_size(name: str) -> int:
    """Side of the square input that a timm model was pretrained with, px.

    Args:
        name: of a timm model, with or without a tag.

    Returns:
        The side.

    Raises:
        InputError: timm has no model of that name.
    """
    _check_name(name)
    start = get_pretrained_cfg(name)
    return start.input_size[-1] if start else 224


def data_config(model: nn.Module, image_size: int) -> dict[str, Any]:
    """Preprocessing that the model expects and its checkpoint will state, in timm's terms.

    The whole image is resized to the square ("squash") and nothing is cropped: in a face crop the border, where
    a pasted face ends, is what there is to see.

    Args:
        model: a model of `build_model`; its pretrained weights decide mean, std and interpolation.
        image_size: side of the square input, px.

    Returns:
        `input_size` (3, side, side), `mean` and `std` (per channel, for values in [0, 1]), `interpolation`,
        `crop_mode` and `crop_pct`.
    """
    fixed = {"input_size": (3, image_size, image_size), "crop_mode": "squash", "crop_pct": 1.0}
    return resolve_data_config(fixed, model=model)


def model_args(model: nn.Module, image_size: int) -> dict[str, Any]:
    """What a model needs beyond its name, number of classes and channels to be built again.

    Args:
        model: a model of `build_model`, or an ensemble.
        image_size: side of its square input, px.

    Returns:
        Keyword arguments of `timm.create_model`, in JSON's types.
    """
    timm_model: Any = model
    fixed_size = {"img_size": image_size} if timm_model.pretrained_cfg.get("fixed_input_size") else {}
    return getattr(model, "model_args", fixed_size)


def blocks(model: nn.Module) -> list[list[str]]:
    """Parameter names by block, from the input to the classifier, as timm's `group_matcher` cuts the model.

    Args:
        model: a timm model.

    Returns:
        One list of names per block; the last one is the classifier alone. A norm or neck between the last
        block and the classifier belongs to the last block.

    Raises:
        InputError: timm does not say how this model is cut into blocks.
    """
    if not hasattr(model, "group_matcher"):
        raise InputError(
            f"timm does not divide {type(model).__name__} into blocks; "
            "leave out last_blocks and layer_decay, or choose another model"
        )
    timm_model: Any = model  # nn.Module declares no attributes, and timm has no common class
    head = classifier_names(timm_model)
    groups = group_parameters(timm_model, timm_model.group_matcher(coarse=False))
    body = [[name for name in groups[index] if name not in head] for index in sorted(groups)]
    if head[0] in groups[max(groups)]:  # timm puts what it cannot match, such as a last norm, into this group
        neck = body.pop()
        body[-1].extend(neck)
    return [*body, head]


def unfreeze(model: nn.Module, last_blocks: int | None) -> None:
    """Let the classifier and the last blocks train, and freeze the rest.

    Args:
        model: a timm model; its parameters' `requires_grad` is set.
        last_blocks: how many blocks before the classifier train; 0 is the classifier alone, None the whole model.

    Raises:
        InputError: the model has fewer blocks.
    """
    if last_blocks is None:
        model.requires_grad_(True)
        return
    groups = blocks(model)
    if last_blocks >= len(groups):
        raise InputError(
            f"last_blocks is {last_blocks}, but {type(model).__name__} has {len(groups) - 1} blocks before its "
            "classifier; give at most that, or leave it out to train the whole model"
        )
    trained = {name for group in groups[len(groups) - 1 - last_blocks :] for name in group}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)


def freeze_statistics(model: nn.Module, everywhere: bool) -> None:
    """Keep BatchNorm at its stored statistics: in frozen blocks, or everywhere. Call it after `model.train()`.

    A frozen layer whose statistics still moved would change what the frozen weights were trained on.

    Args:
        model: a model; its BatchNorm modules without a trainable parameter are put into eval mode.
        everywhere: put all of them into eval mode.
    """
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            parameters = list(module.parameters())
            frozen = bool(parameters) and not any(parameter.requires_grad for parameter in parameters)
            if everywhere or frozen:
                module.eval()


def checkpoint_gradients(model: nn.Module, freeze_batchnorm: bool) -> None:
    """Let a model keep the inputs of its blocks alone, and compute the rest again for the gradient.

    Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174, section 4. The gradient is the
    same, but each BatchNorm would see every batch twice.

    Args:
        model: a timm model; changed in place.
        freeze_batchnorm: its BatchNorm keeps its stored statistics.

    Raises:
        InputError: timm cannot do that with this model, or its BatchNorm statistics move.
    """
    if not freeze_batchnorm and any(isinstance(module, _BatchNorm) for module in model.modules()):
        raise InputError(
            "gradient_checkpointing would count each batch twice in the statistics of BatchNorm; "
            "add --freeze_batchnorm, or leave it out"
        )
    timm_model: Any = model
    try:
        timm_model.set_grad_checkpointing()
    except (AssertionError, AttributeError) as error:
        raise InputError(
            f"timm has no gradient checkpointing for {type(model).__name__}; leave out gradient_checkpointing, and "
            "raise --gradient_accumulation_steps to save memory"
        ) from error


def _check_name(name: str) -> None:
    """Refuse a name that timm does not know, with the nearest ones."""
    architecture, _, tag = name.partition(".")
    known = timm.list_models()
    if architecture not in known:
        near = difflib.get_close_matches(architecture.lower(), known, n=6)
        hint = f"nearest names: {', '.join(near)}" if near else "timm.list_models() lists them all"
        raise InputError(f"unknown model {name!r}; {hint}")
    tagged = timm.list_models(f"{architecture}.*", include_tags=True)
    if tag and name not in tagged:
        raise InputError(f"unknown weights {name!r}; timm has {', '.join(tagged) or 'none of this model'}")


def _build_from_hub(name: str, options: dict[str, Any]) -> nn.Module:
    """The model with timm's own weights from the Hub or its cache."""
    other = "give local weights with --pretrained FILE, or start from random ones with --pretrained off"
    if not timm.is_model_pretrained(name):
        raise InputError(f"timm has no pretrained weights of {name}; {other}")
    try:
        return timm.create_model(name, pretrained=True, **options)
    except OSError as error:
        raise InputError(
            f"the pretrained weights of {name} cannot be fetched from the Hugging Face Hub ({type(error).__name__}); "
            f"{other}"
        ) from error
