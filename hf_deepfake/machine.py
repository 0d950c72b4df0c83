"""The machine: its cores, its CPU's flags, and what follows from them."""

import contextlib
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

BF16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})
"""CPU flags with which bf16 trains faster than fp32; without either it is several times slower."""

WAIT = timedelta(days=1)
"""How long processes wait for one that audits, hashes, measures or draws, which takes hours of large sets; the default
of 10 minutes ends the run. That a process has died is noticed by the launcher, which ends the others."""


def default_workers(processes: int) -> int:
    """Decoding workers for each of `processes` on this machine: its share of the cores, at most 8."""
    return max(1, min(8, usable_cores() // processes))


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share_cores(processes: int) -> None:
    """Have torch compute on all cores, shared with the other processes on this machine.

    `accelerate launch` sets one thread where it is not told, which would leave the other cores idle.

    Args:
        processes: number of processes of the launch.
    """
    if os.environ.get("OMP_NUM_THREADS", "1") == "1":
        torch.set_num_threads(max(1, usable_cores() // processes))


def take_cores(processes: int, process: int) -> None:
    """Keep to a share of the cores; one core where there are more processes than cores.

    Runtimes that each take every core beside others that do the same are together slower than one alone.

    Args:
        processes: number of processes on this machine.
        process: which of them this is, from 0.
    """
    if processes > 1 and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[process % len(cores) :: processes])
        torch.set_num_threads(usable_cores())


@contextlib.contextmanager
def signals_kept_waiting() -> Generator[None]:
    """Keep signals waiting while worker processes start, which `leave_signals_to_parent` only once they have.

    Workers inherit this. A signal to the whole process group would otherwise end one that has not come so far.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_signals_to_parent(*_: object) -> None:
    """In a worker process: let neither Ctrl-C nor a SIGTERM to the whole process group end it, but its parent alone.

    A worker that goes first takes the step in hand with it, and of several processes each stands at another step then.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # in place of the parent's handler, which would only take a note
    parent = multiprocessing.parent_process()
    if parent is None or not hasattr(signal, "sigwaitinfo"):
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # see `signals_kept_waiting`
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def wait() -> None:
        """End this process when its parent says so."""
        while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent.pid:
            pass
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def submit(pool: ThreadPoolExecutor, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """Let a pool work; where Python is ending, when pools take nothing more, the work is done here and now.

    Args:
        pool: of threads.
        work: what to call.
        *arguments: what to call it with.

    Returns:
        A future of its result; done already in the second case, in which errors are raised at once.
    """
    try:
        return pool.submit(work, *arguments)
    except RuntimeError:  # a thread that outlives the main one; concurrent.futures stops before others are joined
        done: Future[Any] = Future()
        done.set_result(work(*arguments))
        return done


def best_device() -> torch.device:
    """Where to compute: the accelerator that torch has (CUDA, XPU, MPS), else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def widest_float(device: torch.device) -> torch.dtype:
    """float64, but float32 where it may be missing: Apple's and some of Intel's GPUs have none."""
    return torch.float64 if device.type in ("cpu", "cuda") else torch.float32


def best_precision(device: str, flags: frozenset[str]) -> str:
    """The fastest of "bf16" and "no" that is safe without loss scaling.

    Args:
        device: type of the torch device that computes.
        flags: flags of the CPU.

    Returns:
        "bf16" or "no".
    """
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "no"
    return "bf16" if device == "cpu" and flags & BF16_FLAGS else "no"


def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Instruction-set flags of the CPU as Linux names them; empty elsewhere."""
    return frozenset(_cpu_field("flags", path).split())


def cpu_name(path: Path = Path("/proc/cpuinfo")) -> str:
    """Model of the CPU as Linux names it; "unknown CPU" elsewhere."""
    return _cpu_field("model name", path) or "unknown CPU"


def _cpu_field(name: str, path: Path) -> str:
    """The first value of a field of /proc/cpuinfo, or nothing."""
    try:
        found = re.search(rf"^{name}\s*:\s*(.*)$", path.read_text(), re.MULTILINE)
    except OSError:
        return ""
    return found.group(1) if found else ""
