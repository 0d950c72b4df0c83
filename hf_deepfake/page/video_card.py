"""The card of a video's verdict: in words and a bar, over time, person by person, and frame by frame with its map."""

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from PIL import Image, ImageOps

from hf_deepfake.detect.face_crops import TOO_SMALL
from hf_deepfake.detect.video_decision import NO_FACE
from hf_deepfake.detect.video_report import clock, strip, timeline
from hf_deepfake.detect.video_verdict import SampledFrame, Sighting, Track, VideoVerdict
from hf_deepfake.page.pictures import encode
from hf_deepfake.page.texts import render, texts
from hf_deepfake.page.verdict_card import Judge, is_doubtful, kind_of

SIDE = 480
"""Longer side of a frame, px: two stand side by side, and sixteen pairs are sent at once, about 1 MB."""

REASONS = {
    "no_face": re.escape(NO_FACE),
    "too_small": re.escape(TOO_SMALL),
    "few_came": r"Only (\d+) of (\d+) frames came: .*",
    "few_seen": r"What decides is seen in (\d+) frames? only, .*",
    "few_faces": r"A face was found in (\d+) of (\d+) frames?\.",
    "small": r"The face that decides is small: (\d+) px\.",
    "blurred": r"What decides is blurred in (\d+) of (\d+) frames?\.",
    "disagree": r"The frames disagree: .*",
    "cut": r"A cut ends tracks\.",
    "cuts": r"(\d+) cuts end tracks\.",
    "short": r"(?:A|\d+) tracks? of fewer than (\d+) frames may not decide\.",
    "hdr": r"The clip is of high dynamic range, .*",
}
"""A detector's reasons, and what the languages' files call them, which fill in what stands in brackets here."""


@dataclass(frozen=True)
class Clip:
    """A video that was evaluated.

    Attributes:
        name: of the file.
        sha256: of its bytes.
        verdict: with maps.
    """

    name: str
    sha256: str
    verdict: VideoVerdict


def headline(verdict: VideoVerdict, language: str) -> str:
    """State a verdict in a few words, with the number of tracks where there are several.

    Args:
        verdict: on one video.
        language: one of `texts.LANGUAGES`.

    Returns:
        Such as "Signs of a deepfake in 1 of 3 tracks".
    """
    kind, t = kind_of(verdict), texts(language)
    kinds = [_kind_of_track(track, verdict) for track in verdict.tracks if track.decides]
    if len(kinds) < 2 or kind not in kinds:
        return t["verdict"][kind]
    return t["video"]["count"][kind].format(count=kinds.count(kind), all=len(kinds))


def list_reasons(verdict: VideoVerdict, language: str) -> list[str]:
    """Say why a verdict is none, and what else limits it.

    Args:
        verdict: on one video.
        language: one of `texts.LANGUAGES`.

    Returns:
        Sentences.
    """
    sentences = texts(language)["video"]["reasons"]
    found = [sentences["band"]] if verdict.tracks[verdict.decisive].unsure and not is_doubtful(verdict) else []
    for reason in verdict.reasons:
        named = ((name, re.fullmatch(pattern, reason)) for name, pattern in REASONS.items())
        name, match = next((name, match) for name, match in named if match)
        found.append(sentences[name].format(*match.groups()))
    return found


