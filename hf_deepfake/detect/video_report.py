"""The page on a video: verdict, timeline, the people in it, the frames that speak most, in one HTML file."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from PIL import Image

from hf_deepfake.detect.video_verdict import VideoVerdict
from hf_deepfake.files import make_folder, replacing
from hf_deepfake.report.html import inline, render_page

STRIP = 8
"""Faces of a track that are shown, evenly over its time."""
FACE, FIGURE, QUALITY = 128, 640, 85
"""Sides of a strip's faces and longest side of a frame, px, and JPEG quality."""
LABEL = "P(fake) of each face over {time}; {tracks} tracks"
POINT = "track {track}, {time}: P(fake) {fake:.2f}"
COLOURS = 6
"""Tracks that have a colour of their own; the next one begins anew."""

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 260, 40, 16, 14, 30
_TICKS = 6  # at most, between the start and the end of a clip
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)


def write_report(verdict: VideoVerdict, name: str, path: Path) -> None:
    """Write the page. It shows people of the clip: share it as you may share the clip.

    Args:
        verdict: on the video; maps are shown where it has them.
        name: of the video.
        path: the HTML file, which is replaced.

    Raises:
        InputError: it cannot be written.
    """
    make_folder(path.parent)
    with replacing(path) as temporary:
        temporary.write_text(build_video_page(verdict, name), encoding="utf-8")


def build_video_page(verdict: VideoVerdict, name: str) -> str:
    """Render the page.

    Args:
        verdict: on the video.
        name: of the video.

    Returns:
        HTML that loads nothing.
    """
    return render_page(
        "detect",
        name=name,
        verdict=verdict,
        timeline=timeline(verdict),
        tracks=[strip(verdict, track) for track in range(len(verdict.tracks))],
        telling=[_figure(verdict, index) for index in verdict.telling()],
        mapped=any(one.values is not None for frame in verdict.frames for one in frame.sightings),
        clock=clock,
    )


def timeline(verdict: VideoVerdict, label: str = LABEL, point: str = POINT) -> Markup:
    """Draw P(fake) of each face over the time of the clip.

    Args:
        verdict: on the video.
        label: what it shows, for who cannot see it; fills in what `LABEL` does.
        point: what stands at a point; fills in what `POINT` does.

    Returns:
        An SVG element without colours: its classes are `grid`, `cut` and `axis`, and of a track `spread` (its
        interval), `mean`, `line` and `dot` with `t0` to `t5`; of one that may not decide also `rare`. A dot names the
        index of its frame as `data-frame`.
    """
    end = max(verdict.facts.duration, verdict.frames[-1].time, 1e-3)

    def across(seconds: float) -> float:
        return round(_LEFT + seconds / end * (_WIDTH - _LEFT - _RIGHT), 1)

    def down(share: float) -> float:
        return round(_TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM), 1)

    parts = []
    for share in (0, 0.5, 1):
        parts.append(f'<path class="grid" d="M{_LEFT} {down(share)}H{_WIDTH - _RIGHT}"/>')
        parts.append(_text(_LEFT - 8, down(share) + 4, "end", f"{share:g}"))
    step = next((one for one in _STEPS if end / one <= _TICKS), _STEPS[-1])
    for seconds in np.arange(0, end + 1e-6, step).tolist():
        parts.append(_text(across(seconds), _HEIGHT - 8, "middle", clock(seconds)))
    for frame in verdict.frames:
        if frame.cut:
            parts.append(f'<path class="cut" d="M{across(frame.time)} {_TOP}V{_HEIGHT - _BOTTOM}"/>')
    for number, track in enumerate(verdict.tracks):
        kind = f"t{number % COLOURS}" + ("" if track.decides else " rare")
        first, last = across(track.start), across(track.end)
        if track.interval is not None:
            low, high = map(down, track.interval)
            size = f'width="{last - first:.1f}" height="{low - high:.1f}"'
            parts.append(f'<rect class="spread {kind}" x="{first}" y="{high}" {size}/>')
        parts.append(f'<path class="mean {kind}" d="M{first} {down(track.fake_probability)}H{last}"/>')
        seen = [(index, one.face.fake_probability) for index, one in verdict.sightings(number)]
        places = [(across(verdict.frames[index].time), down(fake)) for index, fake in seen]
        parts.append(f'<polyline class="line {kind}" points="{" ".join(f"{x},{y}" for x, y in places)}"/>')
        for (index, fake), (x, y) in zip(seen, places, strict=True):
            said = point.format(track=number + 1, time=clock(verdict.frames[index].time), fake=fake)
            place = f'data-frame="{index}" cx="{x}" cy="{y}"'
            parts.append(f'<circle class="dot {kind}" {place} r="4"><title>{escape(said)}</title></circle>')
    name = escape(label.format(time=clock(end), tracks=len(verdict.tracks)))
    inside = "".join(parts)
    return Markup(f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{name}">{inside}</svg>')


def _text(x: float, y: float, anchor: str, words: str) -> str:
    """Words at an axis."""
    return f'<text class="axis" x="{x}" y="{y}" text-anchor="{anchor}">{words}</text>'


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, with hours where there are any; below ten seconds with tenths."""
    if seconds < 10 and round(seconds, 1) % 1:
        return f"0:{seconds:04.1f}"
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def strip(verdict: VideoVerdict, number: int) -> dict[str, Any]:
    """Cut out some of a track's faces.

    Args:
        verdict: on the video.
        number: index of the track.

    Returns:
        The track, the number of its colour, and faces, each with the index of its frame, its time, P(fake), and an
        image as data URL.
    """
    seen = verdict.sightings(number)
    chosen = [seen[place] for place in np.unique(np.linspace(0, len(seen) - 1, STRIP).round().astype(int))]
    faces = []
    for index, sighting in chosen:
        portrait = verdict.frames[index].portrait(sighting).resize((FACE, FACE), Image.Resampling.BICUBIC)
        time = clock(verdict.frames[index].time)
        fake = sighting.face.fake_probability
        faces.append({"frame": index, "image": _jpeg(portrait), "time": time, "fake": fake})
    return {"track": verdict.tracks[number], "colour": number % COLOURS, "faces": faces}


def _figure(verdict: VideoVerdict, index: int) -> dict[str, Any]:
    """A frame with its map."""
    frame = verdict.frames[index]
    image = frame.overlay
    image.thumbnail((FIGURE, FIGURE))
    return {"image": _jpeg(image), "time": clock(frame.time), "fake": frame.fake_probability}


def _jpeg(image: Image.Image) -> str:
    """An image as an address in the page."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return inline(file.getvalue(), "jpeg")
