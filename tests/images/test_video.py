import io
import shutil
import subprocess
from bisect import bisect_right

import av
import numpy as np
import pytest
from clips import COUNT, KINDS, encode, every_kind, number_of, numbered, sound_alone
from PIL import Image

from hf_deepfake.errors import ImageError, InputError, VideoError
from hf_deepfake.images.video import is_video, probe, read_frames


@pytest.fixture(scope="module")
def clips():
    return every_kind()


@pytest.fixture(scope="module")
def uneven():
    """Times of 60 frames that are shown for 10 to 160 ms each."""
    steps = np.random.default_rng(0).integers(10, 160, 60) / 1000
    return [0, *np.cumsum(steps)[:-1].round(3).tolist()]


def seen(found):
    return [(round(frame.time, 3), number_of(frame.image)) for frame in found]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_frames_at_chosen_times(kind, threads, clips):
    """The frame on show at t is number floor(25 t): at 1.01 s the 25th, which began at 1 s."""
    found = list(read_frames(clips[kind], [2.5, 0, 0.99, 1.01, 2.75], threads=threads))
    assert seen(found) == [(0, 0), (0.96, 24), (1, 25), (2.48, 62), (2.72, 68)]
    assert {(one.image.mode, one.image.size) for one in found} == {("RGB", (160, 120))}
    middles = [(part + 0.5) * 3 / 4 for part in range(4)]
    assert seen(read_frames(clips[kind], count=4)) == [(int(25 * t) / 25, int(25 * t)) for t in middles]
    assert seen(read_frames(clips[kind], every=1)) == [(0, 0), (1, 25), (2, 50)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "H.264 with B-frames, AVI"])
def test_every_frame_comes_once_in_order(kind, clips):
    expected = [(round(number / 25, 3), number) for number in range(COUNT)]
    assert seen(read_frames(clips[kind], every=0.02)) == expected
    assert seen(read_frames(clips[kind], count=1000)) == expected


@pytest.mark.parametrize("form", ["mp4", "matroska"])
def test_variable_frame_rate(form, uneven):
    clip = encode([numbered(number) for number in range(60)], "libx264", form, times=uneven, options={"g": "12"})
    wanted = np.random.default_rng(1).uniform(0, uneven[-1], 25).round(3).tolist()
    expected = sorted({bisect_right(uneven, one) - 1 for one in wanted})
    assert seen(read_frames(clip, wanted)) == [(uneven[number], number) for number in expected]
    assert [number for _, number in seen(read_frames(clip, every=0.005))] == list(range(60))


def test_the_end(clips):
    clip = clips["H.264, MP4"]
    assert seen(read_frames(clip, [2.9, 3, 500])) == [(2.88, 72), (2.96, 74)]
    assert seen(read_frames(encode([numbered(7)]), count=16)) == [(0, 7)]
    assert seen(read_frames(encode([numbered(1), numbered(2)]), every=5)) == [(0, 1)]
    assert list(read_frames(clip, [])) == []


def test_what_can_be_read_from(clips, tmp_path):
    data = clips["H.264, MP4"]
    path = tmp_path / "clip.anything"
    path.write_bytes(data)
    opened = io.BytesIO(data)
    opened.seek(1000)
    for source in (data, path, str(path), opened):
        assert seen(read_frames(source, [1])) == [(1, 25)]
    assert not opened.closed


@pytest.mark.parametrize(
    ("kind", "codec", "container"),
    [
        ("H.264, MP4", "H.264", "MP4 or MOV"),
        ("H.264, MOV", "H.264", "MP4 or MOV"),
        ("HEVC, MKV", "HEVC", "WebM or MKV"),
        ("VP9, WebM", "VP9", "WebM or MKV"),
        ("AV1, MP4", "AV1", "MP4 or MOV"),
        ("MPEG-4, AVI", "MPEG-4", "AVI"),
    ],
)
def test_facts(kind, codec, container, clips):
    facts = probe(clips[kind])
    assert (facts.width, facts.height, facts.frame_rate) == (160, 120, 25)
    assert (facts.codec, facts.container, facts.rotated, facts.hdr) == (codec, container, False, False)
    assert facts.duration == pytest.approx(3, abs=0.05)


def test_a_recording_that_does_not_say_how_long_it_is(clips, tmp_path):
    """As browsers write it: Matroska that was never wound back, without duration and index."""

    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    pipe = Pipe()
    with av.open(io.BytesIO(clips["VP9, WebM"])) as clip, av.open(pipe, "w", format="webm") as out:
        stream = out.add_stream_from_template(clip.streams.video[0])
        for packet in clip.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    data = pipe.getvalue()
    with av.open(io.BytesIO(data)) as opened:
        assert opened.duration is None
    assert probe(data).duration == pytest.approx(3, abs=0.05)
    assert seen(read_frames(data, count=3)) == [(0.48, 12), (1.48, 37), (2.48, 62)]


