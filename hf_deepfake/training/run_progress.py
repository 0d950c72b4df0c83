"""What a person sees while a run goes on: speed, time left, one line an epoch, and what comes after the last step."""

import time
from typing import Any

from hf_deepfake.progress import Progress, left

AFTER = (
    "temperature and operating point, on validation",
    "checkpoint, and its scores of validation and test",
    "maps of where the model looks, on test",
    "metrics with their intervals",
    "figures, page and card",
)
"""What a run does after its last step, in this order."""


class RunProgress(Progress):
    """Progress of a run over all its steps, and after them.

    Args:
        shown: whether this process speaks.
        steps: of the whole run.
    """

    def __init__(self, shown: bool, steps: int):
        super().__init__("training", steps, "steps", shown)
        self.taken: int | None = None

    def step(self, epoch: int, done: int, batch_size: int) -> None:
        """Note a step.

        Args:
            epoch: from 0.
            done: steps of the whole run that are behind it, with those of an earlier start and those that a stage left
                out by ending early; a step that a signal ended is noted again.
            batch_size: images of a step.
        """
        ahead, self.done = done - self.done, done
        if ahead <= 0:
            return
        now = time.monotonic()
        if self.taken is None:  # the first step starts workers and compiles, so that the clock runs from its end
            self.taken, self.began = 0, now
            self.bar.update(ahead)
            return
        self.taken += 1
        seconds = max(now - self.began, 1e-9)
        speed = batch_size * self.taken / seconds
        remaining = left(self.taken, self.taken + self.total - done, seconds)
        self._show(ahead, f"epoch {epoch + 1}", f"{speed:.1f} images/s", remaining)

    def epoch(self, entry: dict[str, Any], monitor: str, is_best: bool) -> None:
        """Say how an epoch ended."""
        self.say(
            f"epoch {entry['epoch']} ({entry['stage']}): train loss {entry['train_loss']:.4f}, "
            f"validation {monitor} {entry[monitor]:.4f}{' (best)' if is_best else ''}, "
            f"{entry['images_per_second']:.1f} images/s"
        )

    def after(self, place: int, images: int = 0) -> None:
        """Say what is done now that training is over.

        Args:
            place: in `AFTER`.
            images: how many it is done on; 0 where it is not done on images.
        """
        self.bar.close()
        on = f": {images:,} images" if images else ""
        self.say(f"after training, {place + 1} of {len(AFTER)}: {AFTER[place]}{on}")
