"""Frames of a video at chosen times, as a player would show them.

FFmpeg decodes, through PyAV. It is given an open file and the name of one of three containers, told from the content:
it opens no other file, no address, and none of its many further formats. What is not needed is not decoded: before a
wanted frame nothing that no other frame depends on, and nothing before the last key frame where the file's index says
where that is.
"""

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from hf_deepfake.errors import InputError
from hf_deepfake.files import local_path
from hf_deepfake.images.formats import HEAD, begins_image
from hf_deepfake.images.video_decoder import TOLERANCE, Frame, Video, VideoFacts, VideoLimits
from hf_deepfake.images.video_file import VideoInput, container_of

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi"})

LIMITS = VideoLimits()
"""The limits where none are given."""


def is_video(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is a video, by how it begins, or where that says nothing by its name.

    Args:
        path: of a file.

    Returns:
        True also for what goes by a video's name and is damaged; False for an image, whatever its name.
    """
    place = local_path(Path(path))
    try:
        if not place.is_file():  # a pipe would never answer
            return False
        with place.open("rb") as file:
            head = file.read(HEAD)
    except (OSError, ValueError):  # ValueError: a zero in the name
        return False
    if begins_image(head):
        return False
    return container_of(head) is not None or place.suffix.lower() in SUFFIXES


def probe(source: VideoInput, limits: VideoLimits = LIMITS) -> VideoFacts:
    """Tell what a video is; one frame of it is decoded.

    Args:
        source: the video.
        limits: beyond which it is refused.

    Returns:
        The facts.

    Raises:
        VideoError: it is no video, holds no picture, is damaged before its first frame, or is beyond the limits.
    """
    with Video(source, limits, threads=1) as video:
        return video.facts()


def read_frames(
    source: VideoInput,
    times: Iterable[float] | None = None,
    *,
    count: int | None = None,
    every: float | None = None,
    limits: VideoLimits = LIMITS,
    threads: int = 1,
) -> Iterator[Frame]:
    """Read frames of a video in the order of time, of which only one is in memory at a time.

    The frame of a time is the one on show then, and after the end the last one; no frame comes twice. What is damaged
    is left out, as long as there is anything else.

    Args:
        source: the video: a path, encoded bytes, or an open binary file that can be wound back.
        times: seconds since the first frame, at least 0; in any order.
        count: so many frames in the middle of as many equal parts; all of them in a clip that has fewer.
        every: a frame every so many seconds, from the first one on.
        limits: beyond which it is refused.
        threads: of the decoder.

    Returns:
        An iterator over the frames. The video is opened when the first is taken, and closed after the last.

    Raises:
        InputError: not exactly one of times, count and every is given, or its value makes no sense.
        VideoError: on the way: it is no video, holds no picture, is damaged before its first frame, or is beyond the
            limits.
    """
    given = [value for value in (times, count, every) if value is not None]
    if len(given) != 1:
        raise InputError(f"{len(given)} of times, count and every are given; give one of them")
    if count is not None and count < 1:
        raise InputError(f"count is {count}; it must be at least 1")
    if every is not None and not 0 < every < math.inf:
        raise InputError(f"every is {every}; it must be more than 0 s and finite")
    chosen = sorted(times or ())
    if any(not 0 <= one < math.inf for one in chosen):
        raise InputError(
            f"times holds {next(one for one in chosen if not 0 <= one < math.inf)}; give seconds from 0 on"
        )
    return _frames(Video(source, limits, threads), chosen, count, every)


def _frames(video: Video, chosen: list[float], count: int | None, every: float | None) -> Iterator[Frame]:
    """The frames; see `read_frames`."""
    with video:
        targets: Iterable[float] = chosen
        if count is not None:
            targets = ((part + 0.5) * video.duration / count for part in range(count))
        elif every is not None:
            targets = (number * every for number in range(math.ceil(video.duration / every - TOLERANCE)))
        last = -math.inf
        for target in targets:
            frame = video.at(target, last)
            if frame is not None:
                last = frame.time
                with video.resting():
                    yield frame
