"""Who is next: only so many images are evaluated at a time, in the order in which they came, and only so many wait."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event, Lock
from typing import Generic, TypeVar

from hf_deepfake.errors import InputError

T = TypeVar("T")


class BusyError(InputError):
    """So many wait already that this one cannot."""


class Turn(Generic[T]):
    """Work that waits for its turn or has had it; iterate over how many are still before it.

    Args:
        work: what is to be done.
        ahead: how many are before it when it comes.
    """

    def __init__(self, work: Callable[[], T], ahead: int):
        self._work = work
        self._ahead: SimpleQueue[int | None] = SimpleQueue()
        self._ahead.put(ahead)
        self._future: Future[T] = Future()
        self._done = Event()

    def __iter__(self) -> Iterator[int]:
        """Yield how many are before it: at once, whenever that changes, and 0 when it is its turn, until it is done."""
        return iter(self._ahead.get, None)

    def move(self, ahead: int | None) -> None:
        """Note how many are before it now.

        Args:
            ahead: their number; None when it is done and others may come.
        """
        self._ahead.put(ahead)
        if ahead is None:
            self._done.set()

    def do(self) -> None:
        """Do the work."""
        try:
            self._future.set_result(self._work())
        except BaseException as error:
            self._future.set_exception(error)

    def result(self) -> T:
        """Wait for what the work returns.

        Returns:
            That; what the work raises is raised here.
        """
        self._done.wait()
        return self._future.result()


class Turns:
    """Does a few pieces of work at a time.

    gradio's own queue could count, too, but what it says when it is full is not for us to word. Work that nobody waits
    for any more is done all the same: who leaves must not be able to stop the others.

    Args:
        waiting: how many may wait beside those whose turn it is.
        concurrency: how many may have their turn at the same time.
    """

    def __init__(self, waiting: int, concurrency: int = 1):
        self._waiting = waiting
        self._concurrency = concurrency
        self._workers = ThreadPoolExecutor(concurrency, thread_name_prefix="turns")
        self._order: list[Turn] = []
        self._lock = Lock()

    def __len__(self) -> int:
        """How many have their turn or wait for it."""
        return len(self._order)

    @property
    def full(self) -> bool:
        """Whether there is no place left to wait in."""
        return len(self._order) >= self._concurrency + self._waiting

    @property
    def busy(self) -> BusyError:
        """What to say to whoever comes when it is full."""
        return BusyError(f"{self._waiting} images are waiting already; try again in a minute")

    def queue(self, work: Callable[[], T]) -> Turn[T]:
        """Let work wait for its turn.

        Args:
            work: what takes long.

        Returns:
            Its place among the others, and its result.

        Raises:
            BusyError: too many are waiting already.
        """
        with self._lock:
            if self.full:
                raise self.busy
            turn = Turn(work, self._ahead(len(self._order)))
            self._order.append(turn)
            self._workers.submit(self._take, turn)
        return turn

    def _take(self, turn: Turn) -> None:
        """Do what is first in order, and let all that wait behind it move up."""
        turn.do()
        with self._lock:
            self._order.remove(turn)
            turn.move(None)
            for place, behind in enumerate(self._order):
                behind.move(self._ahead(place))

    def _ahead(self, place: int) -> int:
        """How many must be done before the turn at a place of the order begins."""
        return max(0, place - self._concurrency + 1)
