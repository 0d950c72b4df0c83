import pytest

from hf_deepfake.images.tracks import GAP, link, overlap


def box(left, top=0, side=100):
    return (left, top, left + side, top + side)


def test_overlap_by_hand():
    assert overlap(box(0), box(0)) == 1
    assert overlap(box(0), box(50)) == pytest.approx(1 / 3)
    assert overlap(box(0), box(0, 0, 50)) == 0.25
    assert overlap(box(0), box(200)) == 0
    assert overlap((5, 5, 5, 5), (5, 5, 5, 5)) == 0


def test_one_who_moves_is_one_track():
    assert link([[box(40 * index)] for index in range(5)]) == [[(index, 0) for index in range(5)]]


@pytest.mark.parametrize(("moved", "same"), [(130, True), (140, False)])
def test_a_head_may_move_by_a_third_more_than_its_width(moved, same):
    """Boxes of 200 px: (200 - s) / (200 + s) is .2 at s = 133."""
    assert len(link([[box(0)], [box(moved)]])) == (1 if same else 2)


def test_two_people_are_two_tracks_in_whatever_order_they_are_found():
    found = [[box(0), box(300)], [box(310), box(10)], [box(20), box(320)]]
    assert link(found) == [[(0, 0), (1, 1), (2, 0)], [(0, 1), (1, 0), (2, 1)]]


def test_the_greatest_overlap_counts():
    assert link([[box(0), box(60)], [box(50)]]) == [[(0, 0)], [(0, 1), (1, 0)]]


def test_a_cut_ends_all_tracks():
    assert link([[box(0)], [box(0)], [box(0)]], cuts={2}) == [[(0, 0), (1, 0)], [(2, 0)]]


def test_a_face_may_be_missed_for_a_while_and_no_longer():
    missed = [[box(0)], *[[]] * GAP, [box(0)]]
    assert link(missed) == [[(0, 0), (GAP + 1, 0)]]
    longer = [[box(0)], *[[]] * (GAP + 1), [box(0)]]
    assert link(longer) == [[(0, 0)], [(GAP + 2, 0)]]


def test_nobody():
    assert link([]) == link([[], []]) == []
