"""Evaluate a video: its frames are decoded ahead and their faces found while the model works."""

import io
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hf_deepfake.audits.statistics import sharpness
from hf_deepfake.detect.answers import Answer
from hf_deepfake.detect.face_crops import Prepared
from hf_deepfake.detect.video_decision import SHARP_SIDE, Look, decide_video
from hf_deepfake.detect.video_verdict import VideoVerdict
from hf_deepfake.errors import InputError
from hf_deepfake.images.scene_cuts import colours
from hf_deepfake.images.video import Frame, VideoInput, VideoLimits, probe, read_frames
from hf_deepfake.machine import usable_cores
from hf_deepfake.models.checkpoint import LoadedCheckpoint

MOST_FRAMES = 3600
"""Frames of one clip, which are kept scaled down: every second of an hour, 150 MB."""

BATCH = 8
"""Faces evaluated at once: little waits for the model, and a CPU is as fast as with more."""

PICTURE, QUALITY = 640, 85
"""Longest side, px, and JPEG quality at which frames are kept: 40 kB each."""


def evaluate_video(
    source: VideoInput,
    prepare: Callable[[Image.Image], Prepared],
    answer: Callable[[Sequence[Tensor]], Answer],
    checkpoint: LoadedCheckpoint,
    which: Mapping[str, Any],
    limits: VideoLimits,
    progress: Callable[[int, int], object] = lambda done, number: None,
) -> VideoVerdict:
    """Evaluate a video; see `Detector.video`.

    Args:
        source: the video.
        prepare: finds what is evaluated in a frame; several threads call it at once.
        answer: evaluates it.
        checkpoint: whose abstention band counts.
        which: count or every, as `read_frames` takes it: the frames that are evaluated.
        limits: beyond which the video is refused.
        progress: called with how many frames were looked at, and how many will be.

    Returns:
        The verdict.

    Raises:
        VideoError: the video cannot be read, or is beyond the limits.
        InputError: which makes no sense, or there are too many.
    """
    sampled = read_frames(source, **which, limits=limits)
    facts = probe(source, limits)
    number = which.get("count") or math.ceil(facts.duration / which["every"])
    if number > MOST_FRAMES:
        raise InputError(f"{number:,} frames of one clip are too many; take at most {MOST_FRAMES:,}")
    looks: list[Look] = []
    waiting: list[Look] = []
    for look in _ahead(sampled, lambda frame: _look(frame, prepare)):
        waiting.append(look)
        progress(len(looks) + len(waiting), number)
        if sum(len(one.prepared.pixels) for one in waiting) >= BATCH:
            looks += _answered(waiting, answer)
            waiting = []
    looks += _answered(waiting, answer)
    return decide_video(looks, facts, checkpoint, number)


def _ahead(frames: Iterator[Frame], work: Callable[[Frame], Look]) -> Iterator[Look]:
    """Work on frames by as many threads as there are cores, of which one decodes; few frames wait."""
    cores = usable_cores()
    decoder, workers = ThreadPoolExecutor(1, "decoder"), ThreadPoolExecutor(max(1, cores - 1), "faces")

    def step() -> "Future[Look] | None":
        """Decode one frame, and have it worked on."""
        frame = next(frames, None)
        return None if frame is None else workers.submit(work, frame)

    steps: deque[Future[Future[Look] | None]] = deque(decoder.submit(step) for _ in range(2 * cores))
    try:
        while (begun := steps.popleft().result()) is not None:
            look = begun.result()
            steps.append(decoder.submit(step))
            yield look
    finally:
        decoder.shutdown(cancel_futures=True)
        workers.shutdown(cancel_futures=True)
        frames.close()  # ty: ignore[missing-attribute]


def _look(frame: Frame, prepare: Callable[[Image.Image], Prepared]) -> Look:
    """Find what there is to evaluate in a frame."""
    image, prepared = frame.image, prepare(frame.image)
    small = image.copy()
    small.thumbnail((PICTURE, PICTURE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=QUALITY)
    sharp = []
    for region in prepared.regions:
        crop = image.resize((SHARP_SIDE, SHARP_SIDE), Image.Resampling.BICUBIC, region, reducing_gap=2.0).convert("L")
        sharp.append(sharpness(np.asarray(crop, np.float32)))
    return Look(frame.time, image.size, file.getvalue(), colours(image), prepared, tuple(sharp))


def _answered(looks: Sequence[Look], answer: Callable[[Sequence[Tensor]], Answer]) -> Iterator[Look]:
    """Frames with the model's answers, in place of the pixels that it was asked about."""
    pixels = [region for look in looks for region in look.prepared.pixels]
    odds: list[float] = []
    values: list[NDArray[np.float32] | None] = []
    for start in range(0, len(pixels), BATCH):
        logits, maps = answer(pixels[start : start + BATCH])
        odds += (logits[:, 1].double() - logits[:, 0].double()).tolist()
        values += [None] * len(logits) if maps is None else list(maps.float().cpu().numpy())
    for look in looks:
        count = len(look.prepared.pixels)
        yield replace(
            look,
            prepared=replace(look.prepared, pixels=()),
            log_odds=tuple(islice(odds, count)),
            values=tuple(islice(values, count)),
        )
        del odds[:count], values[:count]
