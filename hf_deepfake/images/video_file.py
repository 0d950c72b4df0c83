"""A file that may hold a video: of which container it is, opened, and read for no longer than allowed."""

import io
import os
import re
import time
from pathlib import Path
from typing import IO

from hf_deepfake.errors import VideoError
from hf_deepfake.files import local_path

VideoInput = str | os.PathLike[str] | bytes | IO[bytes]
"""A path, encoded bytes, or an open binary file that can be wound back."""

CONTAINERS = {
    rb".{4}ftyp(?!M4[AB])|.{4}(moov|mdat|wide|free|skip|pnot)": ("mov", "MP4 or MOV"),
    rb"\x1a\x45\xdf\xa3": ("matroska", "WebM or MKV"),
    rb"RIFF.{4}AVI ": ("avi", "AVI"),
}
"""How a file of each container begins, what FFmpeg calls it and what people do."""


class Clock:
    """Counts the seconds of work.

    Args:
        seconds: that are allowed.
        name: of what is read.
    """

    def __init__(self, seconds: float, name: str) -> None:
        self.limit, self.name = seconds, name
        self.end = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether the seconds are spent."""
        return time.monotonic() > self.end

    def check(self) -> None:
        """Raise `VideoError` when they are."""
        if self.over:
            raise VideoError(f"{self.name} takes longer than {self.limit:g} s to read; give a shorter or smaller clip")


class TimedFile:
    """A file that ends when the time is over: what is damaged may be searched for ever.

    Args:
        file: to read from, as PyAV does.
        clock: says when.
    """

    def __init__(self, file: IO[bytes], clock: Clock) -> None:
        self.file, self.clock = file, clock
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        """At most that many bytes."""
        return b"" if self.clock.over else self.file.read(size)


def container_of(head: bytes) -> tuple[str, str] | None:
    """FFmpeg's name of the container of a file with this beginning, and the name that people use; or None."""
    return next((names for begin, names in CONTAINERS.items() if re.match(begin, head, re.DOTALL)), None)


def open_file(source: VideoInput) -> tuple[IO[bytes], str]:
    """An open file, and what to call it in an error."""
    if isinstance(source, bytes):
        return io.BytesIO(source), "the video"
    if not isinstance(source, (str, os.PathLike)):
        if not (hasattr(source, "read") and hasattr(source, "seek")):
            raise VideoError(f"something of type {type(source).__name__} is no video; give a path, bytes or a file")
        return source, "the video"
    path = local_path(Path(source))
    try:
        return path.open("rb"), str(path)
    except (OSError, ValueError) as error:  # ValueError: a zero in the name
        reason = getattr(error, "strerror", None) or error
        raise VideoError(f"{path} cannot be opened ({reason}); check the path") from error
