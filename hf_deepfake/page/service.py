"""What page, API and MCP tool share: one detector, whose turn it is, what is counted, and whether it goes on."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from hf_deepfake.data.scene import draw_scene
from hf_deepfake.detect.detector import Detector
from hf_deepfake.detect.verdict import Explanation, Verdict
from hf_deepfake.detect.video_verdict import VideoVerdict
from hf_deepfake.errors import InputError
from hf_deepfake.images.video import VideoInput
from hf_deepfake.page.counters import Counters
from hf_deepfake.page.limits import Limits
from hf_deepfake.page.turns import Turns

T = TypeVar("T")

GRACE = 20.0
"""Seconds that what runs may take to end once the service is told to stop."""

STEP, STILL = 0.1, 5
"""Seconds from one look to the next while it ends, and how often nothing must be found: who has just been told where
its result will be has half a second to come for it."""


class CountedDetector:
    """A detector whose work is counted.

    Args:
        detector: does the work.
        counters: count it.
    """

    def __init__(self, detector: Detector, counters: Counters):
        self._detector = detector
        self._counters = counters

    def __call__(self, content: bytes) -> Verdict:
        """Evaluate an encoded image; see `Detector`."""
        with self._counters.evaluation():
            verdict = self._detector(content)
        self._counters.found(verdict)
        return verdict

    def explain(self, content: bytes) -> Explanation:
        """Evaluate an encoded image and show what speaks for the verdict; see `Detector`."""
        with self._counters.evaluation():
            explanation = self._detector.explain(content)
        self._counters.found(explanation.verdict)
        return explanation

    def video(self, file: VideoInput, **options: Any) -> VideoVerdict:
        """Evaluate a video; see `Detector.video`."""
        with self._counters.evaluation():
            verdict = self._detector.video(file, **options)
        self._counters.found(verdict)
        return verdict


class Service:
    """One detector and all who want something of it. When it is made it has evaluated a drawn image.

    Args:
        detector: evaluates.
        limits: what the service takes on.

    Raises:
        InputError: the model runs on torch and is to evaluate several images at the same time: its maps are made with
            hooks, which belong to the model and not to a call.
    """

    def __init__(self, detector: Detector, limits: Limits):
        if limits.concurrency > 1 and detector.backend.runtime == "torch":
            raise InputError(
                "a model on torch evaluates one image at a time; leave out --concurrency, or export the model"
            )
        self.limits = limits
        self.turns = Turns(limits.waiting, limits.concurrency)
        self.counters = Counters(self.turns)
        self.detector = CountedDetector(detector, self.counters)
        self.stopping = False
        self.facts = {"backend": str(detector.backend), "model": detector.fingerprint}
        self._calls = 0
        self._counting = threading.Lock()
        drawn = draw_scene(np.random.default_rng(0), 128).image
        detector(Image.fromarray((drawn * 255).round().clip(0, 255).astype(np.uint8)))

    def in_turn(self, work: Callable[[], T]) -> T:
        """Do something that takes long when it is its turn.

        Args:
            work: what to do.

        Returns:
            What the work returns.

        Raises:
            BusyError: too many are waiting already.
        """
        return self.turns.queue(work).result()

    def call(self, change: int) -> None:
        """Note that a call came (1), or that its answer went (-1)."""
        with self._counting:
            self._calls += change

    def stop(self, grace: float = GRACE) -> bool:
        """Take nothing new, and wait until what runs has ended.

        Args:
            grace: seconds to wait at most.

        Returns:
            Whether all has ended.
        """
        self.stopping = True
        deadline, still = time.monotonic() + grace, 0
        while still < STILL and time.monotonic() < deadline:
            time.sleep(STEP)
            still = 0 if self._calls or len(self.turns) else still + 1
        return still >= STILL
