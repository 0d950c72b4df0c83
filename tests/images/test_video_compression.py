import itertools
import multiprocessing
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from PIL import Image

from hf_deepfake.errors import InputError
from hf_deepfake.images import video_compression as video
from hf_deepfake.images.degrade import FAMILIES, degrade

CRFS = (18, 23, 28, 34, 40)
CLIPS = [("h264_still", (0,)), ("h264_clip", (-2, -1, 0)), ("h264_clip", (-1, 0, 1))]
MOTION = (1.5, -0.75, 0.004)


def drawn(width, height):
    """Smooth colours, sharp rings and some texture."""
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    rings = np.sign(np.sin(14 * np.hypot(x, y)))
    texture = np.random.default_rng(0).normal(0, 0.04, (height, width))
    bands = np.stack([0.5 + 0.4 * x, 0.5 + 0.2 * rings, 0.5 - 0.4 * y], axis=-1) + texture[..., None]
    return Image.fromarray((bands.clip(0, 1) * 255).astype(np.uint8))


def psnr(one, other):
    """Peak signal to noise ratio, dB."""
    return 10 * np.log10(255**2 / np.mean((np.asarray(one, float) - np.asarray(other, float)) ** 2))


def compressed(image, crf, times, chroma="yuv420p"):
    return video._compressed(image, crf, chroma, times, MOTION if len(times) > 1 else (0, 0, 0))


@pytest.mark.parametrize("family", ["h264_still", "h264_clip"])
def test_severities_are_the_crfs_of_faceforensics_and_around(family):
    assert FAMILIES[family].strengths == CRFS
    assert FAMILIES[family].unit == "CRF"


@pytest.mark.parametrize("chroma", video.CHROMA)
@pytest.mark.parametrize(("family", "times"), CLIPS)
def test_psnr_falls_with_crf(family, times, chroma):
    image = drawn(224, 224)
    ratios = [psnr(image, compressed(image, crf, times, chroma)) for crf in CRFS]
    assert all(better > worse + 0.2 for better, worse in itertools.pairwise(ratios))
    assert ratios[0] - ratios[-1] > 5


@pytest.mark.parametrize(("b_frames", "types"), [(0, "IPP"), (1, "IBP")])
def test_a_clip_has_the_frames_it_should(b_frames, types):
    frames = [drawn(64, 48).transform((64, 48), Image.Transform.AFFINE, (1, 0, shift, 0, 1, 0)) for shift in (0, 1, 2)]
    decoded = video._coded(frames, 23, "yuv420p", b_frames)
    assert "".join(PictureType(frame.pict_type).name for frame in decoded) == types
    ratios = [[psnr(frame, other.to_image()) for other in decoded] for frame in frames]
    assert np.argmax(ratios, axis=1).tolist() == [0, 1, 2]  # in the order in which they are shown


def test_each_way_leaves_traces_of_its_own():
    image = drawn(96, 96)
    outcomes = {compressed(image, 28, times, chroma).tobytes() for _, times in CLIPS for chroma in video.CHROMA}
    assert len(outcomes) == 9


def test_chance_decides_on_the_way(monkeypatch):
    ways = []
    monkeypatch.setattr(
        video, "_compressed", lambda image, crf, chroma, times, motion: ways.append((chroma, times, motion))
    )
    image = Image.new("RGB", (448, 600))
    for seed in range(600):
        video.h264_clip(image, 23, np.random.default_rng(seed))
    chroma, times, motion = zip(*ways, strict=True)
    assert np.mean([one == "yuv420p" for one in chroma]) == pytest.approx(0.8, abs=0.05)
    assert set(chroma) == set(video.CHROMA)
    assert set(times) == {(-2, -1, 0), (-1, 0, 1)}
    assert np.mean([one == (-1, 0, 1) for one in times]) == pytest.approx(0.5, abs=0.07)
    # Up to 2 px each way in an image of 224 px, which is 4 px here; up to 1 % of zoom.
    assert np.abs(motion).max(axis=0) == pytest.approx([4, 4, 0.01], rel=0.05)


@pytest.mark.parametrize("size", [(33, 47), (32, 32), (1, 1), (17, 224), (225, 31)])
@pytest.mark.parametrize(("family", "times"), CLIPS)
def test_size_and_place_are_kept(family, times, size):
    image = drawn(*size)
    before = image.tobytes()
    coded = compressed(image, 10, times, "yuv444p")
    assert (coded.size, coded.mode) == (size, "RGB")
    assert psnr(image, coded) > 30
    assert image.tobytes() == before


@pytest.mark.parametrize("family", ["h264_still", "h264_clip"])
def test_a_seed_decides_and_nothing_else(family):
    image = drawn(65, 50)
    once = [degrade(image, family, 3, seed).tobytes() for seed in range(12)]
    assert [degrade(image, family, 3, seed).tobytes() for seed in reversed(range(12))] == once[::-1]
    assert len(set(once)) == (3 if family == "h264_still" else 12)  # of a still, chance decides on the chroma alone


@pytest.mark.parametrize("family", ["h264_still", "h264_clip"])
def test_grey_stays_grey(family):
    grey = drawn(64, 64).convert("L").convert("RGB")
    for seed in range(8):
        channels = np.asarray(degrade(grey, family, 3, seed), int)
        assert (channels.max(axis=-1) - channels.min(axis=-1)).max() <= 3


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_stay(value):
    image = Image.new("RGB", (48, 48), (value,) * 3)
    assert np.abs(np.asarray(degrade(image, "h264_clip", 5, 0), int) - value).max() <= 2


def _in_worker(seed):
    """For a forked process, whose parent has encoded before."""
    return degrade(drawn(64, 64), "h264_clip", 2, seed).tobytes()


@pytest.mark.slow
def test_forked_workers_see_the_same():
    expected = [_in_worker(seed) for seed in range(6)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_in_worker, range(6)) == expected


def test_it_says_nothing(capfd):
    for family in ("h264_still", "h264_clip"):
        degrade(drawn(64, 64), family, 5, 0)
    assert capfd.readouterr() == ("", "")


def test_without_the_encoder_one_sentence_says_so(monkeypatch):
    def create(name, mode):
        raise av.codec.codec.UnknownCodecError(name)

    monkeypatch.setattr(av, "VideoCodecContext", SimpleNamespace(create=create))
    with pytest.raises(InputError, match=r"no H\.264 encoder \(libx264\) here.*pip install"):
        degrade(drawn(32, 32), "h264_still", 1, 0)


def test_what_no_encoder_takes():
    with pytest.raises(InputError, match="16385 x 32 px is too large"):
        degrade(Image.new("RGB", (16385, 32)), "h264_still", 1, 0)
