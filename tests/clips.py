"""Drawn clips for the tests of several rooms: encoded here, never stored."""

import io
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import av
import numpy as np
from PIL import Image

BITS, SIDE = 8, 20
"""Squares that show a frame's number in black and white, lowest bit first, and their side, px."""

TICKS = 1000
"""Units of a clip's clock in a second: what Matroska has, too."""

COUNT = 75

_B_FRAMES = {"g": "25", "bf": "3"}
KINDS = {
    "H.264, MP4": ("libx264", "mp4", _B_FRAMES),
    "H.264, MOV": ("libx264", "mov", _B_FRAMES),
    "H.264, MKV": ("libx264", "matroska", _B_FRAMES),
    "H.264, AVI": ("libx264", "avi", {"g": "25", "bf": "0"}),
    "H.264 with B-frames, AVI": ("libx264", "avi", _B_FRAMES),
    "H.264, one key frame, MP4": ("libx264", "mp4", {"g": "1000"}),
    "HEVC, MP4": ("libx265", "mp4", {"g": "25"}),
    "HEVC, MKV": ("libx265", "matroska", {"g": "25"}),
    "VP9, WebM": ("libvpx-vp9", "webm", {"g": "25", "deadline": "realtime"}),
    "AV1, MP4": ("libsvtav1", "mp4", {"g": "25", "preset": "12"}),
    "AV1, WebM": ("libsvtav1", "webm", {"g": "25", "preset": "12"}),
    "MPEG-4, AVI": ("mpeg4", "avi", {"g": "25", "q": "2"}),
    "MPEG-4, MP4": ("mpeg4", "mp4", {"g": "25", "bf": "2"}),
}
"""Kinds of clips: encoder, container and the encoder's options."""

QUIET = {"libx265": {"x265-params": "log-level=none"}, "libx264": {"x264-params": "log=-1"}}


def numbered(number: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A grey frame that shows its number above, and red to the left of blue below."""
    pixels = np.full((size[1], size[0], 3), 128, np.uint8)
    for bit in range(BITS):
        pixels[:SIDE, bit * SIDE : (bit + 1) * SIDE] = 255 * (number >> bit & 1)
    pixels[-SIDE:, : size[0] // 2] = 200, 40, 40
    pixels[-SIDE:, size[0] // 2 :] = 40, 40, 200
    return Image.fromarray(pixels)


def number_of(image: Image.Image) -> int:
    """The number that a frame shows."""
    places = [(bit * SIDE + SIDE // 2, SIDE // 2) for bit in range(BITS)]
    return sum((image.getpixel(place)[1] > 127) << bit for bit, place in enumerate(places))  # ty: ignore


def encode(
    frames: Sequence[Image.Image | av.VideoFrame],
    codec: str = "libx264",
    container: str = "mp4",
    *,
    times: Sequence[float] | None = None,
    rate: int = 25,
    pixels: str = "yuv420p",
    rotation: int = 0,
    sound: bool = False,
    options: dict[str, str] | None = None,
    **context: Any,
) -> bytes:
    """Encode a clip.

    Args:
        frames: all of one size; of HEVC at least three, as x265 leaves the decoding times of two open.
        codec: FFmpeg's name of the encoder.
        container: FFmpeg's name of the format.
        times: of the frames, s; by default evenly at the rate.
        rate: frames per second.
        pixels: pixel format that is coded.
        rotation: degrees counterclockwise by which a player has to turn the frames.
        sound: whether a second stream has silence as long as the clip.
        options: of the encoder.
        **context: attributes of the encoder's context, such as `color_range`.

    Returns:
        The file.
    """
    assert codec != "libx265" or len(frames) > 2  # fewer fail in MP4 now and then, by what lies in memory
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=rate, options=QUIET.get(codec, {}) | (options or {}))
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, pixels
        audio: Any = out.add_stream("libopus" if container == "webm" else "aac", rate=48000) if sound else None
        if times is not None:
            stream.codec_context.time_base = Fraction(1, TICKS)
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_image(picture) if isinstance(picture, Image.Image) else picture
            frame.pts = number if times is None else round(times[number] * TICKS)
            frame.time_base = Fraction(1, rate if times is None else TICKS)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        if audio is not None:
            out.mux(audio.encode(silence(len(frames) / rate)))
            out.mux(audio.encode())
    return file.getvalue()


@cache
def every_kind() -> dict[str, bytes]:
    """Three seconds of each of `KINDS`, 160 x 120 px at 25 frames a second, each of `COUNT` frames with its number."""
    frames = [numbered(number) for number in range(COUNT)]
    return {name: encode(frames, codec, form, options=options) for name, (codec, form, options) in KINDS.items()}


def sound_alone() -> bytes:
    """An MP4 with a second of silence and no picture."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        audio: Any = out.add_stream("aac", rate=48000)
        out.mux(audio.encode(silence(1)))
        out.mux(audio.encode())
    return file.getvalue()


def silence(seconds: float) -> av.AudioFrame:
    """Silence."""
    frame = av.AudioFrame.from_ndarray(np.zeros((1, round(48000 * seconds)), np.float32), "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
    return frame
