"""Measure what a verdict on a video costs, part by part, and what compression does to it.

    python benchmarks/video.py --data dfdc-faces.zip --output benchmarks/video.json

Clips are drawn and encoded here: a minute of 720p with two people, ten seconds of each codec, and an hour of few
pixels for memory. Of a part are stated wall seconds, which other work on the machine makes longer, and CPU seconds,
which it hardly does; both beside bare decoding of all frames by one thread in the same repeat. Memory is the peak of a
process of its own. With --data, face crops are made into short clips that move a little and coded by CRF; nothing is
kept of them.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import av
import numpy as np
from PIL import Image
from scipy.special import logit

from hf_deepfake.config import DataConfig
from hf_deepfake.data.sample import draw_sample
from hf_deepfake.detect.answers import answer_regions
from hf_deepfake.detect.detector import Detector
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.evaluate import load_split
from hf_deepfake.files import write_json
from hf_deepfake.images.open import open_image
from hf_deepfake.images.video import read_frames
from hf_deepfake.machine import cpu_name, usable_cores

RATE = 25
KINDS = {
    "H.264 in MP4": ("libx264", "mp4", {"preset": "veryfast"}),
    "H.264 in MOV": ("libx264", "mov", {"preset": "veryfast"}),
    "H.264 in MKV": ("libx264", "matroska", {"preset": "veryfast"}),
    "H.264 in AVI": ("libx264", "avi", {"preset": "veryfast", "bf": "0"}),
    "HEVC in MP4": ("libx265", "mp4", {"preset": "ultrafast", "x265-params": "log-level=none"}),
    "VP9 in WebM": ("libvpx-vp9", "webm", {"deadline": "realtime", "cpu-used": "8"}),
    "AV1 in MP4": ("libsvtav1", "mp4", {"preset": "12"}),
    "AV1 in WebM": ("libsvtav1", "webm", {"preset": "12"}),
    "MPEG-4 in AVI": ("mpeg4", "avi", {"q": "5"}),
}
CRFS = (23, 40)


def people(seconds: float, size: tuple[int, int], rate: int = RATE) -> Iterator[Image.Image]:
    """Frames of two drawn people who move over a ground with texture, which moves too."""
    with tempfile.TemporaryDirectory() as folder:
        draw_sample(Path(folder), count=2, size=256, seed=3)
        faces = [open_image(path) for path in sorted((Path(folder) / "images" / "real").iterdir())]
    faces = [face.resize((size[1] // 3, size[1] // 3)) for face in faces]
    noise = np.random.default_rng(0).normal(120, 30, (size[1] // 4 + 20, size[0] // 4 + 20, 3)).clip(0, 255)
    ground = Image.fromarray(noise.astype(np.uint8)).resize((size[0] + 80, size[1] + 80), Image.Resampling.BICUBIC)
    for number in range(round(seconds * rate)):
        phase = 2 * np.pi * number / rate / 7
        shift = round(40 + 39 * np.sin(phase / 3))
        frame = ground.crop((shift, shift, shift + size[0], shift + size[1]))
        for place, face in enumerate(faces):
            x = round(size[0] * (0.12 + 0.45 * place) + 0.05 * size[0] * np.sin(phase + place))
            frame.paste(face, (x, round(size[1] * 0.3 + 0.05 * size[1] * np.cos(phase))))
        yield frame


def encode(path: Path, frames: Iterator[Image.Image], kind: str, rate: int = RATE, **options: str) -> Path:
    """Write a clip."""
    codec, form, own = KINDS[kind]
    with av.open(str(path), "w", format=form) as out:
        stream: Any = out.add_stream(codec, rate=rate, options=own | options)
        for number, image in enumerate(frames):
            if number == 0:
                stream.width, stream.height, stream.pix_fmt = image.width, image.height, "yuv420p"
            frame = av.VideoFrame.from_image(image)
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def decode_all(path: Path) -> int:
    """Decode every frame by one thread, and do nothing with it."""
    with av.open(str(path)) as clip:
        clip.streams.video[0].codec_context.thread_count = 1
        return sum(1 for _ in clip.decode(video=0))


def timed(call: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Wall and CPU seconds of a call, all threads, and what it returns."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = call()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}, found


def parts(path: Path, detector: Detector, which: dict[str, Any]) -> dict[str, dict[str, float]]:
    """What the parts of a verdict cost one after the other, and the whole at once."""
    found: dict[str, dict[str, float]] = {}
    found["bare decoding"], _ = timed(lambda: decode_all(path))
    found["decode"], frames = timed(lambda: list(read_frames(path, **which)))
    found["find faces"], prepared = timed(lambda: [detector._prepare_opened(frame.image) for frame in frames])
    pixels = [region for one in prepared for region in one.pixels]

    def model() -> None:
        for start in range(0, len(pixels), 8):
            answer_regions(detector._batch(pixels[start : start + 8]), detector._backend, detector._build, False)

    found["model"], _ = timed(model)
    frames.clear()
    options = {"frames": which["count"]} if "count" in which else which
    found["whole"], verdict = timed(lambda: detector.video(path, **options))
    return found | {"counts": {"frames": len(verdict.frames), "faces": len(pixels), "tracks": len(verdict.tracks)}}


def peak(code: str, *words: str) -> float:
    """Peak memory of a new process that runs this code, MB."""
    end = "\nimport re; print(int(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]) / 1024)"
    done = subprocess.run([sys.executable, "-c", code + end, *words], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


VERDICT = """import sys
from hf_deepfake import Detector
Detector.from_pretrained(sys.argv[1], device="cpu").video(sys.argv[2], **eval(sys.argv[3]))"""
READ = """import sys
from hf_deepfake.images.video import read_frames
print(sum(1 for _ in read_frames(sys.argv[1], every=1.0)))"""


def compressed(detector: Detector, data: str, count: int) -> dict[str, Any]:
    """How the log-odds of face crops change as they are made into clips, of a CRF, by class."""
    splits = load_split(DataConfig(data=(data,)), "test")[0]["test"]
    generator = np.random.default_rng(0)
    labels = np.array(splits["label"])
    chosen = [generator.permutation(np.flatnonzero(labels == label))[:count] for label in (0, 1)]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for index in np.concatenate(chosen).tolist():
            image = open_image(splits[index]["image"])
            image = image.crop((0, 0, image.width // 2 * 2, image.height // 2 * 2))
            row = {"label": int(labels[index]), "image": detector(image).fake_probability}
            for crf in CRFS:
                path = encode(Path(folder) / "clip.mp4", moving(image), "H.264 in MP4", crf=str(crf), preset="medium")
                row[f"crf {crf}"] = detector.video(path, frames=5).fake_probability
            rows.append(row)
    return summary(rows)


def moving(image: Image.Image, frames: int = 25) -> Iterator[Image.Image]:
    """An image that moves by up to two pixels, as a head that speaks."""
    wide = Image.fromarray(np.pad(np.asarray(image), ((3, 3), (3, 3), (0, 0)), mode="edge"))
    for number in range(frames):
        x, y = 3 + 2 * np.sin(number / 4), 3 + 2 * np.cos(number / 5)
        box = (x, y, x + image.width, y + image.height)
        yield wide.resize(image.size, Image.Resampling.BICUBIC, box)


def summary(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Changes against the image, by class: median and quartiles of the log-odds, and verdicts that turn."""
    found: dict[str, Any] = {"faces_per_class": len(rows) // 2}
    for label, name in enumerate(("real", "fake")):
        own = [row for row in rows if row["label"] == label]
        for crf in CRFS:
            before, after = (np.array([row[key] for row in own]) for key in ("image", f"crf {crf}"))
            change = logit(after.clip(1e-6, 1 - 1e-6)) - logit(before.clip(1e-6, 1 - 1e-6))
            found[f"{name}, crf {crf}"] = {
                "change_of_log_odds": np.quantile(change, (0.25, 0.5, 0.75)).round(3).tolist(),
                "turned": int(((before > 0.5) != (after > 0.5)).sum()),
                "called_fake_as_image": int((before > 0.5).sum()),
                "called_fake_as_clip": int((after > 0.5).sum()),
            }
    return found


def measure_minute(detector: Detector, checkpoint: str, repeats: int, minute: Path) -> dict[str, Any]:
    """Costs and memory of a verdict on a minute."""
    found: dict[str, Any] = {"bytes": minute.stat().st_size, "load": os.getloadavg()[0]}
    detector.video(minute, frames=2)  # the first call reads the face finder
    for name, which in {"16 frames": {"count": 16}, "every second": {"every": 1.0}}.items():
        found[name] = [parts(minute, detector, which) for _ in range(repeats)]
        options = {"frames": which["count"]} if "count" in which else which
        found[f"{name}, MB"] = peak(VERDICT, checkpoint, str(minute), repr(options))
        print(name, found[name], found[f"{name}, MB"], flush=True)
    return found


def measure_codecs(folder: Path) -> dict[str, Any]:
    """What decodes of ten seconds of each kind, and how fast."""
    found = {}
    for kind in KINDS:
        clip = encode(folder / "kind", people(10, (640, 360)), kind)
        bare, frames = timed(lambda clip=clip: decode_all(clip))
        own, read = timed(lambda clip=clip: sum(1 for _ in read_frames(clip, count=16)))
        found[kind] = {"bare": bare, "16 frames": own, "decoded": frames, "read": read}
        print(kind, found[kind], flush=True)
    return found


def measure_memory(folder: Path) -> dict[str, float]:
    """Peak memory of reading a frame a second of a minute and of an hour, MB."""
    found = {}
    for minutes in (1, 60):
        clip = encode(folder / "long.mp4", people(60 * minutes, (320, 180), 2), "H.264 in MP4", 2)
        found[f"{minutes} min"] = peak(READ, str(clip))
        print("reading", minutes, found, flush=True)
    return found


def run(words: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    result: dict[str, Any] = {"machine": cpu_name(), "cores": usable_cores(), "av": av.__version__}
    detector = Detector.from_pretrained(words.checkpoint, device="cpu")
    result["backend"] = str(detector.backend)
    with tempfile.TemporaryDirectory() as folder:
        minute = encode(Path(folder) / "minute.mp4", people(60, (1280, 720)), "H.264 in MP4")
        result["minute of 720p"] = measure_minute(detector, words.checkpoint, words.repeats, minute)
        result["codecs"] = measure_codecs(Path(folder))
        result["reading, MB"] = measure_memory(Path(folder))
    if words.data:
        result["compression"] = compressed(detector, words.data, words.faces)
    return result


def table(result: dict[str, Any]) -> str:
    """The figures as Markdown: medians of the repeats."""
    minute = result["minute of 720p"]
    lines = [f"{result['machine']}, {result['cores']} cores, load {minute['load']:.1f}; {result['backend']}", ""]
    lines += ["| a minute of 720p | CPU s, 16 frames | over bare decoding | CPU s, every second | over bare decoding |"]
    lines += ["|---|---|---|---|---|"]
    for part in ("bare decoding", "decode", "find faces", "model", "whole"):
        cells = []
        for name in ("16 frames", "every second"):
            seconds = median(one[part]["cpu"] for one in minute[name])
            ratio = median(one[part]["cpu"] / one["bare decoding"]["cpu"] for one in minute[name])
            cells += [f"{seconds:.2f}", f"{ratio:.2f}"]
        lines.append(f"| {part} | {' | '.join(cells)} |")
    for name in ("16 frames", "every second"):
        wall = [one["whole"]["wall"] for one in minute[name]]
        lines += ["", f"{name}: wall {min(wall):.1f} to {max(wall):.1f} s, {minute[name + ', MB']:.0f} MB"]
    lines += ["", "| codec | decoded | 16 frames read | CPU s, all | CPU s, 16 frames |", "|---|---|---|---|---|"]
    for kind, one in result["codecs"].items():
        cells = (one["decoded"], one["read"], f"{one['bare']['cpu']:.2f}", f"{one['16 frames']['cpu']:.2f}")
        lines.append(f"| {kind} | {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, "", f"Reading, MB: {result['reading, MB']}", f"{result.get('compression', '')}"])


def main() -> int:
    """Parse the command line; see the module's description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="any source of hf-deepfake with face crops")
    parser.add_argument("--checkpoint", default="space/checkpoint", help="folder (default: the bundled model)")
    parser.add_argument("--faces", type=int, default=40, help="face crops of each class (default 40)")
    parser.add_argument("--repeats", type=int, default=3, help="times that a minute is measured (default 3)")
    parser.add_argument("--output", type=Path, help="JSON file for all figures")
    words = parser.parse_args()
    try:
        result = run(words)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n" + table(result))
    if words.output:
        write_json(words.output, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
