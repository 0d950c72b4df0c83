"""How much the service takes on, and from whom."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from hf_deepfake.errors import InputError
from hf_deepfake.images.source import MAX_BYTES

MEGABYTE = 1_000_000

MINUTE = 60.0

VIDEO_MEGABYTES = 100
"""Largest video: what a phone records in a minute or two, and messengers send in ten."""

CLIENTS = 10_000
"""Clients that are remembered at most; a thousand of them are 100 kB."""


@dataclass(frozen=True)
class Limits:
    """What the service takes on.

    Attributes:
        megabytes: largest image, MB; no more than `open_image` takes.
        concurrency: images evaluated at the same time.
        waiting: images that may wait beside those.
        rate: calls of one client in a minute; None for any number.
    """

    megabytes: int = MAX_BYTES // MEGABYTE
    concurrency: int = 1
    waiting: int = 20
    rate: int | None = None

    def __post_init__(self) -> None:
        most = MAX_BYTES // MEGABYTE
        if not 1 <= self.megabytes <= most:
            raise InputError(f"an upload of at most {self.megabytes} MB is no limit that holds; give 1 to {most} MB")
        if self.concurrency < 1:
            raise InputError(f"{self.concurrency} images at a time is none; give at least 1")
        if self.waiting < 0:
            raise InputError(f"{self.waiting} waiting images is no number; give 0 or more")
        if self.rate is not None and self.rate < 1:
            raise InputError(f"{self.rate} calls a minute is none; give at least 1, or leave the limit out")

    @property
    def image_bytes(self) -> int:
        """Bytes of the largest image."""
        return self.megabytes * MEGABYTE

    @property
    def upload_bytes(self) -> int:
        """Bytes of the largest upload: a video."""
        return VIDEO_MEGABYTES * MEGABYTE

    @property
    def body_bytes(self) -> int:
        """Bytes of the largest request but an upload: an image as base64 inside a message, as MCP sends it."""
        return self.image_bytes * 4 // 3 + MEGABYTE


class Rate:
    """Holds each client to so many calls a minute, by the generic cell rate algorithm: one number for each client.

    Args:
        calls: allowed in any minute, at once or spread over it.
        clock: in seconds.
    """

    def __init__(self, calls: int, clock: Callable[[], float] = time.monotonic):
        self._share = MINUTE / calls
        self._clock = clock
        self._free: dict[str, float] = {}

    def take(self, client: str) -> float:
        """Count a call, if it is allowed.

        Args:
            client: whose call it is.

        Returns:
            Seconds after which it would be allowed; 0 where it is now.
        """
        now = self._clock()
        if len(self._free) >= CLIENTS:
            self._free = {name: free for name, free in self._free.items() if free > now}
        free = max(self._free.get(client, now), now) + self._share
        if free - now > MINUTE * (1 + 1e-9):  # a sum of shares is no round number
            return free - now - MINUTE
        self._free[client] = free
        return 0.0
