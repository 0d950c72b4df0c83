"""Load the service: are all answers right, how long do they take, does it grow, and does it come back.

    python benchmarks/service_load.py --output benchmarks/service_load.json

It starts `hf-deepfake serve` and posts mixed files to /predict: generated faces in several formats, several faces in
one image, a large image, broken files and texts. Each answer is held against the Detector's own, in this process:
refused in a sentence where that refuses, else the same score to 1e-5. Then: many small files, the memory after each
tenth; the peak of one image of 40 megapixels with 16 bits; the time to be ready again once it was killed; and fewer
places to wait than clients. Times are those of a machine that others use too: the load average stands beside them.
"""

import argparse
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image

import hf_deepfake
from hf_deepfake.detect.detector import Detector
from hf_deepfake.errors import ImageError
from hf_deepfake.files import write_json
from hf_deepfake.machine import cpu_name, usable_cores

FACES = Path(hf_deepfake.__file__).parent / "page" / "examples"
MEGABYTE = 2**20
CLOSE = 1e-5


def encoded(image: Image.Image, form: str) -> bytes:
    """A file in a format."""
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def mixed_files() -> dict[str, bytes]:
    """Files by what they are."""
    faces = [Image.open(file).convert("RGB") for file in sorted(FACES.glob("*.jpg"))]
    side = faces[0].width
    four = Image.new("RGB", (4 * side, 2 * side), (120, 130, 140))
    for number, face in enumerate(faces[:4]):
        four.paste(face, (2 * side * (number % 2) + side // 2, side * (number // 2)))
    jpeg = encoded(faces[0], "JPEG")
    return {
        **{
            f"face {number}, {form}": encoded(face, form)
            for number, face in enumerate(faces)
            for form in ("JPEG", "PNG")
        },
        **{form: encoded(faces[1], form) for form in ("WEBP", "BMP", "TIFF", "GIF")},
        "four faces": encoded(four, "JPEG"),
        "large, 12 megapixels": encoded(faces[2].resize((4000, 3000)), "JPEG"),
        "cut JPEG": jpeg[: len(jpeg) // 2],
        "cut PNG": encoded(faces[0], "PNG")[:3000],
        "text": b"This is a text.\n" * 20,
        "nothing": b"",
    }


def expected_answers(detector: Detector, files: dict[str, bytes]) -> dict[str, float | None]:
    """P(fake) as the detector itself has it, None where it refuses."""
    found: dict[str, float | None] = {}
    for name, content in files.items():
        try:
            found[name] = detector(content).fake_probability
        except ImageError:
            found[name] = None
    return found


@contextmanager
def serving(checkpoint: str, *options: str) -> Generator[tuple[str, psutil.Process]]:
    """The command in a process of its own, on the first free port; its URL and its process."""
    words = [sys.executable, "-m", "hf_deepfake", "serve", "--checkpoint", checkpoint, *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "GRADIO_SERVER_NAME": "127.0.0.1"}
    with tempfile.TemporaryFile() as logs:
        command = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=logs, text=True)
        try:
            assert command.stdout is not None
            url = next(found[0] for line in command.stdout if (found := re.search(r"http://\S+", line)))
            yield url, psutil.Process(command.pid)
        finally:
            command.send_signal(signal.SIGTERM)
            command.communicate()


def post(url: str, content: bytes) -> tuple[httpx.Response, float]:
    """An answer and the seconds that it took; a connection that broke has the status 599."""
    began = time.perf_counter()
    try:
        answer = httpx.post(f"{url}/predict", content=content, timeout=600)
    except httpx.TransportError as error:
        answer = httpx.Response(599, text=repr(error))
    return answer, time.perf_counter() - began


def is_right(answer: httpx.Response, expected: float | None) -> bool:
    """Whether an answer is the detector's own."""
    if expected is None:
        return answer.status_code == 422 and answer.json()["error"].endswith(".")
    return answer.status_code == 200 and abs(answer.json()["fake_probability"] - expected) <= CLOSE


def is_busy(answer: httpx.Response) -> bool:
    """Whether an answer says when to come again, in a sentence."""
    return answer.status_code == 503 and "retry-after" in answer.headers and answer.json()["error"].endswith(".")


def load(
    url: str, files: dict[str, bytes], expected: dict[str, float | None], requests: int, clients: int
) -> dict[str, Any]:
    """Post many files from many clients, each of whom waits for its answer before it asks again."""
    names = list(islice(cycle(files), requests))
    with ThreadPoolExecutor(clients) as threads:
        answers = list(threads.map(lambda name: post(url, files[name]), names))
    given = list(zip(names, answers, strict=True))
    times = [seconds for _, (answer, seconds) in given if answer.status_code == 200]
    cuts = quantiles(times, n=20) if len(times) > 1 else times * 19
    return {
        "requests": requests,
        "clients": clients,
        "statuses": dict(Counter(str(answer.status_code) for _, (answer, _) in given)),
        "wrong": [n for n, (answer, _) in given if not is_busy(answer) and not is_right(answer, expected[n])],
        "p50_s": cuts[9],
        "p95_s": cuts[18],
        "load_average": os.getloadavg()[0],
    }


def peak(process: psutil.Process) -> float:
    """The most memory that a process had so far, MB."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.findall(r"VmHWM:\s*(\d+)", status)[0]) * 1024 / MEGABYTE


def sixteen_bits() -> bytes:
    """A drawn grey PNG of 40 megapixels with 16 bits."""
    rows, columns = np.arange(5000)[:, None] // 250, np.arange(8000) // 250
    return encoded(Image.fromarray(((columns * 1500 + rows * 700) % 60_000).astype(np.uint16)), "PNG")


def memory(url: str, process: psutil.Process, files: dict[str, bytes], requests: int) -> list[float]:
    """MB after each tenth of many requests."""
    found = []
    for _ in range(10):
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda name: post(url, files[name]), islice(cycle(files), requests // 10)))
        found.append(process.memory_info().rss / MEGABYTE)
    return found


def run(words: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    files = mixed_files()
    expected = expected_answers(Detector.from_pretrained(words.checkpoint), files)
    with serving(words.checkpoint) as (url, process):
        enough = load(url, files, expected, words.requests, words.clients)
        small = {name: content for name, content in files.items() if len(content) < 200_000}
        flat = memory(url, process, small, words.many)
        began = time.perf_counter()
        process.kill()
        with serving(words.checkpoint) as (again, fresh):
            recovery = time.perf_counter() - began
            at_rest = peak(fresh)
            assert post(again, sixteen_bits())[0].status_code == 200
            large = peak(fresh)
    with serving(words.checkpoint, "--waiting", str(max(words.clients // 5, 1))) as (url, _):
        full = load(url, files, expected, words.requests, words.clients)
    return {
        "machine": cpu_name(),
        "cores": usable_cores(),
        "enough_places": enough,
        "few_places": full,
        "megabytes_over_requests": {"requests": words.many, "after_each_tenth": flat},
        "megabytes_at_rest": at_rest,
        "megabytes_peak_40_megapixels_16_bits": large,
        "seconds_from_kill_to_ready": recovery,
    }


def main(given: Sequence[str] | None = None) -> int:
    """Parse the command line; see the module's description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="space/checkpoint", help="folder (default: the bundled model)")
    parser.add_argument("--requests", type=int, default=200, help="mixed requests (default 200)")
    parser.add_argument("--clients", type=int, default=20, help="clients at the same time (default 20)")
    parser.add_argument("--many", type=int, default=1000, help="requests that memory is watched over (default 1000)")
    parser.add_argument("--output", type=Path, required=True, help="JSON file for all figures")
    words = parser.parse_args(given)
    result = run(words)
    write_json(words.output, result)
    print(words.output.read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
