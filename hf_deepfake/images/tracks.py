"""One person's face through a clip: the faces of sampled frames, linked by overlap."""

from collections.abc import Sequence
from dataclasses import dataclass

from hf_deepfake.images.faces import SAME_FACE, Face

GAP = 2
"""Sampled frames in which a face may not be found before its track ends: faces turn away, and detectors miss some."""


@dataclass(frozen=True)
class Track:
    """A face over time.

    Attributes:
        faces: by number of the frame.
    """

    faces: dict[int, Face]

    @property
    def area(self) -> float:
        """Square pixels of all its boxes together: large for who is near and long in the picture."""
        return sum(_area(face.box) for face in self.faces.values())


def link_faces(frames: Sequence[Sequence[Face]]) -> list[Track]:
    """Link the faces of a clip's frames to tracks.

    Frame by frame each face joins the track whose last box it shares most of, the best match first, where both share
    more than `SAME_FACE` of the smaller box. So a cut to somebody elsewhere in the picture, or a leap, ends a track.

    Args:
        frames: faces of each frame, in the order of time.

    Returns:
        The tracks, that of the largest area first.
    """
    tracks: list[Track] = []
    for number, faces in enumerate(frames):
        going = [track for track in tracks if number - max(track.faces) <= GAP + 1]
        matches = [
            (_shared(track.faces[max(track.faces)].box, face.box), place, which)
            for place, track in enumerate(going)
            for which, face in enumerate(faces)
        ]
        free = set(range(len(faces)))
        taken: set[int] = set()
        for shared, place, which in sorted(matches, key=lambda match: -match[0]):
            if shared > SAME_FACE and which in free and place not in taken:
                going[place].faces[number] = faces[which]
                free.discard(which)
                taken.add(place)
        tracks += [Track({number: faces[which]}) for which in sorted(free)]
    return sorted(tracks, key=lambda track: -track.area)


def _area(box: tuple[float, float, float, float]) -> float:
    """Square pixels of a box."""
    return (box[2] - box[0]) * (box[3] - box[1])


def _shared(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    """Share of the smaller box that lies in both."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min(_area(one), _area(other))
    return max(width, 0.0) * max(height, 0.0) / smaller if smaller > 0 else 0.0
