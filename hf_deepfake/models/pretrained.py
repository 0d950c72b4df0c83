"""Pretrained weights from a local file or folder, whatever common naming they use."""

import json
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from timm.models import EfficientNet, load_state_dict
from torch import Tensor, nn

from hf_deepfake.errors import InputError
from hf_deepfake.files import local_path
from hf_deepfake.models.fetch import HUB_PREFIX, fetch_repo, is_repo
from hf_deepfake.models.replace import CONFIG_FILE

Weights = dict[str, Tensor]

FOLDER_FILES = ("model.safetensors", "pytorch_model.bin")


def load_pretrained_weights(model: nn.Module, path: str) -> None:
    """Fill a model with weights from a local file or folder.

    Names are tried in this order: the model's own (timm's); those that timm's filter of this architecture knows,
    which also resamples position embeddings; lukemelas' EfficientNet-PyTorch; and last, for torch files only,
    the order of registration, where kind and shape of every single tensor agree (torchvision's EfficientNet and
    ConvNeXt, for example). Every tensor of the backbone must be filled and none left over. The classifier keeps
    its values where the file has none of its shape. EfficientNet weights that came from TensorFlow (lukemelas')
    want timm's `tf_` models, which pad and normalise as TensorFlow does.

    Args:
        model: a timm model; filled in place. A folder's `config.json` also sets its `pretrained_cfg`'s
            mean, std and interpolation.
        path: a safetensors or torch file (no code in it is run), or a folder with `model.safetensors` or
            `pytorch_model.bin` and perhaps `config.json`.

    Raises:
        InputError: the file is missing, unreadable or of another model.
    """
    source = local_path(path)
    if not source.exists():
        raise InputError(f"no weights at {path}; give an existing file or folder, or --pretrained hub or off")
    timm_model: Any = model  # nn.Module declares no attributes, and timm has no common class
    preprocessing, file = {}, source
    if source.is_dir():
        preprocessing = _folder_preprocessing(source, timm_model.pretrained_cfg["architecture"])
        found = [source / name for name in FOLDER_FILES if (source / name).is_file()]
        if not found:
            raise InputError(f"{path} holds neither {' nor '.join(FOLDER_FILES)}; give the weights file itself")
        file = found[0]
    weights = _read(file)
    own = timm_model.state_dict()
    misfits = []
    for names in _namings(file):
        candidate = _with_own_classifier(names(weights, timm_model), timm_model)
        unfilled = [name for name in own if name not in candidate or candidate[name].shape != own[name].shape]
        left_over = [name for name in candidate if name not in own]
        if not unfilled and not left_over:
            timm_model.load_state_dict(candidate)
            timm_model.pretrained_cfg.update(preprocessing)
            return
        misfits.append((unfilled, left_over))
    unfilled, left_over = min(misfits, key=lambda misfit: len(misfit[0]))
    what = (
        f"{len(unfilled)} of the model's {len(own)} tensors are not in it with their shape, such as {unfilled[0]}"
        if unfilled
        else f"{len(left_over)} of its tensors are not in the model, such as {left_over[0]}"
    )
    raise InputError(
        f"{path} does not fit {timm_model.pretrained_cfg['architecture']}: {what}; give weights of this model"
    )


def classifier_names(model: nn.Module) -> list[str]:
    """Names of the classifier's parameters.

    Args:
        model: a timm model with one classifier.

    Returns:
        Names as in `named_parameters`, in its order.
    """
    timm_model: Any = model
    inside = {id(parameter) for parameter in timm_model.get_classifier().parameters()}
    return [name for name, parameter in model.named_parameters() if id(parameter) in inside]


def fetch_start(name: str, *, weights: bool) -> tuple[str, Path]:
    """Fetch a model that is named as timm names those on the Hub.

    Args:
        name: `hf-hub:owner/name`, perhaps with `@` and a branch, tag or commit.
        weights: fetch its weights too.

    Returns:
        Name of the architecture, and a folder for `load_pretrained_weights`.

    Raises:
        InputError: there is no such repository, it is not in timm's format, or the Hub cannot be reached.
    """
    repo, _, revision = name.removeprefix(HUB_PREFIX).partition("@")
    if not is_repo(repo):
        raise InputError(f"{name} names no repository; write {HUB_PREFIX}OWNER/NAME")
    folder = fetch_repo(repo, (CONFIG_FILE,), revision=revision or None)
    for file in FOLDER_FILES if weights else ():  # of two files with the same weights the first will do
        if not any((folder / known).is_file() for known in FOLDER_FILES):
            folder = fetch_repo(repo, (CONFIG_FILE, file), revision=revision or None)
    try:
        architecture, _ = _read_config(folder / CONFIG_FILE)
    except (OSError, InputError) as error:
        raise InputError(
            f"{name} is not in timm's format, as its config.json names no architecture; give a repository that is, "
            f"such as {HUB_PREFIX}timm/resnet50.a1_in1k"
        ) from error
    return architecture, folder


def _read_config(file: Path) -> tuple[str, dict[str, Any]]:
    """The architecture and the preprocessing that a folder's `config.json` states."""
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        return str(config["architecture"]), config.get("pretrained_cfg", config)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file} is not a timm configuration; give the weights file beside it instead") from error


