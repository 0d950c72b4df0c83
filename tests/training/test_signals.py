import os
import signal
import threading
from pathlib import Path

import pytest

from hf_deepfake.errors import Interrupted
from hf_deepfake.training.signals import Stopped, StopSignals


def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


def test_a_signal_is_noted_and_a_second_ctrl_c_interrupts(monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals() as signals:
        assert signals.received == 0
        send()
        assert signals.received == signal.SIGTERM
        send()  # a supervisor that repeats itself
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_launcher_may_pass_on_what_the_group_had_already(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    with StopSignals() as signals:
        for _ in range(3):
            send(signal.SIGINT)
        assert signals.received == signal.SIGINT


@pytest.mark.parametrize("launched", [True, False])
def test_a_process_that_stopped_says_so_whatever_its_launcher_sends_to_what_is_left(launched, monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if launched:
        monkeypatch.setenv("LOCAL_RANK", "0")
    got = []
    before = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]
    signal.signal(signal.SIGTERM, lambda number, _: got.append(number))
    try:
        with pytest.raises(Stopped), StopSignals():
            raise Stopped(signal.SIGTERM, Path("run"))
        send()
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    assert got == ([] if launched else [signal.SIGTERM])


def test_work_that_can_be_done_anew_ends_at_once():
    done = []

    def work():
        done.append("begun")
        send()
        done.append("ended")

    with StopSignals() as signals:
        assert signals.at_once(lambda: 5) == 5
        assert signals.at_once(work) is None
        assert done == ["begun"]
        assert signals.at_once(work) is None  # not even begun
        assert done == ["begun"]


def test_a_signal_just_before_work_that_can_be_done_anew_ends_it_too():
    class Asked(StopSignals):
        """Gets a signal as it is first asked whether one came."""

        asked = 0

        def __getattribute__(self, name):
            found = super().__getattribute__(name)
            if name == "received" and not Asked.asked:
                Asked.asked += 1
                send()
            return found

    done = []
    with Asked() as signals:
        assert signals.at_once(lambda: done.append("begun")) is None
    assert done == []


def test_what_fails_because_of_the_signal_is_no_error_of_its_own():
    def broken():
        signals.received = signal.SIGTERM
        raise RuntimeError("a pool's workers are gone")

    with StopSignals() as signals:
        with pytest.raises(ZeroDivisionError):
            signals.at_once(lambda: 1 / 0)
        assert signals.at_once(broken) is None


class Two:
    """Stands for one of two processes, of which the other got a signal or not; something may happen meanwhile."""

    num_processes, device = 2, "cpu"

    def __init__(self, other, meanwhile=lambda: None):
        self.other, self.meanwhile = other, meanwhile

    def gather(self, tensor):
        told = tensor.new_tensor([int(tensor), self.other])
        self.meanwhile()
        return told


def test_all_processes_stop_where_one_is_asked_to():
    signals = StopSignals()
    signals.check(Two(0))
    with pytest.raises(Interrupted):
        signals.check(Two(signal.SIGINT))
    assert signals.received == signal.SIGINT


def test_a_signal_that_comes_while_processes_ask_each_other_stops_them_at_the_next_look():
    with StopSignals() as signals:
        assert not signals.agreed(Two(0, meanwhile=send))  # the others do not know, so that all go on together
        assert signals.received == signal.SIGTERM
        assert signals.agreed(Two(0))


def test_another_thread_may_train_too():
    seen = []

    def run():
        with StopSignals() as signals:
            seen.append(signals.received)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [0]


def test_what_is_said():
    assert (
        str(Stopped(15, Path("run"))) == "stopped and saved; go on with --resume and the same options (output_dir run)"
    )
    assert "nothing" not in str(Stopped(15, Path("run")))
    assert "start again with the same command" in str(Stopped(15, Path("run"), saved=False))
