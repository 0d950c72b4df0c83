"""Which faces of a video's frames are one person's."""

from collections.abc import Collection, Sequence

Box = tuple[float, float, float, float]

REACH = 0.5
"""Share of its sides by which a box is enlarged on each side: between frames that are seconds apart heads move by more
than their width, and a face seldom appears beside where another was."""

OVERLAP = 0.2
"""Least intersection over union of the enlarged boxes: a head may move by 1.3 times its width."""

GAP = 2
"""Sampled frames in which a face may be missed, turned away or behind a hand, before its track ends."""


def link(found: Sequence[Sequence[Box]], cuts: Collection[int] = ()) -> list[list[tuple[int, int]]]:
    """Link the faces of successive frames by the overlap of their enlarged boxes, the greatest overlap first.

    Args:
        found: for each sampled frame, in the order of time, the boxes of its faces, px.
        cuts: frames with which another scene begins; no track goes over them.

    Returns:
        Tracks in the order in which they begin: for each face its frame's index and its own index there. A frame has at
        most one face of a track.
    """
    found = [[_enlarged(box) for box in boxes] for boxes in found]
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


def _enlarged(box: Box) -> Box:
    """A box with what is around it."""
    x, y = REACH * (box[2] - box[0]), REACH * (box[3] - box[1])
    return box[0] - x, box[1] - y, box[2] + x, box[3] + y


def area(box: Box) -> float:
    """Area of a box.

    Args:
        box: (left, top, right, bottom), px.

    Returns:
        Square px.
    """
    return (box[2] - box[0]) * (box[3] - box[1])