def test_sound_beside_the_picture(clips):
    clip = encode([numbered(number) for number in range(50)], sound=True)
    assert probe(clip).duration == pytest.approx(2, abs=0.05)
    assert [number for _, number in seen(read_frames(clip, every=0.5))] == [0, 12, 25, 37]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({}, "0 of times, count and every are given"),
        ({"count": 2, "every": 1.0}, "2 of times, count and every are given"),
        ({"count": 0}, "count is 0; it must be at least 1"),
        ({"every": 0.0}, "every is 0.0; it must be more than 0 s"),
        ({"every": float("inf")}, "every is inf"),
        ({"times": [1, -1]}, "times holds -1; give seconds from 0 on"),
        ({"times": [float("nan")]}, "times holds nan"),
    ],
)
def test_what_makes_no_sense_is_said_at_once(words, sentence):
    with pytest.raises(InputError, match=sentence):
        read_frames("nosuch.mp4", **words)


def test_what_is_no_video(clips, tmp_path):
    data = clips["H.264, MP4"]
    image = io.BytesIO()
    numbered(0).save(image, "PNG")
    cases = {
        "cannot be opened (No such file": tmp_path / "nosuch.mp4",
        "cannot be opened (Is a directory": tmp_path,
        "is not a video in any of MP4, MOV, WebM, MKV, AVI; convert it first": image.getvalue(),
        "is not a video in any": b"",
        "holds no moving picture": sound_alone(),
        "is truncated or broken": data[: len(data) // 2][:-2000],
        "something of type int is no video": 3,
    }
    assert issubclass(VideoError, ImageError)
    for sentence, source in cases.items():
        for call in (probe, lambda source: list(read_frames(source, count=4))):
            with pytest.raises(VideoError) as caught:
                call(source)
            assert sentence in str(caught.value)
            assert "\n" not in str(caught.value)


def test_other_codecs_are_refused():
    clip = encode([numbered(number) for number in range(5)], "mpeg2video", "matroska")
    with pytest.raises(VideoError, match=r"coded as mpeg2video, not as any of H\.264, HEVC.*convert it"):
        probe(clip)


def test_a_playlist_opens_nothing(clips, tmp_path):
    """FFmpeg alone would follow it to other files and addresses, whatever the name of the list."""
    (tmp_path / "secret.mp4").write_bytes(clips["H.264, MP4"])
    playlist = tmp_path / "clip.mp4"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{tmp_path}/secret.mp4\n#EXT-X-ENDLIST\n")
    with pytest.raises(VideoError, match="is not a video in any of"):
        probe(playlist)


def test_damage_in_the_middle_is_left_out(clips):
    """A third of the file overwritten, the table of contents behind it whole."""
    data = bytearray(clips["H.264, MP4"])
    whole = len(list(read_frames(bytes(data), every=0.04)))
    start = data.index(b"mdat") + 4
    size = int.from_bytes(data[start - 8 : start - 4]) - 8
    data[start + size // 3 : start + size // 2] = bytes(size // 2 - size // 3)
    left = seen(read_frames(bytes(data), every=0.04))
    assert 25 <= len(left) < whole
    assert left == [(number / 25, number) for _, number in left]  # what is shown is whole


def test_is_video(clips, tmp_path):
    image = io.BytesIO()
    numbered(0).save(image, "JPEG")
    heic = (40).to_bytes(4) + b"ftypheic" + bytes(30)
    files = {
        "a.mp4": (clips["H.264, MP4"], True),
        "b": (clips["VP9, WebM"], True),
        "c.jpg": (clips["MPEG-4, AVI"], True),
        "d.mp4": (image.getvalue(), False),
        "e.heic": (heic, False),
        "f.txt": (b"some words", False),
        "g.MOV": (b"damaged", True),
        "h.m4a": ((40).to_bytes(4) + b"ftypM4A " + bytes(30), False),
    }
    for name, (content, expected) in files.items():
        (tmp_path / name).write_bytes(content)
        assert is_video(tmp_path / name) is expected, name
    assert not is_video(tmp_path)
    assert not is_video(tmp_path / "nosuch.mp4")
    assert not is_video("a\0b")


def test_it_says_nothing(clips, capfd):
    list(read_frames(clips["H.264, MP4"], every=1))
    with pytest.raises(VideoError):
        probe(clips["H.264, MP4"][:5000])
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the program ffmpeg is not installed")
@pytest.mark.parametrize("kind", ["H.264, MP4", "HEVC, MKV", "VP9, WebM", "AV1, MP4", "MPEG-4, AVI"])
def test_ffmpeg_shows_the_same(kind, clips, tmp_path):
    path = tmp_path / "clip"
    path.write_bytes(clips[kind])
    words = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        path,
        "-fps_mode",
        "passthrough",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    raw = subprocess.run(words, capture_output=True, check=True).stdout
    theirs = np.frombuffer(raw, np.uint8).reshape(-1, 120, 160, 3)
    mine = np.stack([np.asarray(frame.image) for frame in read_frames(path, every=0.04)])
    assert len(mine) == len(theirs) == COUNT
    assert np.abs(mine.astype(int) - theirs).mean() < 1.5


def test_an_image_is_not_animated_into_a_clip():
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "GIF")
    with pytest.raises(VideoError, match="is not a video"):
        probe(file)
