"""From the frames of a video to its verdict: tracks of faces, of which the most fake one decides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from hf_deepfake.detect.decide import Box, abstains, decide_face, decision_on_videos, for_videos
from hf_deepfake.detect.face_crops import TOO_SMALL, Prepared
from hf_deepfake.detect.video_verdict import SampledFrame, Sighting, Track, VideoVerdict
from hf_deepfake.images.scene_cuts import is_cut
from hf_deepfake.images.tracks import link
from hf_deepfake.images.video import VideoFacts
from hf_deepfake.metrics.block_bootstrap import mean_interval
from hf_deepfake.metrics.decision import Decision
from hf_deepfake.models.checkpoint import LoadedCheckpoint

LEAST_FRAMES = 3
"""Frames of a track that may decide: in fewer, one blurred face or a find that is no face would."""

SMALL = 64
"""Median shortest side of a face's box, px, below which it is said to be small: its crop is enlarged at least twice for
a model of 224 px."""

BLURRED = 1.7
"""Sharpness of a face's crop, brought to `SHARP_SIDE`, below which it is blurred. Of 150 photographed crops each of
four data sets 0 to 5 in 100 are below; blurred by 2 px, 25 to 95 in 100 (docs/video.md)."""
SHARP_SIDE = 224

NO_FACE = "No face was found in any of the frames, so these were evaluated whole; the model was trained on face crops."


@dataclass(frozen=True)
class Look:
    """A frame with what was found in it: its colours, and of each region sharpness, log-odds and map."""

    time: float
    size: tuple[int, int]
    picture: bytes
    colours: NDArray[np.float64]
    prepared: Prepared
    sharp: tuple[float, ...]
    log_odds: tuple[float, ...] = ()
    values: tuple[NDArray[np.float32] | None, ...] = ()

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Of what was evaluated."""
        return self.prepared.boxes or self.prepared.regions


def decide_video(looks: Sequence[Look], facts: VideoFacts, checkpoint: LoadedCheckpoint, wanted: int) -> VideoVerdict:
    """Decide on a video.

    Frames without a face count only where no frame has one, and faces that are too small only where none is larger. A
    track's score is the mean of its log-odds; of those that are seen often enough the most fake one decides.

    Args:
        looks: its frames in the order of time, at least one, with the model's answers.
        facts: of the file.
        checkpoint: whose decision on videos counts, or else that on images.
        wanted: how many frames were asked for.

    Returns:
        The verdict.

    Raises:
        InputError: the checkpoint's report is damaged.
    """
    doubt, decision = _doubt(looks), decision_on_videos(checkpoint)
    used = [not look.prepared.doubtful or (doubt != "" and _has(look, doubt)) for look in looks]
    boxes = [look.boxes if use else () for look, use in zip(looks, used, strict=True)]
    cuts = {place for place in range(1, len(looks)) if is_cut(looks[place - 1].colours, looks[place].colours)}
    linked = link(boxes, cuts)
    most = max(map(len, linked))
    tracks = tuple(_track(looks, one, checkpoint, decision, len(one) >= min(LEAST_FRAMES, most)) for one in linked)
    numbers = {place: number for number, one in enumerate(linked) for place in one}
    frames = tuple(_frame(look, index, numbers, index in cuts, checkpoint) for index, look in enumerate(looks))
    candidates = [number for number, track in enumerate(tracks) if track.decides]
    worst = max(candidates, key=lambda number: tracks[number].fake_probability)
    found = tracks[worst]
    few = len(found.frames) < LEAST_FRAMES
    return VideoVerdict(
        found.label,
        found.score,
        found.fake_probability,
        found.interval,
        found.unsure or doubt != "" or few,
        tracks,
        frames,
        tuple(_reasons(looks, linked, worst, tracks, facts, wanted, doubt, len(cuts))),
        facts,
        decision is not None,
    )


def _doubt(looks: Sequence[Look]) -> str:
    """Why no frame can be relied upon; empty where some can."""
    if any(not look.prepared.doubtful for look in looks):
        return ""
    return TOO_SMALL if any(look.prepared.boxes for look in looks) else NO_FACE


