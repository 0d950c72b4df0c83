"""Runs of training in processes of their own, one after the other, for scripts that hold several against each other.

A run neither inherits what the one before it left in memory (compiled code, a precision, a generator) nor leaves any.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hf_deepfake.config import TrainConfig, build
from hf_deepfake.errors import InputError
from hf_deepfake.files import replacing


def train_apart(options: dict[str, Any]) -> None:
    """Train, or go on with what was stopped.

    Args:
        options: of training, by name; kept as a recipe, the output folder's name and `.yaml`, beside that folder.

    Raises:
        InputError: an option is unknown or wrong, or the process ended with another exit code than 0.
    """
    import yaml

    folder = Path(build(TrainConfig, options).output_dir)
    recipe = folder.with_name(f"{folder.name}.yaml")
    with replacing(recipe) as temporary:
        temporary.write_text(yaml.safe_dump(options), encoding="utf-8")
    command = [sys.executable, "-m", "hf_deepfake.cli.main", "train", "--recipe", str(recipe)]
    command += ["--resume"] if (folder / "run.json").exists() else []
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise InputError(f"{folder} stopped with exit code {done.returncode}; mend it and give the same command again")
