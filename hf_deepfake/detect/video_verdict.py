"""What the detector says of a video: the people in it over time, and the frames that speak most for the verdict."""

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hf_deepfake.detect.verdict import FaceVerdict, Label
from hf_deepfake.images.video import VideoFacts

FRAMES = 16
"""Frames of a clip, where nothing else is said. Papers on video take 10 to 32; a fake is seldom fake now and then."""

MARGIN = 0.35
"""What a strip shows around a face's box, as a share of the box's sides."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Sighting:
    """One face in one sampled frame.

    Attributes:
        track: index of its track in the verdict.
        face: what the model says of it, its box in px of the frame.
        log_odds: of fake, of which the track's are averaged.
        region: what the model saw, (left, top, right, bottom), px of the frame.
        values: float32 (h, w), what speaks for this face's label, in logits; None where no maps were asked for.
    """

    track: int
    face: FaceVerdict
    log_odds: float
    region: tuple[int, int, int, int]
    values: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class SampledFrame:
    """One frame that was evaluated.

    Attributes:
        time: seconds since the first frame.
        sightings: its faces, largest first.
        cut: whether another scene begins with it.
        size: width and height, px, in which boxes and regions are stated.
        picture: the frame scaled down, as JPEG.
    """

    time: float
    sightings: tuple[Sighting, ...]
    cut: bool
    size: tuple[int, int]
    picture: bytes

    @property
    def fake_probability(self) -> float | None:
        """P(fake) of the face that looks most like a fake; None without a face."""
        return max((one.face.fake_probability for one in self.sightings), default=None)

    @property
    def image(self) -> Image.Image:
        """The frame scaled down: RGB."""
        return Image.open(io.BytesIO(self.picture)).convert("RGB")

    @property
    def overlay(self) -> Image.Image:
        """The frame scaled down, under the maps of its faces and with their boxes; RGB."""
        import torch

        from hf_deepfake.explain.overlay import compose, frame_boxes, shade  # matplotlib is not needed for a verdict

        image = self.image
        values = [one.values for one in self.sightings if one.values is not None]
        if values:
            regions: Any = [tuple(map(round, self.scaled(one.region))) for one in self.sightings]
            image = shade(image, compose(torch.from_numpy(np.stack(values)), regions, image.size))
        frame_boxes(image, [self.scaled(one.face.box) for one in self.sightings])
        return image

    def portrait(self, sighting: Sighting) -> Image.Image:
        """A square around one of its faces, for a strip; RGB, as large as the frame scaled down shows it."""
        left, top, right, bottom = self.scaled(sighting.face.box)
        image = self.image
        side = min(round((1 + 2 * MARGIN) * max(right - left, bottom - top)), *image.size)
        x = min(max(round((left + right - side) / 2), 0), image.width - side)
        y = min(max(round((top + bottom - side) / 2), 0), image.height - side)
        return image.crop((x, y, x + side, y + side))

    def scaled(self, box: Sequence[float]) -> Box:
        """A box of the frame in px of the frame scaled down."""
        across, down = (side / whole for side, whole in zip(self.image.size, self.size, strict=True))
        return box[0] * across, box[1] * down, box[2] * across, box[3] * down


@dataclass(frozen=True)
class Track:
    """One person over time, as far as boxes tell: the faces of successive frames that overlap, up to the next cut.

    Attributes:
        label: "real" or "fake".
        score: softmax of that label by the mean of the log-odds, in [.5, 1].
        fake_probability: the same of "fake", in [0, 1].
        interval: of `fake_probability`, 95 %, as other frames of this clip might have it; None with fewer than five.
        unsure: `fake_probability` lies in the abstention band; see `VideoVerdict.decided_on_videos`.
        start: seconds, of its first frame that was evaluated.
        end: seconds, of its last.
        frames: indices of its frames in the verdict.
        decides: whether it may decide on the video; one that is seen too rarely may not.
    """

    label: Label
    score: float
    fake_probability: float
    interval: tuple[float, float] | None
    unsure: bool
    start: float
    end: float
    frames: tuple[int, ...]
    decides: bool


@dataclass(frozen=True, repr=False)
class VideoVerdict:
    """What the model says about a video: that of its most fake track. It prints as one line.

    Attributes:
        label: "real" or "fake".
        score: softmax of that label, in [.5, 1], of the track that decides.
        fake_probability: softmax of "fake", in [0, 1]; .5 is the operating point, as for images.
        interval: of `fake_probability`, 95 %, as other frames of this clip might have it; None with fewer than five.
        unsure: the score should not be acted upon; see `reasons`, and `Track.unsure`.
        tracks: people in the order in which they appear; without any face, whole scenes.
        frames: that were evaluated, in the order of time.
        reasons: sentences on what is special about this video, such as why it is unsure.
        facts: of the file.
        decided_on_videos: temperature, operating point and band were chosen on videos; else on single images.
    """

    label: Label
    score: float
    fake_probability: float
    interval: tuple[float, float] | None
    unsure: bool
    tracks: tuple[Track, ...]
    frames: tuple[SampledFrame, ...]
    reasons: tuple[str, ...]
    facts: VideoFacts
    decided_on_videos: bool = False

    @property
    def title(self) -> str:
        """The verdict in a few words, as that of an image, with its interval."""
        spread = f" [{self.score_interval[0]:.2f}, {self.score_interval[1]:.2f}]" if self.score_interval else ""
        said = f"{self.label}, score {self.score:.2f}{spread}"
        return f"unsure (leans to {said})" if self.unsure else said

    @property
    def score_interval(self) -> tuple[float, float] | None:
        """The interval of `score`, whose lower end is below .5 where other frames might have turned the verdict."""
        if self.interval is None or self.label == "fake":
            return self.interval
        return 1 - self.interval[1], 1 - self.interval[0]

    @cached_property
    def decisive(self) -> int:
        """Index of the track that decides."""
        candidates = [index for index, track in enumerate(self.tracks) if track.decides]
        return max(candidates, key=lambda index: self.tracks[index].fake_probability)

    def telling(self, count: int = 3) -> list[int]:
        """Which frames of the track that decides speak most for the verdict, the strongest first.

        Args:
            count: how many at most.

        Returns:
            Indices in `frames`.
        """
        sign = 1 if self.label == "fake" else -1
        found = [(sign * one.log_odds, index) for index, one in self.sightings(self.decisive)]
        return [index for _, index in sorted(found, key=lambda pair: -pair[0])[:count]]

    def sightings(self, track: int) -> list[tuple[int, Sighting]]:
        """A track's faces with the indices of their frames, in the order of time."""
        return [
            (index, one)
            for index in self.tracks[track].frames
            for one in self.frames[index].sightings
            if one.track == track
        ]

    def __str__(self) -> str:
        deciding = sum(track.decides for track in self.tracks)
        of = f" ({deciding} tracks; the one most like a fake decides)" if deciding > 1 else ""
        return ". ".join([f"{self.title}{of}", *([" ".join(self.reasons)] if self.reasons else [])])

    def __repr__(self) -> str:
        return f"<VideoVerdict: {self}>"

    def to_dict(self) -> dict[str, Any]:
        """The verdict in JSON's types, without pictures and maps."""
        plain = {name: getattr(self, name) for name in ("label", "score", "fake_probability", "interval", "unsure")}
        plain["decided_on_videos"] = self.decided_on_videos
        plain["tracks"] = [asdict(track) for track in self.tracks]
        plain["frames"] = [
            {
                "time": frame.time,
                "cut": frame.cut,
                "faces": [{"track": one.track, **asdict(one.face)} for one in frame.sightings],
            }
            for frame in self.frames
        ]
        return plain | {"reasons": self.reasons, "facts": asdict(self.facts)}
