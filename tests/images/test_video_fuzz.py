"""Hundreds of damaged clips: each gives frames or is refused with the one error, in 10 s of CPU time and 1 GiB.

Every clip follows from its number. `python tests/images/test_video_fuzz.py 123 1` replays number 123 alone.
"""

import itertools
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from clips import encode, numbered

from hf_deepfake.errors import VideoError
from hf_deepfake.images.video import probe, read_frames

SECONDS, BYTES = 10, 1 << 30


def originals():
    """Intact clips of a dozen frames in every codec and container, some with sound, and one in fragments."""
    frames = [numbered(number) for number in range(12)]
    turned = {"rotation": 90, "sound": True}
    kinds = [
        ("libx264", "mp4", {"g": "6"}, turned),
        ("libx264", "mov", {"g": "6", "bf": "2"}, {}),
        ("libx264", "matroska", {"g": "6"}, {"sound": True}),
        ("libx264", "avi", {"g": "6", "bf": "0"}, {}),
        ("libx265", "mp4", {"g": "6"}, {}),
        ("libx265", "matroska", {"g": "6"}, {"pixels": "yuv420p10le"}),
        ("libvpx-vp9", "webm", {"g": "6", "deadline": "realtime"}, {"sound": True}),
        ("libvpx", "webm", {"g": "6", "deadline": "realtime"}, {}),
        ("libsvtav1", "mp4", {"g": "6", "preset": "12"}, {}),
        ("libsvtav1", "webm", {"g": "6", "preset": "12"}, {}),
        ("mpeg4", "avi", {"g": "6"}, {}),
        ("mpeg4", "mp4", {"g": "6", "bf": "2"}, {}),
        ("mjpeg", "avi", {}, {"pixels": "yuvj420p"}),
        ("prores_ks", "mov", {}, {"pixels": "yuv422p10le"}),
        ("ffv1", "matroska", {}, {}),
    ]
    return [encode(frames, codec, form, options=options, **words) for codec, form, options, words in kinds]


def damaged(files, number):
    """The clip of this number: an original after one to four mutations."""
    generator = np.random.default_rng(number)
    data = bytearray(files[number % len(files)])
    for _ in range(generator.integers(1, 5)):
        # A third of the damage falls on the beginning and a third on the end: there are sizes, times and offsets.
        part = generator.integers(0, 3)
        low, high = [(0, min(len(data), 700)), (max(0, len(data) - 1500), len(data)), (0, len(data))][part]
        start = int(generator.integers(low, max(high, low + 1)))
        end = start + int(generator.integers(1, 33))
        match generator.integers(0, 7):
            case 0:
                data[start : start + 1] = bytes([int(generator.integers(0, 256))])
            case 1:
                data[start:end] = generator.bytes(len(data[start:end]))
            case 2:
                data[start:end] = bytes([generator.choice([0, 0x7F, 0x80, 0xFF])]) * len(data[start:end])
            case 3:
                width = int(generator.choice([1, 2, 4]))
                value = int(generator.choice([0, 1, 31, 160, 5000, 0x7FFF, 0xFFFF, 1 << 24, 1 << 31, 0xFFFFFFFF]))
                field = (value % (1 << 8 * width)).to_bytes(width)
                data[start : start + width] = field if generator.random() < 0.5 else field[::-1]
            case 4:
                del data[start:end]
            case 5:
                data[start:start] = data[start:end] * int(generator.integers(1, 200))
            case 6:
                other = files[generator.integers(0, len(files))]
                data[start:] = other[int(generator.integers(0, len(other))) :]
        if not data:
            break
    if generator.random() < 0.1:
        del data[int(generator.integers(0, len(data) + 1)) :]
    return bytes(data)


def peak():
    """The most memory this process has held, in bytes; `ru_maxrss` would count what it was forked from."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024


def fuzz(first, count):
    """Read clips by number, saying each number first; the process is killed at one that takes too long."""
    files = originals()
    for data in files:
        assert len(list(read_frames(data, every=0.04))) == 12
    before = peak()
    refused = 0
    for number in range(first, first + count):
        print(number, flush=True)
        data = damaged(files, number)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # nobody handles SIGPROF, so not even C code survives it
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                probe(data)
                frames = [list(read_frames(data, count=5)), list(read_frames(data, every=0.04, threads=2))]
                for found in frames:
                    assert all(one.image.mode == "RGB" for one in found)
                    assert all(one.time < other.time for one, other in itertools.pairwise(found))
            except VideoError:
                refused += 1
        signal.setitimer(signal.ITIMER_PROF, 0)
        assert not caught, caught[0]
        assert peak() - before < BYTES
    print(refused)


def test_damaged_clips_are_read_or_refused():
    run = subprocess.run(
        [sys.executable, __file__, "0", "600"], capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, f"number {run.stdout.split()[-1:]}, exit status {run.returncode}:\n{run.stderr}"
    assert 100 < int(run.stdout.split()[-1]) < 500  # damage that never or always shows would prove nothing


def test_the_damage_is_the_same_every_time():
    files = [bytes(range(256)) * 40, bytes(range(255, -1, -1)) * 40]
    assert [damaged(files, number) for number in range(50)] == [damaged(files, number) for number in range(50)]


if __name__ == "__main__":
    fuzz(int(sys.argv[1]), int(sys.argv[2]))
