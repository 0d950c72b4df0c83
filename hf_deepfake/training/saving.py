"""What a run keeps of its loop: the weights of its best epoch, and a state from which any step can be taken again."""

import copy
import time
from dataclasses import asdict
from typing import Any

from accelerate import Accelerator
from timm.utils import ModelEmaV3
from torch import nn

from hf_deepfake.errors import InputError
from hf_deepfake.models.adapters import merged, save_adapter
from hf_deepfake.training.group_dro import GroupDro
from hf_deepfake.training.resume import Position, RunFolder

PAUSE = 10.0
"""Seconds between two savings of epochs that take less than saving a large model does, as those on features do."""


class Saving:
    """Writes, from the main process, what a run goes on from, and reads it.

    Args:
        accelerator: of the run.
        run: its folder.
        model: that trains.
        ema: its average; None where it has none.
        group_dro: the weights of groups; None where they have none.
        order: digest of the order of images.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        run: RunFolder,
        model: nn.Module,
        ema: ModelEmaV3 | None,
        group_dro: GroupDro | None,
        order: str,
    ):
        self.accelerator, self.run, self.model, self.ema = accelerator, run, model, ema
        self.group_dro, self.order = group_dro, order
        self._best: nn.Module | None = None  # not written yet
        self._saved = time.monotonic()

    def restore(self) -> tuple[Position, dict[str, Any] | None]:
        """Take position and weights from where the run stopped.

        Returns:
            The position, and the state that was saved; the run's start and None where nothing was.

        Raises:
            InputError: it is damaged, or of other images.
        """
        state = self.run.load_state()
        if state is None:
            return Position(), None
        if state["order"] != self.order:
            raise InputError(
                f"the groups or origins of the images are not those that the run in {self.run.folder} began "
                "with; give the same data, with its groups.csv, or start anew in another --output_dir"
            )
        self.run.restore(self.model, state["model"])
        if self.ema:
            self.run.restore(self.ema.module, state["ema"])
        try:
            if self.group_dro:
                self.group_dro.restore(state["group_dro"])
            return Position(**state["position"]), state
        except TypeError as error:
            raise self.run.damaged(self.run.state_file, error) from error

    def keep_best(self, model: nn.Module, short: bool) -> None:
        """Keep the weights of an epoch that is better than all before.

        Args:
            model: that was judged; it may train on.
            short: whether the epoch took less than writing them does: then they are written when a state is.
        """
        if self.accelerator.is_main_process:
            self._best = copy.deepcopy(model) if short else model
            if not short:
                self.write_best()

    def write_best(self) -> None:
        """Write the weights of the best epoch, if they are not yet."""
        if self._best is not None:
            self.run.save_best(merged(self._best).state_dict())
            save_adapter(self._best, self.run.adapter)
            self._best = None

    def save(self, stage: str, optimizer: Any, position: Position, short: bool = False) -> None:
        """Write all that a resumed run needs; processes wait for each other.

        Args:
            stage: its name.
            optimizer: of the stage.
            position: that the run goes on from.
            short: whether an epoch was done that took less than this does: then only where some time has passed, for
                what a crash loses of such epochs is soon done anew.
        """
        due = not short or time.monotonic() - self._saved >= PAUSE
        if self.accelerator.is_main_process and due:
            self.write_best()
            self.run.record |= {"epochs": position.history, "best_epoch": position.best_epoch}
            self.run.save_record()
            scaler = self.accelerator.scaler
            self.run.save_state(
                {
                    "stage": stage,
                    "order": self.order,
                    "position": asdict(position),
                    "model": self.model.state_dict(),
                    "ema": self.ema.module.state_dict() if self.ema else None,
                    "optimizer": optimizer.state_dict(),
                    "scaler": scaler.state_dict() if scaler is not None else None,
                    "group_dro": self.group_dro.state() if self.group_dro else None,
                }
            )
            self._saved = time.monotonic()
        self.accelerator.wait_for_everyone()
