"""What a video does to an image: H.264 of a constant rate factor (CRF), as a still and as a frame of a clip.

FaceForensics++ (arXiv:1901.08971, section 3) keeps its videos this way, "c23" and "c40" by their CRF, and so does every
platform for videos. Functions of an image, a strength and a random generator, like those of `degradations`. All stays
in memory and in one thread; the encoder is libx264, which the wheels of `av` (FFmpeg for Python) bring along.
"""

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from hf_deepfake.errors import InputError
from hf_deepfake.images.degradations import scaled

if TYPE_CHECKING:
    import av

CHROMA = {"yuv420p": 0.8, "yuv422p": 0.1, "yuv444p": 0.1}
"""Chances of how colour is kept: in every fourth pixel, as nearly all videos do, in every second, or in all."""

SHIFT, ZOOM = 2.0, 0.01
"""Largest motion from frame to frame: px along each axis, and share of the size; a head that moves while it speaks."""

RATE = Fraction(25)
"""Frames per second: x264 spends fewer bits on what is seen for a shorter time."""

_BLOCK = 16
"""Side of a macroblock, px."""

_LARGEST = 16384
"""Side of libx264's largest frame, px."""

# The fastest preset that leaves all traces of the default one: deblocking, 8 by 8 transforms, adaptive quantisation,
# sub-pixel motion. Between the frames of a long video x264 moves bits about (mbtree, qcomp), which in so short a clip
# ends anywhere. Without both a CRF means the quantisers it has within a long one: by 23, 20 to 22 in P-frames of three
# photographs that move, 20 to 23 in 60 frames of the same at the default preset.
_OPTIONS = {"preset": "veryfast", "x264-params": "qcomp=1:mbtree=0:rc-lookahead=0:scenecut=0:b-adapt=0:log=-1"}


def h264_still(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Compress as a key frame, which is predicted from nothing but itself; the strength is the CRF."""
    return _compressed(image, strength, _chroma(rng), times=(0,), motion=(0, 0, 0))


def h264_clip(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Compress as the frame of a moving clip that is predicted from those before it, or by chance from both sides."""
    chroma = _chroma(rng)
    times = (-2, -1, 0) if rng.integers(2) else (-1, 0, 1)  # P-frames alone, or the frame in question as B-frame
    shift = scaled(image, SHIFT)
    x, y, zoom = (rng.uniform(-1, 1, 3) * (shift, shift, ZOOM)).tolist()
    return _compressed(image, strength, chroma, times, motion=(x, y, zoom))


def _chroma(rng: np.random.Generator) -> str:
    """A pixel format."""
    return str(rng.choice(list(CHROMA), p=list(CHROMA.values())))


def _compressed(
    image: Image.Image, crf: float, chroma: str, times: tuple[int, ...], motion: tuple[float, float, float]
) -> Image.Image:
    """The frame at time 0, which is the image itself, of a clip of frames at these times.

    Motion is a shift along x and y, px, and a zoom, share of the size, from frame to frame. Borders go on outwards,
    for whole macroblocks and for what moves in.
    """
    width, height = (-(-side // _BLOCK) * _BLOCK for side in image.size)
    if max(width, height) > _LARGEST:
        raise InputError(f"an image of {image.width} x {image.height} px is too large for H.264; {_LARGEST} px will do")
    reach = int(max(map(abs, times)) * (max(map(abs, motion[:2])) + abs(motion[2]) * max(width, height) / 2)) + 1
    margins = (reach, reach + height - image.height), (reach, reach + width - image.width), (0, 0)
    wide = Image.fromarray(np.pad(np.asarray(image), margins, mode="edge"))
    frames = []
    for time in times:
        x, y, zoom = (time * one for one in motion)
        left, top = reach + x - zoom * width / 2, reach + y - zoom * height / 2
        box = (left, top, left + width * (1 + zoom), top + height * (1 + zoom))
        frames.append(wide.resize((width, height), Resampling.BICUBIC, box))
    decoded = _coded(frames, crf, chroma, b_frames=int(times[-1] > 0))[times.index(0)]
    return decoded.to_image(threads=1).crop((0, 0, *image.size))


def _coded(frames: list[Image.Image], crf: float, chroma: str, b_frames: int) -> list["av.VideoFrame"]:
    """Frames of whole macroblocks, encoded with that many B-frames between others, and decoded in their order."""
    import av

    try:
        encoder = av.VideoCodecContext.create("libx264", "w")
    except ValueError as error:  # av's UnknownCodecError
        raise InputError(
            "av has no H.264 encoder (libx264) here, as when it was built from source; install its wheel: "
            "pip install --force-reinstall --only-binary av av"
        ) from error
    encoder.width, encoder.height = frames[0].size
    encoder.pix_fmt, encoder.time_base, encoder.framerate = chroma, 1 / RATE, RATE
    encoder.options = {**_OPTIONS, "crf": f"{crf:g}", "bf": str(b_frames)}
    decoder = av.VideoCodecContext.create("h264", "r")
    encoder.thread_count = decoder.thread_count = 1
    packets = []
    for place, frame in enumerate(frames):
        raw = av.VideoFrame.from_image(frame).reformat(format=chroma, threads=1)
        raw.pts = place
        packets += encoder.encode(raw)
    decoded = []
    for packet in [*packets, *encoder.encode(), None]:
        decoded += decoder.decode(packet)
    return decoded
