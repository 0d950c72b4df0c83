"""Stopping in an orderly way: a signal, to one process or to all, at any time of a run."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Self, TypeVar

import torch
from accelerate import Accelerator

from hf_deepfake.errors import Interrupted

Result = TypeVar("Result")


class Stopped(Exception):
    """A run was asked to stop by a signal.

    Args:
        signal_number: of the signal.
        folder: of the run.
        saved: whether there is something to go on from.
    """

    def __init__(self, signal_number: int, folder: Path, saved: bool = True):
        super().__init__(
            f"stopped and saved; go on with --resume and the same options (output_dir {folder})"
            if saved
            else f"stopped before there was anything to save; start again with the same command (output_dir {folder})"
        )
        self.signal_number = signal_number


class StopSignals:
    """While entered, SIGTERM and SIGINT only set `received`, and the run stops where it can be taken up again.

    A second Ctrl-C interrupts at once. A launcher of several processes passes on each signal that the whole group had
    already, and supervisors repeat SIGTERM: neither is impatience. After `Stopped`, a process of a launch
    ignores both to its end.
    """

    def __init__(self) -> None:
        self.received = 0
        self._at_once = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # Python lets no other set handlers
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # As soon as one process has ended, a launcher ends the others, which may have yet to say that they stopped.
        ending = kind is Stopped and "LOCAL_RANK" in os.environ
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if ending else handler)

    def at_once(self, work: Callable[[], Result]) -> Result | None:
        """Do work that a signal may end anywhere, for it leaves nothing that cannot be done anew.

        Args:
            work: takes nothing; it must not speak to other processes, who would wait for it.

        Returns:
            What it returned; None where a signal came before or meanwhile. Then `agreed` is true on every process.
        """
        try:
            self._at_once = True  # before it is asked what came, lest a signal come between
            if self.received:
                return None
            result = work()
            self._at_once = False
        except Interrupted:
            return None
        except Exception:
            if not self.received:
                raise
            return None  # the signal was for the work's own processes too, which are gone
        finally:
            self._at_once = False
        return result

    def check(self, accelerator: Accelerator) -> None:
        """Raise `Interrupted` on all processes where any got a signal; see `agreed`."""
        if self.agreed(accelerator):
            raise Interrupted

    def agreed(self, accelerator: Accelerator) -> bool:
        """Whether any process got a signal; all processes ask together, so that none is left waiting for another."""
        told = self.received
        if accelerator.num_processes > 1:
            told = int(accelerator.gather(torch.tensor([told], device=accelerator.device)).max())
        return self.take_over(told)

    def take_over(self, told: int) -> bool:
        """Act on what processes told each other, and not on a signal that came meanwhile: it is for the next look.

        Args:
            told: a signal that some process told of; 0 where none did.

        Returns:
            Whether to stop, the same on every process.
        """
        if told:  # else what came meanwhile, perhaps to all processes, would be lost
            self.received = told
        return bool(told)

    def _note(self, number: int, _: FrameType | None) -> None:
        """Remember the signal."""
        if self.received:
            if number == signal.SIGINT and "LOCAL_RANK" not in os.environ:
                raise KeyboardInterrupt
            return
        self.received = number
        if self._at_once:
            raise Interrupted
