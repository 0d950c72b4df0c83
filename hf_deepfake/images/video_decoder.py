"""An open video: FFmpeg through PyAV, held to what is wanted, what is allowed, and the time that it may take."""

import math
import time
from collections import deque
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import IO, TYPE_CHECKING, Any, Self

from PIL import Image

from hf_deepfake.errors import InputError, VideoError
from hf_deepfake.images.formats import HEAD
from hf_deepfake.images.video_file import Clock, TimedFile, VideoInput, container_of, open_file
from hf_deepfake.images.video_rgb import HDR, quarter_turns, square, to_rgb

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

CODECS = {
    "h264": "H.264",
    "hevc": "HEVC",
    "vp8": "VP8",
    "vp9": "VP9",
    "av1": "AV1",
    "mpeg4": "MPEG-4",
    "mjpeg": "Motion JPEG",
    "prores": "ProRes",
    "ffv1": "FFV1",
    "rawvideo": "uncompressed",
}
"""What is decoded; every further decoder would only be a further way to attack."""

_DECODERS = ",".join([*CODECS, "libdav1d", "libvpx-vp9", "libvpx"])

TOLERANCE = 1e-3
"""Seconds by which a frame may be later than the time it is wanted at: Matroska rounds to milliseconds."""

_REORDERED = 5
"""Frames by which the order of decoding may differ from that of showing."""

_MARGIN = 0.25
"""Seconds before a wanted time from which every frame is decoded; longer than most frames are shown."""


@dataclass(frozen=True)
class VideoLimits:
    """How much of a video is read before it is refused.

    Attributes:
        duration: seconds of the clip; a film fits.
        pixels: of a frame; 8K fits, which takes 50 MB a frame in the decoder and 100 MB in RGB.
        frames: that are given to the decoder; four hours at 30 a second fit.
        seconds: of work, without those in which the caller works; an hour of 1080p takes six minutes on one core.
    """

    duration: float = 4 * 3600
    pixels: int = 8192 * 4320
    frames: int = 500_000
    seconds: float = 1800


