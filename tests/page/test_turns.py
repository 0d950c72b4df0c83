import time
from threading import Thread

import pytest

from hf_deepfake.errors import InputError
from hf_deepfake.page.turns import Turns


def wait_for(met):
    deadline = time.monotonic() + 60
    while not met():
        assert time.monotonic() < deadline


def test_turns():
    turns = Turns(waiting=1)
    order = []

    def wait():
        with turns.take():
            order.append("second")

    with turns.take():
        second = Thread(target=wait)
        second.start()
        wait_for(lambda: turns._places._value == 0)
        with pytest.raises(InputError, match=r"^1 images are waiting already; try again in a minute$"), turns.take():
            pass
        order.append("first")
    second.join()
    with turns.take():
        assert order == ["first", "second"]
