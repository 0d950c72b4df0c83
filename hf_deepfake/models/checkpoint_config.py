"""`config.json` of a checkpoint, in timm's format: what it says of a model, and what is read of it."""

import json
from pathlib import Path
from typing import Any

from hf_deepfake.config import LABELS
from hf_deepfake.errors import InputError
from hf_deepfake.models.build import data_config, model_args
from hf_deepfake.models.replace import CONFIG_FILE

WEIGHTS_FILE = "model.safetensors"


def timm_config(model: Any, image_size: int) -> dict[str, Any]:
    """`config.json` in timm's format.

    `model_args` holds what the model needs beyond its name and no more: transformers itself passes the number of
    classes, and fails where it is repeated there.

    Args:
        model: timm's, with a classifier of two classes.
        image_size: side of the square input, px.

    Returns:
        The configuration, without what is the package's own.
    """
    start = model.pretrained_cfg
    fixed_size = start.get("fixed_input_size", False)
    preprocessing = data_config(model, image_size)
    return {
        "architecture": start["architecture"],
        "num_classes": len(LABELS),
        "num_features": model.num_features,
        "label_names": list(LABELS),
        "model_args": model_args(model, image_size),
        "dtype": "float32",  # transformers would calculate in the precision that the file has
        "pretrained_cfg": {
            **preprocessing,
            "test_input_size": preprocessing["input_size"],
            "test_crop_pct": preprocessing["crop_pct"],
            "fixed_input_size": fixed_size,
            "num_classes": len(LABELS),
            "first_conv": start.get("first_conv"),
            "classifier": start.get("classifier"),
        },
    }


def check_labels(name: str | Path, config: dict[str, Any]) -> None:
    """Refuse a checkpoint of other classes.

    Args:
        name: what the error calls the checkpoint.
        config: `config.json`.

    Raises:
        InputError: its labels are not real and fake, in this order.
    """
    labels = config.get("label_names")
    if labels != list(LABELS):
        raise InputError(
            f"{name} has the labels {labels}, not {list(LABELS)} in this order; "
            "it is no checkpoint of hf_deepfake, so give another one"
        )


def read_config(folder: Path) -> dict[str, Any]:
    """Read `config.json`.

    Args:
        folder: of a checkpoint.

    Returns:
        What it holds.

    Raises:
        InputError: the folder has no configuration or no weights, or the configuration is damaged.
    """
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise InputError(f"{folder} has no {name}; give the folder that training exported, such as RUN/checkpoint")
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder / CONFIG_FILE} is not JSON ({error}); export or fetch the checkpoint again"
        ) from error
    if not isinstance(config, dict):
        raise InputError(f"{folder / CONFIG_FILE} is not a mapping; export or fetch the checkpoint again")
    return config
