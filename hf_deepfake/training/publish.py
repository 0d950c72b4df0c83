"""A run that publishes itself: the best epoch so far to a branch, the finished checkpoint to main."""

import logging
import shlex
import tempfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

from torch import nn

from hf_deepfake.config import TrainConfig
from hf_deepfake.errors import InputError
from hf_deepfake.hub.push import push_to_hub
from hf_deepfake.hub.upload import check_target, upload
from hf_deepfake.models.adapters import merged
from hf_deepfake.models.checkpoint import CONFIG_FILE, WEIGHTS_FILE, export_checkpoint
from hf_deepfake.training.resume import RunFolder

BRANCH = "training"
"""Where unfinished checkpoints go, so that nobody loads one by the repository's name alone."""

UNFINISHED = """\
---
library_name: timm
pipeline_tag: image-classification
license: {license}
---

# An unfinished training run

Best epoch so far: {epoch}. It is neither calibrated nor tested; do not evaluate images by it.
"""

logger = logging.getLogger(__name__)


def check_publishing(config: TrainConfig) -> None:
    """Make sure, before anything is computed, that the run can be pushed, if it shall be.

    Args:
        config: the run.

    Raises:
        InputError: the Hub does not take the name or the token.
    """
    if config.push_to_hub:
        check_target(config.push_to_hub, dry_run=False)


def epoch_publisher(config: TrainConfig, run: RunFolder, model: nn.Module) -> Callable[[int], None]:
    """Make what the loop calls after each epoch; whatever fails in a push is only warned of, and training goes on.

    Args:
        config: the run.
        run: its folder, with the best epoch's weights.
        model: any model of the run's kind; it stays as it is.

    Returns:
        A function of the number of epochs that are done, for the main process.
    """

    def publish(epochs_done: int) -> None:
        if config.push_every is None or epochs_done % config.push_every:
            return
        try:
            _push_best(config, run, model, epochs_done)
        except Exception as error:  # hours of training must not end by what the way to the Hub brings
            logger.warning("%s; training goes on", _reason(error))

    return publish


def publish_run(config: TrainConfig, run: RunFolder) -> str:
    """Push the finished checkpoint.

    Args:
        config: the run.
        run: its folder.

    Returns:
        Where it is.

    Raises:
        InputError: whatever keeps it from the Hub, with the command that pushes it later.
    """
    try:
        pushed = push_to_hub(run.checkpoint, config.push_to_hub, license=config.hub_license, private=config.hub_private)
    except Exception as error:  # the run is finished, and so nothing but a sentence may come of it
        again = ["hf-deepfake", "push", str(run.checkpoint), config.push_to_hub, "--license", config.hub_license]
        again += ["--private"] if config.hub_private else []
        raise InputError(
            f"{_reason(error)}; the run is finished, so push it later with: {shlex.join(again)}"
        ) from error
    return str(pushed.url)


def _push_best(config: TrainConfig, run: RunFolder, model: nn.Module, epochs_done: int) -> None:
    """Push the best epoch so far to its branch."""
    best = deepcopy(merged(model)).cpu()
    run.restore(best, run.load_best(), run.best_file)
    card = UNFINISHED.format(license=config.hub_license, epoch=run.record["best_epoch"])
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = export_checkpoint(best, Path(folder) / "checkpoint", image_size=config.image_size)
        files = {name: checkpoint / name for name in (CONFIG_FILE, WEIGHTS_FILE)}
        upload(
            "model",
            config.push_to_hub,
            {**files, "README.md": card.encode()},
            message=f"Best of {epochs_done} epochs",
            private=config.hub_private or None,
            revision=BRANCH,
        )


def _reason(error: Exception) -> str:
    """What went wrong, on one line."""
    if isinstance(error, InputError):
        return str(error)
    return f"pushing failed ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
