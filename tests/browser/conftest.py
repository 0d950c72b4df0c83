"""The page served by a process of its own, and a browser to open it with."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from chromium import find_browser, require_browser
from clips import encode
from matplotlib.figure import Figure
from page_window import DESKTOP
from PIL import Image
from playwright.sync_api import sync_playwright

from hf_deepfake.data.sample import draw_sample
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint

ROOT = Path(__file__).parents[2]

CARD = """---
library_name: timm
---

# tiny-deepfake

Read the [limits](#limits).

![ROC curve on the test split.](roc.png)

![Not in this folder.](../secret.png)

## Limits

A score is not evidence.
"""


class Server:
    """`python space/app.py` on the first free port, with a folder of its own for uploads."""

    def __init__(self, checkpoint, uploads):
        self.uploads = uploads
        environment = {
            **os.environ,
            "HF_DEEPFAKE_CHECKPOINT": str(checkpoint),
            "GRADIO_TEMP_DIR": str(uploads),
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
        }
        command = [sys.executable, ROOT / "space" / "app.py"]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=uploads.parent)
        for line in self.process.stdout:
            if found := re.search(r"http://\S+", line):
                self.url = found[0]
                return
        raise RuntimeError(f"the page did not start: exit code {self.process.wait()}, see standard error")

    @property
    def folder(self):
        """Its own among those of all servers."""
        (folder,) = self.uploads.iterdir()
        return folder

    def stop(self, number=signal.SIGTERM):
        """End it; by default as a container is ended."""
        self.process.send_signal(number)
        self.process.communicate(timeout=60)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """An untrained model with a card and a figure."""
    folder = tmp_path_factory.mktemp("space") / "checkpoint"
    export_checkpoint(build_model("resnet10t", image_size=64, pretrained="off"), folder, image_size=64)
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    Figure().savefig(folder / "roc.png")
    return folder


@pytest.fixture(scope="session")
def serve(checkpoint, tmp_path_factory):
    """Start servers that end with the session."""
    servers = []

    def start(uploads=None):
        servers.append(Server(checkpoint, uploads or tmp_path_factory.mktemp("served") / "uploads"))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(serve):
    """One server for all tests that leave it as it was."""
    return serve()


@pytest.fixture(scope="session")
def bundled(tmp_path_factory):
    """The page of the bundled model, which finds faces."""
    server = Server(ROOT / "space" / "checkpoint", tmp_path_factory.mktemp("bundled") / "uploads")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def several_faces(tmp_path_factory):
    """Two generated faces and a drawn one on a ground: the model calls at least one fake and one not."""
    examples = ROOT / "hf_deepfake" / "page" / "examples"
    image = Image.new("RGB", (900, 300), (90, 110, 120))
    for number, name in enumerate(("fake-1", "fake-4", "real-1")):
        with Image.open(examples / f"{name}.jpg") as face:
            image.paste(face.resize((220, 220)), (40 + 290 * number, 40))
    file = tmp_path_factory.mktemp("faces") / "three.jpg"
    image.save(file, quality=92)
    return file


@pytest.fixture(scope="session")
def two_people(tmp_path_factory):
    """Six seconds: a generated face and a drawn one, both moving; after four seconds another scene with the first."""
    examples = ROOT / "hf_deepfake" / "page" / "examples"
    faces = [Image.open(examples / f"{name}.jpg").convert("RGB").resize((170, 170)) for name in ("fake-1", "real-1")]
    frames = []
    for number in range(60):
        frame = Image.new("RGB", (640, 360), (90, 110, 90) if number < 40 else (160, 150, 40))
        frame.paste(faces[0], (60 + number, 90))
        if number < 40:
            frame.paste(faces[1], (420 - number, 90))
        frames.append(frame)
    file = tmp_path_factory.mktemp("clips") / "two people.webm"
    file.write_bytes(encode(frames, "libvpx-vp9", "webm", rate=10, options={"deadline": "realtime", "crf": "20"}))
    return file


@pytest.fixture(scope="session")
def no_face(tmp_path_factory):
    """An even ground."""
    file = tmp_path_factory.mktemp("faces") / "wall.png"
    Image.new("RGB", (400, 300), (120, 130, 140)).save(file)
    return file


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Four drawn pairs, 128 px: a folder with `real` and `fake`."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_sample(folder, count=4, size=128, seed=3)
    return folder / "images"


@pytest.fixture(scope="session")
def text_file(tmp_path_factory):
    """A text that calls itself a JPEG."""
    file = tmp_path_factory.mktemp("text") / "notes.jpg"
    file.write_text("This is a text.\n" * 20, encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def open_page(browser, server):
    """Open the page in a window of its own; its `foreign` are the requests that went elsewhere."""
    contexts = []

    def start(viewport=DESKTOP, at=server, **options):
        contexts.append(browser.new_context(viewport=viewport, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.foreign = []
        page.on("request", lambda request: _note(page, request.url, at.url))
        page.goto(at.url)
        page.locator("#check .choose").wait_for()
        return page

    yield start
    for context in contexts:
        context.close()


def _note(page, url, home):
    if not url.startswith((home, "data:", "blob:")):
        page.foreign.append(url)


def pytest_collection_finish(session):
    """Stop before the first test where no browser is there; several workers are stopped by who started them."""
    if not hasattr(session.config, "workerinput") and not session.config.option.collectonly:
        require_browser(any("browser" in item.fixturenames for item in session.items))
