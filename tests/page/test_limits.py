import pytest

from hf_deepfake.errors import InputError
from hf_deepfake.page import limits
from hf_deepfake.page.limits import Limits, Rate


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"megabytes": 0}, "an upload of at most 0 MB is no limit that holds; give 1 to 20 MB"),
        ({"megabytes": 21}, "an upload of at most 21 MB is no limit that holds; give 1 to 20 MB"),
        ({"concurrency": 0}, "0 images at a time is none; give at least 1"),
        ({"waiting": -1}, "-1 waiting images is no number; give 0 or more"),
        ({"rate": 0}, "0 calls a minute is none; give at least 1, or leave the limit out"),
    ],
)
def test_what_is_no_limit(given, said):
    with pytest.raises(InputError) as caught:
        Limits(**given)
    assert str(caught.value) == said


def test_an_image_fits_into_a_message_as_base64():
    assert Limits(megabytes=3).image_bytes == 3_000_000
    assert Limits(megabytes=3).body_bytes == 5_000_000
    assert Limits(megabytes=3).upload_bytes == 100_000_000


class Now:
    seconds = 100.0

    def __call__(self):
        return self.seconds


def test_so_many_calls_in_any_minute():
    now = Now()
    rate = Rate(3, now)
    assert [rate.take("a") for _ in range(3)] == [0, 0, 0]
    assert rate.take("a") == pytest.approx(20)
    assert rate.take("b") == 0
    now.seconds += 19.9
    assert rate.take("a") == pytest.approx(0.1)
    now.seconds += 0.1
    assert [rate.take("a") > 0 for _ in range(2)] == [False, True]
    now.seconds += 60
    assert [rate.take("a") for _ in range(3)] == [0, 0, 0]


def test_clients_who_have_their_calls_back_are_forgotten(monkeypatch):
    monkeypatch.setattr(limits, "CLIENTS", 2)
    now = Now()
    rate = Rate(1, now)
    rate.take("a")
    rate.take("b")
    now.seconds += 61
    rate.take("c")
    assert list(rate._free) == ["c"]
