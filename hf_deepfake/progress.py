"""How far a piece of work is: a moving bar on a terminal, and in a log file a line now and then."""

import math
import sys
import time
from typing import Self

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 30
"""Where the output is no terminal, such as a log file, a line as often as this replaces the moving bar."""

_BAR = (
    "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"  # tqdm's own says 00:00 left at its end
)


class Progress:
    """Progress of one piece of work, on standard error; silent where `shown` is false.

    Args:
        title: what is done, in a word or two.
        total: units of work, known before.
        unit: their name.
        shown: whether this process speaks.
    """

    def __init__(self, title: str, total: int, unit: str, shown: bool = True):
        self.title, self.total, self.unit, self.shown = title, total, unit, shown
        self.done = 0
        self.began = self.said = time.monotonic()
        self.bar = tqdm(
            total=total,
            desc=title,
            bar_format=_BAR,
            disable=not (shown and sys.stderr.isatty()),
            leave=False,
            dynamic_ncols=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def update(self, count: int = 1, note: str = "") -> None:
        """Note that `count` further units are done.

        Args:
            count: units.
            note: what else is to be said, such as a speed.
        """
        self.done += count
        self._show(count, note, left(self.done, self.total, time.monotonic() - self.began))

    def _show(self, count: int, *told: str) -> None:
        """Move the bar, or say a line if none was said for a while."""
        notes = [part for part in told if part]
        self.bar.set_postfix_str(", ".join(notes), refresh=False)
        self.bar.update(count)
        now = time.monotonic()
        if self.shown and self.bar.disable and now - self.said >= SECONDS_BETWEEN_LINES:
            self.said = now
            self.say(", ".join([f"{self.title}: {self.done:,} of {self.total:,} {self.unit}", *notes]))

    def say(self, line: str) -> None:
        """Print a line without breaking the bar."""
        if self.shown:
            self.bar.write(line, file=sys.stderr)


def left(done: int, total: int, seconds: float) -> str:
    """Time that is left, if the rest goes on as fast as what was done.

    Args:
        done: units that are done, in `seconds`.
        total: units of all.
        seconds: since the first of these began.

    Returns:
        Such as "01:30 left", at least a second; empty where nothing is done yet, or nothing is left.
    """
    if not 0 < done < total:
        return ""
    return f"{tqdm.format_interval(max(1, math.ceil((total - done) * seconds / done)))} left"