@dataclass(frozen=True)
class VideoFacts:
    """What a video is.

    Attributes:
        duration: seconds from the first frame to the end of the last.
        width: px, upright and with square pixels.
        height: px, likewise.
        frame_rate: frames per second, on average.
        codec: such as "H.264".
        container: such as "MP4 or MOV".
        rotated: whether the frames are stored lying on a side or upside down.
        hdr: whether colours are of high dynamic range, which is shown without tone mapping.
    """

    duration: float
    width: int
    height: int
    frame_rate: float
    codec: str
    container: str
    rotated: bool = False
    hdr: bool = False


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        time: seconds since the first frame, when it begins to be shown.
        image: RGB, upright.
    """

    time: float
    image: Image.Image


class Video:
    """An open video. It goes forwards alone, and whatever goes wrong is a `VideoError`."""

    def __init__(self, source: VideoInput, limits: VideoLimits, threads: int) -> None:
        self.source, self.limits, self.threads = source, limits, threads

    def __enter__(self) -> Self:
        try:
            import av  # noqa: F401
        except ImportError as error:
            raise InputError("videos are read by av, which cannot be imported here; run pip install av") from error
        with ExitStack() as stack:
            file, self.name = open_file(self.source)
            if file is not self.source:
                stack.enter_context(file)
            self.clock = Clock(self.limits.seconds, self.name)
            with self._errors():
                self._open(file, stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def _errors(self) -> Generator[None]:
        """Decoders raise nearly anything on broken input, from FFmpeg's own errors to MemoryError."""
        try:
            yield
            self.clock.check()
        except VideoError:
            raise
        except Exception as error:
            self.clock.check()  # a file that has ended too early for FFmpeg
            reason = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
            raise VideoError(f"{self.name} is truncated or broken ({reason}); use an intact copy") from error

    @contextmanager
    def resting(self) -> Generator[None]:
        """A time that does not count."""
        began = time.monotonic()
        yield
        self.clock.end += time.monotonic() - began

    def _open(self, file: IO[bytes], stack: ExitStack) -> None:
        """Find the picture in the file and make its decoder ready."""
        import av
        from av.video.reformatter import VideoReformatter

        file.seek(0)
        known = container_of(file.read(HEAD))
        file.seek(0)
        if known is None:
            raise VideoError(f"{self.name} is not a video in any of MP4, MOV, WebM, MKV, AVI; convert it first")
        kind, self.container_name = known
        # FFmpeg counts the blocks that reach over the border, too; what is shown is checked by ourselves.
        largest = {"max_pixels": str(2 * self.limits.pixels)}
        allowed = {"codec_whitelist": _DECODERS, **largest}
        options: Any = {"format": kind, "options": allowed, "metadata_errors": "replace"}
        self.container = stack.enter_context(av.open(TimedFile(file, self.clock), "r", **options))
        stream: Any = self.container.streams.best("video")
        if stream is None or stream.disposition & type(stream.disposition).attached_pic:
            raise VideoError(f"{self.name} holds no moving picture; give a video that is not sound alone")
        self.stream = stream
        self.context = stream.codec_context
        codec = "unknown" if self.context is None else self.context.codec.canonical_name
        if codec not in CODECS:
            raise VideoError(f"{self.name} is coded as {codec}, not as any of {', '.join(CODECS.values())}; convert it")
        self.codec = CODECS[codec]
        self.aspect: Fraction | None = self.stream.sample_aspect_ratio
        self._check_size(*square(self.context.width, self.context.height, self.aspect))
        # An AVI's packets say when they are decoded and not when they are shown; so do frames, but not across threads.
        self.by_decoding = kind == "avi"
        self.context.thread_count = self.threads
        self.context.thread_type = "SLICE" if self.by_decoding else "AUTO"
        self.context.options = largest
        # dav1d settles that once and for all at its first packet.
        self.can_leave_out = not self.by_decoding and codec != "av1"
        self.base = float(self.stream.time_base or 1)
        self.start: int | None = None if self.by_decoding else self.stream.start_time
        self.rate = float(self.stream.average_rate or self.stream.guessed_rate or 25)
        self.margin = max(_MARGIN, _REORDERED / self.rate)
        self.reformatter = VideoReformatter()
        self.waiting: deque[VideoFrame] = deque()
        self.shown: VideoFrame | None = None
        self.given, self.position, self.damaged = 0, -math.inf, False
        # Matroska's index is read by the first search alone.
        self.container.seek(self.start or 0, stream=self.stream)
        self.packets = self.container.demux(self.stream)
        self.duration = self._duration()
        if self.duration > self.limits.duration:
            raise VideoError(
                f"{self.name} lasts {self.duration:.0f} s, longer than {self.limits.duration:g} s; cut out a part of it"
            )

    def facts(self) -> VideoFacts:
        """What the video is."""
        with self._errors():
            frame = self._on_show(0)
            if frame is None:
                raise VideoError(f"no frame of {self.name} can be decoded; use an intact copy")
            width, height = square(frame.width, frame.height, self.aspect)
            turns = quarter_turns(frame.rotation)
            return VideoFacts(
                self.duration,
                *((height, width) if turns % 2 else (width, height)),
                self.rate,
                self.codec,
                self.container_name,
                turns > 0,
                frame.color_trc in HDR,
            )

    def at(self, target: float, after: float) -> Frame | None:
        """The frame on show at a time, if it is a later one than the one that began at `after`."""
        with self._errors():
            found = self._on_show(target)
            if found is None:
                raise VideoError(f"no frame of {self.name} can be decoded; use an intact copy")
            began = self._time(found)
            if began <= after:
                return None
            self._check_size(*square(found.width, found.height, self.aspect))
            return Frame(began, to_rgb(found, self.aspect, self.reformatter))

    def _on_show(self, target: float) -> "VideoFrame | None":
        """The frame on show at a time; the first one where all are later, the last one where all are earlier."""
        limit = target + TOLERANCE
        self._skip(target)
        while self.shown is None or self._time(self.shown) <= limit:
            if not self.waiting:
                if not self._decode(target):
                    break
            elif self.shown is not None and self._time(self.waiting[0]) > limit:
                break
            else:
                self.shown = self.waiting.popleft()
        return self.shown

    def _skip(self, target: float) -> None:
        """Go to the last key frame before a time if that is ahead of where the decoder is."""
        if self.start is None:
            return
        index = self.stream.index_entries
        wanted = self._stamp(target - self.margin)
        found = index.search_timestamp(wanted) if len(index) else -1
        if found >= 0 and index[found].timestamp > self.position:
            self.container.seek(wanted, stream=self.stream)  # which empties the decoder
            self.packets = self.container.demux(self.stream)
            self.position = index[found].timestamp
            self.waiting.clear()
            self.shown = None

    def _decode(self, target: float) -> bool:
        """Give the decoder a further packet; False where there is none."""
        from av.error import FFmpegError

        self.clock.check()
        packet = next(self.packets, None)
        if packet is None:
            return False
        self.given += 1
        if self.given > self.limits.frames:
            raise VideoError(f"{self.name} has more than {self.limits.frames:,} frames to decode; cut out a part of it")
        stamp = packet.pts
        if packet.dts is not None:
            self.position = max(self.position, packet.dts)
        early = self.can_leave_out and stamp is not None and stamp < self._stamp(target - self.margin)
        self.context.skip_frame = "NONREF" if early else "DEFAULT"
        try:
            frames: Any = packet.decode()
        except FFmpegError:
            self.damaged = True
            return True
        for frame in frames:
            last = self.waiting[-1] if self.waiting else self.shown
            # What is damaged is left out, and so is all that is predicted from it.
            self.damaged = frame.is_corrupt or (self.damaged and not frame.key_frame)
            if not self.damaged and (last is None or self._time(frame) > self._time(last)):
                self.waiting.append(frame)
        return True

    def _stamp(self, seconds: float) -> int:
        """A time in units of the stream's clock."""
        return math.floor(seconds / self.base) + (self.start or 0)

    def _time(self, frame: "VideoFrame") -> float:
        """Seconds since the first frame, of which the first that is asked is one if the file does not say."""
        first, second = (frame.dts, frame.pts) if self.by_decoding else (frame.pts, frame.dts)
        stamp = first if first is not None else second
        if stamp is None:
            stamp = self.start or 0
        if self.start is None:
            self.start = stamp
        return (stamp - self.start) * self.base

    def _duration(self) -> float:
        """Seconds, from what the file says, or else from its packets."""
        if self.stream.duration:
            return self.stream.duration * self.base
        if self.container.duration:
            return self.container.duration / 1_000_000
        first, end = math.inf, -math.inf
        for packet in self.packets:
            self.clock.check()
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is not None:
                first, end = min(first, stamp), max(end, stamp + (packet.duration or 0))
        self.container.seek(self.start or 0, stream=self.stream)
        self.packets = self.container.demux(self.stream)
        return max(end - first, 0) * self.base

    def _check_size(self, width: int, height: int) -> None:
        """Hold a size against the limit."""
        if width * height > self.limits.pixels:
            raise VideoError(
                f"{self.name} has frames of {width} x {height} px, more than {self.limits.pixels // 1_000_000} "
                "megapixels; scale it down"
            )
