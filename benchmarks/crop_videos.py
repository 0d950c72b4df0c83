"""What `hf-deepfake crop` of videos costs, against decoding and finding faces alone, on drawn clips.

    python benchmarks/crop_videos.py OUT.json [--clips 12]

Clips are of ten seconds at 25 frames a second, H.264 of CRF 23 with a key frame every ten seconds, a face that moves
over a background. Times are of CPU, all processes together, so that others on the machine hardly change them; each is
the least of two rounds.
"""

import argparse
import json
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from PIL import Image

from hf_deepfake.curate.crop_videos import FRAMES, crop_clips
from hf_deepfake.data.scene import draw_scene
from hf_deepfake.files import write_json
from hf_deepfake.images.faces import find_faces
from hf_deepfake.images.video import read_frames
from hf_deepfake.machine import cpu_name, usable_cores

SIZES = {"720p": (1280, 720), "1080p": (1920, 1080)}
SECONDS, RATE, ROUNDS = 10, 25, 2


def draw_clip(path: Path, size: tuple[int, int], seed: int) -> None:
    """Encode one clip."""
    rng = np.random.default_rng(seed)
    side = size[1] // 2
    face = Image.fromarray((draw_scene(rng, side).image * 255).astype(np.uint8))
    behind = Image.fromarray((draw_scene(rng, 256).image * 255).astype(np.uint8)).resize((size[0] + 250, size[1] + 250))
    with av.open(str(path), "w") as out:
        options = {"crf": "23", "preset": "veryfast", "x264-params": "log=-1"}
        stream = out.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(SECONDS * RATE):
            picture = behind.crop((number, number, number + size[0], number + size[1]))
            picture.paste(face, (size[0] // 4 + number, size[1] // 5))
            out.mux(stream.encode(av.VideoFrame.from_image(picture)))
        out.mux(stream.encode())


def decode_all(path: Path) -> None:
    """Decode every frame, and do nothing with it."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for _ in container.decode(video=0):
            pass


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time that a piece of work takes in this process and its children."""
    people = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    before = [resource.getrusage(who) for who in people]
    work()
    after = [resource.getrusage(who) for who in people]
    return sum(a.ru_utime + a.ru_stime - b.ru_utime - b.ru_stime for a, b in zip(after, before, strict=True))


def measure(folder: Path, clips: list[Path], workers: int) -> dict[str, float]:
    """CPU seconds a clip of each step."""
    kept = [[frame.image for frame in read_frames(clip, count=FRAMES)] for clip in clips[:2]]
    least: dict[str, float] = {}
    for turn in range(ROUNDS):
        steps = {
            "decode_all": (lambda: [decode_all(clip) for clip in clips], len(clips)),
            "read_frames": (lambda: [list(read_frames(clip, count=FRAMES)) for clip in clips], len(clips)),
            "find_faces": (lambda: [find_faces(image) for images in kept for image in images], len(kept)),
            "crop": (lambda turn=turn: crop_clips(folder, folder.parent / f"one{turn}", workers=1), len(clips)),
            "crop_all_cores": (
                lambda turn=turn: crop_clips(folder, folder.parent / f"all{turn}", workers=workers),
                len(clips),
            ),
        }
        for name, (work, count) in steps.items():
            least[name] = min(least.get(name, np.inf), cpu_seconds(work) / count)
    return {name: round(value, 4) for name, value in least.items()}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=int, default=12)
    words = parser.parse_args()
    workers, found = usable_cores(), {}
    for name, size in SIZES.items():
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "clips"
            for number in range(words.clips):
                path = folder / ("real", "fake")[number % 2] / f"{number}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                draw_clip(path, size, number)
            found[name] = measure(folder, sorted(folder.rglob("*.mp4")), workers)
            print(name, json.dumps(found[name]))
    write_json(words.out, {"machine": cpu_name(), "cores": workers, "clips": words.clips, "frames": FRAMES} | found)


if __name__ == "__main__":
    main()