def _folder_preprocessing(folder: Path, architecture: str) -> dict[str, Any]:
    """Mean, std and interpolation that a checkpoint folder states; it must be of the same architecture."""
    if not (folder / CONFIG_FILE).is_file():
        return {}
    stated, preprocessing = _read_config(folder / CONFIG_FILE)
    if stated != architecture:
        raise InputError(f"{folder} holds a {stated}, not a {architecture}; add --model {stated}")
    return {key: preprocessing[key] for key in ("mean", "std", "interpolation") if key in preprocessing}


def _read(file: Path) -> Weights:
    """The tensors of a safetensors or torch file, by name and in the file's order."""
    try:
        weights = load_state_dict(str(file))
    except (
        OSError,
        EOFError,
        AttributeError,
        RuntimeError,
        ValueError,
        SafetensorError,
        pickle.UnpicklingError,
    ) as error:
        raise InputError(
            f"{file} cannot be read as weights ({type(error).__name__}); "
            "give a safetensors file, or a torch file that holds nothing but tensors"
        ) from error
    if not weights or not all(isinstance(item, Tensor) for item in weights.values()):
        raise InputError(f"{file} is not a mapping from names to tensors; give a file saved from model.state_dict()")
    return weights


def _with_own_classifier(weights: Weights, model: nn.Module) -> Weights:
    """The weights, with the model's own tensors where they have no classifier of its shape."""
    timm_model: Any = model
    classifier = timm_model.get_classifier()
    prefix = next(name for name, module in model.named_modules() if module is classifier) + "."
    own = model.state_dict()
    head = {name for name in own if name.startswith(prefix)}
    # One with other layers cannot be taken over in parts: a hidden layer and what follows it belong together.
    if any(name not in weights or weights[name].shape != own[name].shape for name in head):
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith(prefix)}
        weights |= {name: own[name] for name in head}
    # The step counter of BatchNorm has no part in the output, and old files lack it.
    counters = {name for name in own if name.endswith("num_batches_tracked") and name not in weights}
    return weights | {name: own[name] for name in counters}


def _namings(file: Path) -> Iterator[Callable[[Weights, nn.Module], Weights]]:
    """Ways to read a file's names, the surest first."""
    yield lambda weights, _: dict(weights)
    yield _by_timm_filter
    yield _from_lukemelas
    if file.suffix != ".safetensors":  # safetensors sorts by name, so that block 10 stands before block 2
        yield _by_order


def _by_timm_filter(weights: Weights, model: nn.Module) -> Weights:
    """Names and shapes as the architecture's own filter in timm converts them; empty where it cannot."""
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return {}
    try:
        return dict(convert(dict(weights), model))
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
        return {}  # a filter takes the names of its own sources for granted


LUKEMELAS_NET = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
LUKEMELAS_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
# A block that does not expand has one convolution and one norm less, and timm counts from its first.
LUKEMELAS_PLAIN_BLOCK = LUKEMELAS_BLOCK | {"_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def _from_lukemelas(weights: Weights, model: nn.Module) -> Weights:
    """EfficientNet-PyTorch's names as timm's; empty where they are not such names."""
    if "_conv_stem.weight" not in weights or not isinstance(model, EfficientNet):
        return {}
    timm_model: Any = model
    places = [f"blocks.{i}.{j}" for i, stage in enumerate(timm_model.blocks) for j in range(len(stage))]
    renamed = {}
    for name, tensor in weights.items():
        *path, kind = name.split(".")
        if path[0] == "_blocks" and int(path[1]) < len(places):
            plain = f"_blocks.{path[1]}._expand_conv.weight" not in weights
            part = (LUKEMELAS_PLAIN_BLOCK if plain else LUKEMELAS_BLOCK).get(path[2], path[2])
            renamed[f"{places[int(path[1])]}.{part}.{kind}"] = tensor
        else:
            renamed[f"{LUKEMELAS_NET.get(path[0], name)}.{kind}"] = tensor
    return renamed


def _by_order(weights: Weights, model: nn.Module) -> Weights:
    """Names by order of registration; empty unless kind and shape of every tensor agree, one to one."""
    head = classifier_names(model)
    own = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    given = {name: tensor for name, tensor in weights.items() if not name.endswith("num_batches_tracked")}
    if len(given) == len(own) - len(head):
        own = {name: tensor for name, tensor in own.items() if name not in head}
    if len(given) != len(own):
        return {}
    matched = {}
    for (name, tensor), (given_name, given_tensor) in zip(own.items(), given.items(), strict=True):
        if _kind(name) != _kind(given_name):
            return {}
        if name in head:
            matched[name] = given_tensor
        elif _shape(tensor) == _shape(given_tensor):
            matched[name] = given_tensor.reshape(tensor.shape)
        else:
            return {}
    return matched


def _kind(name: str) -> str:
    """What a tensor is for (weight, bias, running_mean ...); torchvision calls timm's gamma layer_scale."""
    return name.rpartition(".")[2].replace("layer_scale", "gamma")


def _shape(tensor: Tensor) -> list[int]:
    """Shape without axes of length 1: a 1x1 convolution and a linear layer are the same."""
    return [length for length in tensor.shape if length != 1]