def record(clip: Clip, judge: Judge, language: str) -> dict[str, Any]:
    """State a verdict and what it rests on as data to keep.

    Args:
        clip: the video.
        judge: the model.
        language: one of `texts.LANGUAGES`, of the sentences.

    Returns:
        JSON's types. No score of a video without a face large enough: it would say nothing.
    """
    verdict, t = clip.verdict, texts(language)
    kind, doubtful = kind_of(verdict), is_doubtful(verdict)
    return {
        "verdict": kind,
        "headline": headline(verdict, language),
        "means": t["video"]["means"][kind],
        "means_not": t["video"]["means_not"][kind],
        "reasons": list_reasons(verdict, language),
        "fake_score": None if doubtful else round(verdict.fake_probability, 4),
        "interval": None if doubtful else verdict.interval and [round(edge, 4) for edge in verdict.interval],
        "abstention_band": judge.band and [round(edge, 4) for edge in judge.band],
        "tracks": [
            {
                "verdict": _kind_of_track(track, verdict),
                "fake_score": None if doubtful else round(track.fake_probability, 4),
                "start": round(track.start, 3),
                "end": round(track.end, 3),
                "frames": len(track.frames),
                "decides": track.decides,
            }
            for track in verdict.tracks
        ],
        "frames": [
            {
                "time": round(frame.time, 3),
                "cut": frame.cut,
                "faces": [
                    {
                        "track": one.track + 1,
                        "box": [round(edge, 1) for edge in one.face.box],
                        "fake_score": None if doubtful else round(one.face.fake_probability, 4),
                    }
                    for one in frame.sightings
                ],
            }
            for frame in verdict.frames
        ],
        "video": {"name": clip.name, "sha256": clip.sha256, **asdict(verdict.facts)},
        "model": {"name": judge.name, "fingerprint": judge.fingerprint},
        "hf_deepfake": judge.version,
        "checked": datetime.now(UTC).isoformat(timespec="seconds"),
        "limits": t["video"]["limits"]["list"],
    }


def show_clip(clip: Clip, judge: Judge, language: str, number: str) -> str:
    """Set the card of a video's verdict.

    Args:
        clip: the video.
        judge: the model.
        language: one of `texts.LANGUAGES`.
        number: which upload it answers; unique in the page.

    Returns:
        HTML that needs nothing else but the page's style.
    """
    verdict, t = clip.verdict, texts(language)
    doubtful, data = is_doubtful(verdict), record(clip, judge, language)
    said = t["video"]["timeline"]
    tracks = [] if doubtful else [_track(verdict, index) for index in range(len(verdict.tracks))]
    return render(
        "video_card",
        language,
        number=number,
        kind=data["verdict"],
        data=data,
        json=json.dumps(data, ensure_ascii=False, indent=2),
        doubtful=doubtful,
        mark=100 * verdict.fake_probability,
        spread=verdict.interval and (100 * verdict.interval[0], 100 * verdict.interval[1]),
        band=judge.band and (100 * judge.band[0], 100 * judge.band[1]),
        timeline="" if doubtful else timeline(verdict, said["label"], said["point"]),
        cuts=any(frame.cut for frame in verdict.frames),
        frames=[] if doubtful else [_frame(frame, t) for frame in verdict.frames],
        shown=verdict.telling(1)[0],
        tracks=tracks,
        decisive=verdict.decisive,
        duration=clock(verdict.facts.duration),
        judge=judge,
    )


def _kind_of_track(track: Track, verdict: VideoVerdict) -> str:
    return "unsure" if track.unsure or is_doubtful(verdict) else track.label


def _kind_of_face(sighting: Sighting) -> str:
    return "unsure" if sighting.face.unsure else sighting.face.label


def _track(verdict: VideoVerdict, index: int) -> dict[str, Any]:
    """A track with some of its faces, and what it looks like."""
    track = verdict.tracks[index]
    times = {"start": clock(track.start), "end": clock(track.end)}
    kind = _kind_of_track(track, verdict)
    return strip(verdict, index) | times | {"number": index + 1, "kind": kind, "count": len(track.frames)}


def _frame(frame: SampledFrame, t: dict[str, Any]) -> dict[str, Any]:
    """A frame as it is, and under its map; what it shows in words."""
    faces = [(one.track + 1, _kind_of_face(one), frame.scaled(one.face.box)) for one in frame.sightings]
    worst = max(frame.sightings, key=lambda one: one.face.fake_probability, default=None)
    said = [t["video"]["frames"]["face"].format(track=track, verdict=t["verdict"][kind]) for track, kind, _ in faces]
    image, overlay = (_scaled(picture) for picture in (frame.image, frame.overlay))
    return {
        "time": clock(frame.time),
        "kind": "none" if worst is None else _kind_of_face(worst),
        "words": ". ".join(said) or t["video"]["frames"]["nobody"],
        "faces": [(kind, (left, top, right - left, bottom - top)) for _, kind, (left, top, right, bottom) in faces],
        "whole": frame.image.size,
        "size": image.size,
        "image": encode(image),
        "overlay": encode(overlay) if faces else "",
    }


def _scaled(picture: Image.Image) -> Image.Image:
    return ImageOps.contain(picture, (SIDE, SIDE))
