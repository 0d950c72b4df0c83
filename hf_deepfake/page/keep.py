"""Where uploads and results lie, and until when: a folder of this server's own, swept while it runs and gone after."""

import atexit
import fcntl
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Set
from pathlib import Path

PREFIX = "hf-deepfake-uploads-"

STOPS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def own_folder() -> Path:
    """Make a folder for what this server is sent, and remove those of servers that were killed.

    The folder goes when the process ends, in whatever way Python hears of. A killed process cannot tidy up; but its
    lock on its folder ends with it, and so the next server knows.

    Returns:
        A new folder in GRADIO_TEMP_DIR, or else in the system's folder for temporary files.
    """
    parent = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()).resolve()
    parent.mkdir(parents=True, exist_ok=True)
    for old in parent.glob(f"{PREFIX}*"):
        if (lock := _lock(old)) is not None:
            shutil.rmtree(old, ignore_errors=True)
            os.close(lock)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        # Another server that starts at this moment may have taken it for one that was left.
        if _lock(folder) is not None:
            atexit.register(_remove, folder)
            return folder


def end_on_signals() -> None:
    """End on SIGTERM and SIGHUP as on Ctrl-C, so that the folder goes; further signals cannot cut this short."""

    def interrupt(number: int, _: object) -> None:
        for each in STOPS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(number)

    for each in STOPS:
        signal.signal(each, interrupt)


class Sweep:
    """Deletes what it has met before, so that everything stays for one to two times the time between two calls.

    It walks the folder itself: gradio's own sweep goes through names that requests have a say in, does not know of
    uploads that were broken off, and leaves every upload's folder.

    Args:
        folder: all that is in it is swept, but what `kept` names.
        kept: paths of files that stay.
    """

    def __init__(self, folder: Path, kept: Set[str]):
        self._folder = folder
        self._kept = kept
        self._seen: dict[str, int] = {}

    def __call__(self) -> None:
        """Delete files that have not changed since the last call, and folders that were there and are empty now."""
        found: dict[str, int] = {}
        for root, folders, files in os.walk(self._folder, topdown=False):
            for path in (os.path.join(root, name) for name in (*files, *folders)):  # noqa: PTH118 - as os.walk has it
                if path in self._kept:
                    continue
                try:
                    status = os.lstat(path)
                    is_folder = stat.S_ISDIR(status.st_mode)
                    found[path] = 0 if is_folder else status.st_ctime_ns  # a folder changes with what is in it
                    if self._seen.get(path) == found[path]:
                        (os.rmdir if is_folder else os.unlink)(path)
                        del found[path]
                except OSError:  # gone meanwhile, or a folder that is in use
                    continue
        self._seen = found


def _lock(folder: Path) -> int | None:
    """Lock a folder for this process; None where another one has, it is somebody else's, or it is no folder."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_uid == os.geteuid() and os.path.samestat(os.fstat(handle), os.lstat(folder)):
            return handle
    except OSError:
        pass
    os.close(handle)
    return None


def _remove(folder: Path) -> None:
    """Remove the folder, though a request that still runs may just have put something there."""
    for each in STOPS:
        signal.signal(each, signal.SIG_IGN)
    for _ in range(10):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
