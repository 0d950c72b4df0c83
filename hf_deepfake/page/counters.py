"""What the service counts, in Prometheus' text format: no client, no file, no image stands in it."""

import time
from collections.abc import Generator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from hf_deepfake.detect.verdict import Verdict
from hf_deepfake.detect.video_verdict import VideoVerdict
from hf_deepfake.page.turns import Turns

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Seconds: a face crop takes a tenth on two cores, a large image with many faces some seconds."""


class Counters:
    """Counts of one service.

    Args:
        turns: of all that is evaluated.
    """

    def __init__(self, turns: Turns):
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        text = "Requests by route and status of the answer"
        self._requests = Counter("hf_deepfake_requests", text, ["route", "status"], registry=self._registry)
        text = "Seconds from a request to the end of its answer"
        self._answers = Histogram(
            "hf_deepfake_request_seconds", text, ["route"], registry=self._registry, buckets=BUCKETS
        )
        text = "Seconds that an image's evaluation took, without waiting"
        self._seconds = Histogram("hf_deepfake_evaluation_seconds", text, registry=self._registry, buckets=BUCKETS)
        text = "Verdicts: real, fake, or cannot tell"
        self._verdicts = Counter("hf_deepfake_verdicts", text, ["verdict"], registry=self._registry)
        text = "Images that are evaluated or wait for it"
        Gauge("hf_deepfake_images_in_service", text, registry=self._registry).set_function(lambda: len(turns))

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            route: where it went: one of a few names.
            status: of its answer.
            seconds: that it took.
        """
        self._requests.labels(route, str(status)).inc()
        self._answers.labels(route).observe(seconds)

    @contextmanager
    def evaluation(self) -> Generator[None]:
        """Measure an evaluation, which lasts as long as the block; one that fails is not counted."""
        began = time.perf_counter()
        yield
        self._seconds.observe(time.perf_counter() - began)

    def found(self, verdict: Verdict | VideoVerdict) -> None:
        """Count a verdict.

        Args:
            verdict: on one image or video.
        """
        self._verdicts.labels("cannot tell" if verdict.unsure else verdict.label).inc()

    def text(self) -> bytes:
        """All counts in Prometheus' text format."""
        return generate_latest(self._registry)
