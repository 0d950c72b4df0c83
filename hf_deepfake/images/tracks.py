"""Which faces of a video's frames are one person's."""

from collections.abc import Collection, Sequence

Box = tuple[float, float, float, float]

OVERLAP = 0.2
"""Least intersection over union of a face's boxes in two sampled frames: a head may move by two thirds of its width."""

GAP = 2
"""Sampled frames in which a face may be missed, turned away or behind a hand, before its track ends."""


def link(found: Sequence[Sequence[Box]], cuts: Collection[int] = ()) -> list[list[tuple[int, int]]]:
    """Link the faces of successive frames by the overlap of their boxes, the greatest overlap first.

    Args:
        found: for each sampled frame, in the order of time, the boxes of its faces, px.
        cuts: frames with which another scene begins; no track goes over them.

    Returns:
        Tracks in the order in which they begin: for each face its frame's index and its own index there. A frame has at
        most one face of a track.
    """
    tracks: list[list[tuple[int, int]]] = []
    open_tracks: list[list[tuple[int, int]]] = []
    for index, boxes in enumerate(found):
        open_tracks = [track for track in open_tracks if index not in cuts and index - track[-1][0] <= GAP + 1]
        overlaps = sorted(
            (
                (overlap(found[track[-1][0]][track[-1][1]], box), -number, -face)
                for number, track in enumerate(open_tracks)
                for face, box in enumerate(boxes)
            ),
            reverse=True,
        )
        taken: set[int] = set()
        linked: set[int] = set()
        for shared, number, face in overlaps:
            if shared >= OVERLAP and -number not in linked and -face not in taken:
                open_tracks[-number].append((index, -face))
                linked.add(-number)
                taken.add(-face)
        begun = [[(index, face)] for face in range(len(boxes)) if face not in taken]
        tracks += begun
        open_tracks += begun
    return tracks


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    return shared / max(area(one) + area(other) - shared, 1e-9)


def area(box: Box) -> float:
    """Area of a box in square px."""
    return (box[2] - box[0]) * (box[3] - box[1])
