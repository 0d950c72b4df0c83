import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from hf_deepfake.detect.verdict import FaceVerdict
from hf_deepfake.detect.video_report import build_video_page, clock, timeline, write_report
from hf_deepfake.detect.video_verdict import SampledFrame, Sighting, Track, VideoVerdict
from hf_deepfake.errors import InputError
from hf_deepfake.images.video import VideoFacts


def make_verdict(unsure=False, mapped=True):
    """Ten seconds: a real face throughout, a fake one from the cut at 5 s on, and one that is seen once."""
    file = io.BytesIO()
    Image.new("RGB", (320, 180), (120, 120, 120)).save(file, "JPEG")
    values = np.ones((2, 2), np.float32) if mapped else None
    frames = []
    for second in range(10):
        seen = [(0, 0.2), *([(1, 0.9)] if second > 4 else []), *([(2, 0.7)] if second == 2 else [])]
        sightings = tuple(
            Sighting(
                track, FaceVerdict((40, 40, 80, 90), "fake", 0.9, fake, False), fake - 0.5, (30, 30, 90, 95), values
            )
            for track, fake in seen
        )
        frames.append(SampledFrame(float(second), sightings, second == 5, (640, 360), file.getvalue()))
    tracks = (
        Track("real", 0.8, 0.2, (0.1, 0.3), False, 0.0, 9.0, tuple(range(10)), True),
        Track("fake", 0.9, 0.9, (0.8, 0.95), False, 5.0, 9.0, (5, 6, 7, 8, 9), True),
        Track("fake", 0.7, 0.7, None, False, 2.0, 2.0, (2,), False),
    )
    facts = VideoFacts(10, 640, 360, 25, "H.264", "MP4 or MOV")
    return VideoVerdict("fake", 0.9, 0.9, (0.8, 0.95), unsure, tracks, tuple(frames), ("A <cut> ends tracks.",), facts)


@pytest.fixture(scope="module")
def verdict():
    return make_verdict()


def elements(svg):
    root = ElementTree.fromstring(str(svg))
    return {
        name: [one for one in root.iter() if name in one.get("class", "").split()] for name in ("cut", "dot", "spread")
    }


def test_the_timeline_by_hand(verdict):
    found = elements(timeline(verdict))
    assert len(found["dot"]) == 16
    assert [one.get("class") for one in found["spread"]] == ["spread t0", "spread t1"]
    # 664 px from 40 on for 10 s, 216 px from 14 on for P(fake) from 1 to 0.
    assert found["cut"][0].get("d").startswith("M372.0 ")
    first = found["dot"][0]
    assert (float(first.get("cx")), float(first.get("cy"))) == (40, pytest.approx(14 + 0.8 * 216, abs=0.1))
    assert first[0].text == "track 1, 0:00: P(fake) 0.20"
    (rare,) = (one for one in found["dot"] if "rare" in one.get("class"))
    assert (float(rare.get("cx")), float(rare.get("cy"))) == (40 + 66.4 * 2, pytest.approx(14 + 0.3 * 216, abs=0.1))
    assert float(found["spread"][1].get("height")) == pytest.approx(0.15 * 216, abs=0.1)


def test_the_page_says_what_was_found_and_loads_nothing(verdict):
    page = build_video_page(verdict, "a <b>.mp4")
    assert "<h1>a &lt;b&gt;.mp4</h1>" in page
    assert "A &lt;cut&gt; ends tracks." in page
    assert "The model finds signs of a deepfake: score 0.90." in page
    assert "might lie from 0.80 to 0.95" in page
    assert page.count('class="person') == 3
    assert re.search(r"Track 2</b>: fake, score 0.90 · decides the verdict", page)
    assert re.search(r"Track 3</b>: fake, score 0.70 · seen too rarely to decide", page)
    assert "What shines speaks for" in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 8 + 5 + 1 + 3  # at most eight faces of a track, and three frames
    assert all(one.startswith("data:image/jpeg;base64,") for one in sources)
    sizes = {Image.open(io.BytesIO(base64.b64decode(one.partition(",")[2]))).size for one in sources}
    assert sizes == {(128, 128), (320, 180)}
    assert "What shines" not in build_video_page(make_verdict(mapped=False), "a")
    assert "The model cannot tell; it leans to fake" in build_video_page(make_verdict(unsure=True), "a")


def test_the_page_is_written_whole_or_not_at_all(verdict, tmp_path):
    write_report(verdict, "clip.mp4", tmp_path / "new" / "clip.html")
    assert (tmp_path / "new" / "clip.html").read_text(encoding="utf-8").endswith("</html>")
    (tmp_path / "file").touch()
    with pytest.raises(InputError):
        write_report(verdict, "clip.mp4", tmp_path / "file" / "clip.html")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0:00"), (2.8, "0:02.8"), (9.96, "0:09"), (12.7, "0:12"), (75, "1:15"), (3725, "1:02:05")],
)
def test_clock(seconds, said):
    assert clock(seconds) == said
