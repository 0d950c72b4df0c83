"""Who is next: images are evaluated one at a time, and only so many wait."""

from collections.abc import Generator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

from hf_deepfake.errors import InputError


class Turns:
    """Lets one through at a time.

    gradio's own queue could count, too, but what it says when it is full is not for us to word.

    Args:
        waiting: how many may wait beside the one whose turn it is.
    """

    def __init__(self, waiting: int):
        self._waiting = waiting
        self._places = BoundedSemaphore(1 + waiting)
        self._turn = Lock()

    @contextmanager
    def take(self) -> Generator[None]:
        """Wait for one's turn, which lasts as long as the block.

        Raises:
            InputError: too many are waiting already.
        """
        if not self._places.acquire(blocking=False):
            raise InputError(f"{self._waiting} images are waiting already; try again in a minute")
        try:
            with self._turn:
                yield
        finally:
            self._places.release()
