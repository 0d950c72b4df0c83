"""Tracks by hand."""

from hf_deepfake.images.faces import Face
from hf_deepfake.images.tracks import GAP, link_faces


def face(left, top=0, side=100):
    return Face((left, top, left + side, top + side), 0.9, ())


def lefts(track):
    """Where the face is, by frame."""
    return {number: one.box[0] for number, one in track.faces.items()}


def test_a_face_that_moves_is_one_track():
    # Each time 60 of 100 px further: 40 % of the box is shared.
    (track,) = link_faces([[face(0)], [face(60)], [face(120)]])
    assert lefts(track) == {0: 0, 1: 60, 2: 120}
    assert track.area == 30_000


def test_a_leap_or_a_cut_ends_a_track():
    # 70 px further, 30 % are shared, which is not more than 30 %.
    assert [lefts(track) for track in link_faces([[face(0)], [face(70)]])] == [{0: 0}, {1: 70}]


def test_two_people_are_two_tracks_the_larger_first():
    small, large = face(0, side=50), face(200, side=100)
    tracks = link_faces([[large, small], [small, large], [large]])
    assert [lefts(track) for track in tracks] == [{0: 200, 1: 200, 2: 200}, {0: 0, 1: 0}]


def test_the_best_match_comes_first():
    # The face at 30 would fit both; it is nearer to the one at 40, and the one at 0 goes on at 10.
    tracks = link_faces([[face(0), face(40)], [face(30), face(10)]])
    assert sorted(lefts(track)[1] - lefts(track)[0] for track in tracks) == [-10, 10]


def test_a_face_may_be_missed_a_few_times():
    faces = [[face(0)], *[[]] * GAP, [face(10)]]
    assert [lefts(track) for track in link_faces(faces)] == [{0: 0, GAP + 1: 10}]
    assert len(link_faces([[face(0)], *[[]] * (GAP + 1), [face(10)]])) == 2


def test_frames_without_a_face_have_no_track():
    assert link_faces([[], []]) == link_faces([]) == []
