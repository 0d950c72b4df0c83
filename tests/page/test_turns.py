from threading import Event

import pytest

from hf_deepfake.errors import InputError
from hf_deepfake.page.turns import BusyError, Turns


def test_each_sees_its_place_and_gets_its_turn_in_order():
    turns, go_on, order = Turns(waiting=2), Event(), []

    def work(name):
        assert go_on.wait(60)
        order.append(name)
        return name

    first, second, third = (turns.queue(lambda name=name: work(name)) for name in "abc")
    assert len(turns) == 3
    with pytest.raises(BusyError, match=r"^2 images are waiting already; try again in a minute$"):
        turns.queue(lambda: work("d"))
    places = iter(third)
    assert next(places) == 2
    go_on.set()
    assert list(places) == [1, 0]
    assert list(second) == [1, 0]
    assert [one.result() for one in (first, second, third)] == list("abc") == order
    assert turns.queue(lambda: "e").result() == "e"


def test_what_work_raises_is_raised_and_the_next_one_has_its_turn():
    turns = Turns(waiting=0)

    def fail():
        raise InputError("no image")

    failed = turns.queue(fail)
    assert list(failed) == [0]
    with pytest.raises(InputError, match="no image"):
        failed.result()
    assert turns.queue(lambda: 3).result() == 3


def test_several_at_a_time():
    turns, go_on = Turns(waiting=1, concurrency=2), Event()
    both, last = [turns.queue(lambda: go_on.wait(60)) for _ in range(2)], turns.queue(lambda: "last")
    assert [next(iter(one)) for one in (*both, last)] == [0, 0, 1]
    assert turns.full
    go_on.set()
    assert last.result() == "last"
