import io

import pytest
from clips import encode, numbered

from hf_deepfake.errors import VideoError
from hf_deepfake.images.video_file import Clock, TimedFile, container_of, open_file


@pytest.mark.parametrize(
    ("codec", "form", "names"),
    [
        ("libx264", "mp4", ("mov", "MP4 or MOV")),
        ("libx264", "mov", ("mov", "MP4 or MOV")),
        ("libvpx-vp9", "webm", ("matroska", "WebM or MKV")),
        ("mpeg4", "avi", ("avi", "AVI")),
        ("mpeg2video", "mpegts", None),
    ],
)
def test_the_container_is_told_from_the_content(codec, form, names):
    assert container_of(encode([numbered(0)] * 2, codec, form)[:80]) == names


def test_other_files_are_in_none():
    for head in (b"", b"RIFF\0\0\0\0WAVE", b"#EXTM3U\n", b"ftyp", (24).to_bytes(4) + b"ftypM4A \0\0\0\0"):
        assert container_of(head) is None


def test_a_file_ends_when_the_time_is_over(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    clock = Clock(5, "clip.mp4")
    file = TimedFile(io.BytesIO(b"0123456789"), clock)
    assert (file.read(3), file.seek(1), file.tell(), file.read(2)) == (b"012", 1, 1, b"12")
    clock.check()
    now[0] = 105.1
    assert file.read(3) == b""
    with pytest.raises(VideoError, match=r"clip\.mp4 takes longer than 5 s to read"):
        clock.check()


def test_what_can_be_opened(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"abc")
    file, name = open_file(tmp_path / "a.mp4")
    with file:
        assert (file.read(), name) == (b"abc", str(tmp_path / "a.mp4"))
    assert open_file(b"abc")[0].read() == b"abc"
    given = io.BytesIO(b"abc")
    assert open_file(given) == (given, "the video")
    for source, sentence in [
        (tmp_path, "Is a directory"),
        (tmp_path / "no", "check the path"),
        ("a\0b", "null"),
        (None, "type NoneType is no video"),
    ]:
        with pytest.raises(VideoError, match=sentence):
            open_file(source)  # ty: ignore[invalid-argument-type]
