import sys

import pytest
from clips import every_kind

from hf_deepfake.errors import InputError, VideoError
from hf_deepfake.images.video import VideoLimits, read_frames
from hf_deepfake.images.video_decoder import Video


@pytest.fixture(scope="module")
def clips():
    return every_kind()


def test_skipping_to_key_frames_changes_nothing(clips, monkeypatch):
    times = [0.2, 1.3, 1.34, 2.9]
    given = []
    decode = Video._decode
    monkeypatch.setattr(Video, "_decode", lambda video, target: given.append(1) or decode(video, target))
    for name in ("H.264, MP4", "H.264, MKV", "HEVC, MP4", "VP9, WebM", "AV1, MP4", "MPEG-4, AVI"):
        with monkeypatch.context() as patch:
            given.clear()
            quick = list(read_frames(clips[name], [0, 2.9]))
            packets = len(given)
            patch.setattr(Video, "_skip", lambda video, target: None)
            given.clear()
            whole = list(read_frames(clips[name], [0, 2.9]))
            assert (quick[1].time, quick[1].image.tobytes()) == (whole[1].time, whole[1].image.tobytes())
            assert packets <= 50, name
            assert len(given) > 70
            through = list(read_frames(clips[name], times))
        skipped = list(read_frames(clips[name], times))
        assert [one.image.tobytes() for one in skipped] == [one.image.tobytes() for one in through]


def test_limits(clips):
    clip = clips["H.264, one key frame, MP4"]
    for limits, sentence in [
        (VideoLimits(duration=2), "lasts 3 s, longer than 2 s"),
        (VideoLimits(pixels=160 * 119), "160 x 120 px, more than 0 megapixels|truncated or broken"),
        (VideoLimits(frames=50), "more than 50 frames to decode"),
        (VideoLimits(seconds=0), "takes longer than 0 s to read"),
    ]:
        with pytest.raises(VideoError, match=sentence):
            list(read_frames(clip, every=1, limits=limits))
    assert len(list(read_frames(clip, every=1, limits=VideoLimits(3, 160 * 120, 76, 60)))) == 3


def test_time_of_the_caller_does_not_count(clips, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    for _ in read_frames(clips["H.264, one key frame, MP4"], every=1, limits=VideoLimits(seconds=5)):
        now[0] += 100


def test_without_av_one_sentence_says_what_to_do(clips, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"videos are read by av, which cannot be imported here; run pip install av"):
        list(read_frames(clips["H.264, MP4"], count=1))
