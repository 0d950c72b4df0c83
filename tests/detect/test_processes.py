"""Detectors across forks and at the end of Python."""

import multiprocessing
import os
import subprocess
import sys

import pytest
import torch
from PIL import Image

from hf_deepfake.detect.detector import BATCH_SIZE, Detector
from hf_deepfake.errors import InputError
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint
from hf_deepfake.runtimes.export import export_backend
from hf_deepfake.runtimes.variants import Variant

RUNTIMES = ["torch", "onnx", "openvino"]
"""All are tried in one process: its imports take most of the time."""

forks = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="nothing forks here")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint with files for both other runtimes, large enough that torch computes on several threads."""
    torch.manual_seed(0)
    model = build_model("resnet10t", image_size=64, pretrained="off").eval()
    folder = export_checkpoint(model, tmp_path_factory.mktemp("processes") / "checkpoint", image_size=64)
    for form in ("onnx", "openvino"):
        export_backend(load_checkpoint(folder).model, 64, folder, form)
    return folder


FORK = """
import multiprocessing, sys
from PIL import Image
from hf_deepfake import Detector
from hf_deepfake.runtimes.variants import Variant
import torch

torch.set_num_threads(2)
image = Image.new("RGB", (64, 64))

def child(runtime, make, detector, expected):
    assert [one.label for one in detector([image] * 4)] == [one.label for one in expected]
    assert detector.explain(image).verdict.label == expected[0].label
    assert [one.label for one in make()([image] * 4)] == [one.label for one in expected]
    print(runtime, "answered", flush=True)

for runtime in sys.argv[2:]:
    make = lambda: Detector.from_pretrained(sys.argv[1], device="cpu", backend=Variant(runtime, "fp32"))
    detector = make()
    given = (runtime, make, detector, detector([image] * 4))
    process = multiprocessing.get_context("fork").Process(target=child, args=given)
    process.start()
    process.join(100)
    process.kill()
"""


@forks
@pytest.mark.slow
def test_a_detector_answers_in_the_child_of_a_fork(folder):
    command = [sys.executable, "-W", "ignore", "-c", FORK, str(folder), *RUNTIMES]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout.splitlines(), done.stderr) == ([f"{runtime} answered" for runtime in RUNTIMES], "")


@pytest.mark.slow
def test_on_a_gpu_it_says_what_to_do(folder, monkeypatch):
    detector = Detector.from_pretrained(folder, device="cpu", backend="torch")
    detector.device = torch.device("cuda")
    monkeypatch.setattr("os.getpid", lambda: -1)
    for call in (detector, detector.explain):
        with pytest.raises(InputError, match="which cuda does not survive; make it in the child"):
            call(Image.new("RGB", (64, 64)))


@pytest.mark.slow
def test_a_stream_does_not_go_on_in_the_child(folder, monkeypatch):
    stream = Detector.from_pretrained(folder, device="cpu", backend="torch").stream(
        Image.new("RGB", (64, 64)) for _ in range(4 * BATCH_SIZE)
    )
    for _ in range(BATCH_SIZE):
        next(stream)
    monkeypatch.setattr("os.getpid", lambda: -1)
    with pytest.raises(InputError, match="begin a stream in the child"):
        next(stream)


END = """
import atexit, os, sys, threading
from pathlib import Path
from hf_deepfake.detect.backends import OpenVinoBackend
import openvino, torch

for how in sys.argv[2:]:
    child = os.fork()  # while nothing but imports was done; each child comes to the end of this program
    if child == 0:
        break
    print(how, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()

backend = OpenVinoBackend(Path(sys.argv[1]), "fp32")
backend(torch.zeros(1, 3, 64, 64))
if how == "exit":
    sys.exit(0)
if how == "cycle":
    backend.itself = backend
if how == "atexit":
    atexit.register(lambda: globals().pop("backend"))
if how == "thread":
    threading.Thread(target=lambda backend: None, args=[backend]).start()
if how == "daemon":
    threading.Thread(target=lambda backend: threading.Event().wait(), args=[backend], daemon=True).start()
if how == "error":
    sys.excepthook = lambda *_: None
    raise ValueError
"""


ENDINGS = ["plain", "exit", "cycle", "atexit", "thread", "daemon", "error"]


@forks
@pytest.mark.slow
def test_python_ends_in_silence_while_one_is_alive(folder):
    command = [sys.executable, "-c", END, str(folder / "backends" / "openvino_fp32.xml"), *ENDINGS]
    # OpenVINO's telemetry, which CI switches off, is a process of the one that imports it, and no child's to join.
    quiet = os.environ | {"CI": "true"}
    done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=True)
    assert (done.stdout.splitlines(), done.stderr) == ([f"{how} {int(how == 'error')}" for how in ENDINGS], "")


def test_a_dropped_model_leaves_its_thread(folder):
    backend = Detector.from_pretrained(folder, device="cpu", backend=Variant("openvino", "fp32"))._backend
    thread, requests = backend._thread, backend._requests  # ty: ignore[unresolved-attribute]
    del backend
    thread.shutdown(wait=True)
    assert requests == []


ENDS = """
import os, sys
from PIL import Image
from hf_deepfake import Detector
from hf_deepfake.runtimes.variants import Variant

image = Image.new("RGB", (64, 64))
for runtime in sys.argv[2:]:
    detector = Detector.from_pretrained(sys.argv[1], device="cpu", backend=Variant(runtime, "fp32"))
    detector(image)
    for evaluates in (True, False):
        child = os.fork()
        if child == 0:
            if evaluates:
                detector(image)
            sys.exit(0)
        print(runtime, evaluates, os.waitpid(child, 0)[1], flush=True)
"""


@forks
@pytest.mark.slow
def test_a_child_that_ends_as_python_does_ends_well(folder):
    command = [sys.executable, "-W", "ignore", "-c", ENDS, str(folder), *RUNTIMES]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    expected = [f"{runtime} {evaluates} 0" for runtime in RUNTIMES for evaluates in (True, False)]
    assert (done.stdout.splitlines(), done.stderr) == (expected, "")


OUTLIVES = """
import sys, threading
from PIL import Image
from hf_deepfake import Detector
from hf_deepfake.runtimes.variants import Variant

image = Image.new("RGB", (64, 64))

def work(detector):
    threading.main_thread().join()
    print(len(detector([image] * 3)), flush=True)

for runtime in sys.argv[2:]:
    detector = Detector.from_pretrained(sys.argv[1], device="cpu", backend=Variant(runtime, "fp32"))
    threading.Thread(target=work, args=[detector]).start()
"""


@pytest.mark.slow
def test_a_thread_that_outlives_the_main_one_evaluates(folder):
    command = [sys.executable, "-W", "ignore", "-c", OUTLIVES, str(folder), *RUNTIMES]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    assert (done.stdout.split(), done.stderr) == (["3"] * len(RUNTIMES), "")
