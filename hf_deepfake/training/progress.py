"""What a person sees while a run goes on: speed, time left, and one line an epoch."""

import sys
import time
from typing import Any

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 30
"""Where the output is no terminal, such as a log file, a line as often as this replaces the moving bar."""


class Progress:
    """Progress of a run over all its steps, on standard error; silent where `shown` is false."""

    def __init__(self, shown: bool, steps: int):
        self.shown, self.steps = shown, steps
        self.first: int | None = None
        self.began = self.said = 0.0
        self.bar = tqdm(total=steps, unit="step", disable=not (shown and sys.stderr.isatty()), leave=False)

    def step(self, epoch: int, done: int, batch_size: int) -> None:
        """Note that `done` steps of the whole run are done, counted from 1."""
        now = time.monotonic()
        if self.first is None:
            self.first, self.began, self.said = done, now, now
            return
        seconds = (now - self.began) / (done - self.first)
        speed = batch_size / max(seconds, 1e-9)
        self.bar.set_postfix_str(f"epoch {epoch + 1}, {speed:.1f} images/s", refresh=False)
        self.bar.update(done - self.bar.n)
        if self.shown and self.bar.disable and now - self.said > SECONDS_BETWEEN_LINES:
            self.said = now
            left = (self.steps - done) * seconds
            self.say(f"step {done}/{self.steps}, {speed:.1f} images/s, {tqdm.format_interval(left)} left")

    def epoch(self, entry: dict[str, Any], monitor: str, is_best: bool) -> None:
        """Say how an epoch ended."""
        self.say(
            f"epoch {entry['epoch']} ({entry['stage']}): train loss {entry['train_loss']:.4f}, "
            f"validation {monitor} {entry[monitor]:.4f}{' (best)' if is_best else ''}, "
            f"{entry['images_per_second']:.1f} images/s"
        )

    def say(self, line: str) -> None:
        """Print a line without breaking the bar."""
        if self.shown:
            self.bar.write(line, file=sys.stderr)