def _has(look: Look, doubt: str) -> bool:
    """Whether a doubtful frame is one of the best there are."""
    return doubt == NO_FACE or len(look.prepared.boxes) > 0


def _track(
    looks: Sequence[Look],
    places: list[tuple[int, int]],
    checkpoint: LoadedCheckpoint,
    decision: Decision | None,
    decides: bool,
) -> Track:
    """The verdict on one track."""
    odds = [for_videos(looks[frame].log_odds[face], checkpoint, decision) for frame, face in places]
    mean, spread = float(np.mean(odds)), mean_interval(odds)
    fake = float(expit(mean))
    return Track(
        "fake" if fake > 0.5 else "real",
        max(fake, 1 - fake),
        fake,
        None if spread is None else (float(expit(spread[0])), float(expit(spread[1]))),
        abstains(mean, decision or checkpoint),
        looks[places[0][0]].time,
        looks[places[-1][0]].time,
        tuple(frame for frame, _ in places),
        decides,
    )


def _frame(
    look: Look, index: int, numbers: dict[tuple[int, int], int], cut: bool, checkpoint: LoadedCheckpoint
) -> SampledFrame:
    """A frame with those of its faces that belong to a track."""
    sightings = []
    for face, (box, odds) in enumerate(zip(look.boxes, look.log_odds, strict=True)):
        if (index, face) in numbers:
            fake = float(expit(odds))
            verdict = decide_face(box, 1 - fake, fake, checkpoint)
            place = (numbers[index, face], verdict, odds, look.prepared.regions[face], look.values[face])
            sightings.append(Sighting(*place))
    return SampledFrame(look.time, tuple(sightings), cut, look.size, look.picture)


def _reasons(
    looks: Sequence[Look],
    linked: Sequence[list[tuple[int, int]]],
    worst: int,
    tracks: Sequence[Track],
    facts: VideoFacts,
    wanted: int,
    doubt: str,
    cuts: int,
) -> list[str]:
    """What is to be said about a video, by the track that decides."""
    said = [doubt] if doubt else []
    expected = min(wanted, round(facts.duration * facts.frame_rate) // 2)
    if len(looks) < expected:
        said.append(f"Only {len(looks)} of {wanted} frames came: the file is damaged, or its picture stands still.")
    track, places = tracks[worst], linked[worst]
    if len(places) < LEAST_FRAMES:
        said.append(f"What decides is seen in {_times(len(places))} only, too few to rely on.")
    with_face = sum(not look.prepared.doubtful for look in looks)
    if not doubt and with_face < len(looks) / 2:
        said.append(f"A face was found in {with_face} of {_times(len(looks))}.")
    if any(looks[frame].prepared.boxes for frame, _ in places) and doubt != TOO_SMALL:
        sides = [min(box[2] - box[0], box[3] - box[1]) for box in (looks[frame].boxes[face] for frame, face in places)]
        if np.median(sides) < SMALL:
            said.append(f"The face that decides is small: {np.median(sides):.0f} px.")
    blurred = sum(looks[frame].sharp[face] < BLURRED for frame, face in places)
    if blurred > len(places) / 2:
        said.append(f"What decides is blurred in {blurred} of {_times(len(places))}.")
    if track.interval is not None and track.interval[0] < 0.5 < track.interval[1]:
        said.append("The frames disagree: others of this clip might have turned the verdict.")
    if cuts:
        said.append(f"{'A cut ends' if cuts == 1 else f'{cuts} cuts end'} tracks.")
    short = sum(not one.decides for one in tracks)
    if short:
        said.append(
            f"{'A track' if short == 1 else f'{short} tracks'} of fewer than {LEAST_FRAMES} frames may not decide."
        )
    if facts.hdr:
        said.append("The clip is of high dynamic range, whose colours were converted without tone mapping.")
    return said


def _times(count: int) -> str:
    """A number of frames."""
    return "1 frame" if count == 1 else f"{count} frames"
