"""Detectors across forks and at the end of Python."""

import multiprocessing
import subprocess
import sys

import pytest
import torch
from PIL import Image

from hf_deepfake.detect.backends import Variant
from hf_deepfake.detect.detector import BATCH_SIZE, Detector
from hf_deepfake.errors import InputError
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint
from hf_deepfake.runtimes.export import export_backend

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
from hf_deepfake.detect.backends import Variant
import torch

torch.set_num_threads(2)
make = lambda: Detector.from_pretrained(sys.argv[1], device="cpu", backend=Variant(sys.argv[2], "fp32"))
detector, image = make(), Image.new("RGB", (64, 64))
expected = detector([image] * 4)

def child():
    assert [one.label for one in detector([image] * 4)] == [one.label for one in expected]
    assert detector.explain(image).verdict.label == expected[0].label
    assert [one.label for one in make()([image] * 4)] == [one.label for one in expected]
    print("answered", flush=True)

process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join(100)
process.kill()
"""


@forks
@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["torch", "onnx", "openvino"])
def test_a_detector_answers_in_the_child_of_a_fork(runtime, folder):
    command = [sys.executable, "-W", "ignore", "-c", FORK, str(folder), runtime]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("answered\n", "")


def test_on_a_gpu_it_says_what_to_do(folder, monkeypatch):
    detector = Detector.from_pretrained(folder, device="cpu", backend="torch")
    detector.device = torch.device("cuda")
    monkeypatch.setattr("os.getpid", lambda: -1)
    for call in (detector, detector.explain):
        with pytest.raises(InputError, match="make the detector in the child, or start children with spawn"):
            call(Image.new("RGB", (64, 64)))


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
import atexit, sys, threading
from pathlib import Path
from PIL import Image
from hf_deepfake.detect.backends import OpenVinoBackend
import torch

backend = OpenVinoBackend(Path(sys.argv[1]), "fp32")
backend(torch.zeros(1, 3, 64, 64))
how = sys.argv[2]
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


@pytest.mark.slow
@pytest.mark.parametrize("how", ["plain", "exit", "cycle", "atexit", "thread", "daemon", "error"])
def test_python_ends_in_silence_while_one_is_alive(how, folder):
    command = [sys.executable, "-c", END, str(folder / "backends" / "openvino_fp32.xml"), how]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (int(how == "error"), "")


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
from hf_deepfake.detect.backends import Variant

detector = Detector.from_pretrained(sys.argv[1], device="cpu", backend=Variant(sys.argv[2], "fp32"))
image = Image.new("RGB", (64, 64))
detector(image)
child = os.fork()
if child == 0:
    if sys.argv[3] == "evaluates":
        detector(image)
    sys.exit(0)
print(os.waitpid(child, 0)[1])
"""


@forks
@pytest.mark.slow
@pytest.mark.parametrize("what", ["evaluates", "does nothing"])
@pytest.mark.parametrize("runtime", ["torch", "onnx", "openvino"])
def test_a_child_that_ends_as_python_does_ends_well(runtime, what, folder):
    command = [sys.executable, "-W", "ignore", "-c", ENDS, str(folder), runtime, what]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    assert (done.stdout, done.stderr) == ("0\n", "")


OUTLIVES = """
import sys, threading
from PIL import Image
from hf_deepfake import Detector
from hf_deepfake.detect.backends import Variant

detector = Detector.from_pretrained(sys.argv[1], device="cpu", backend=Variant(sys.argv[2], "fp32"))
image = Image.new("RGB", (64, 64))

def work():
    threading.main_thread().join()
    print(len(detector([image] * 3)), flush=True)

threading.Thread(target=work).start()
"""


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["torch", "onnx", "openvino"])
def test_a_thread_that_outlives_the_main_one_evaluates(runtime, folder):
    command = [sys.executable, "-W", "ignore", "-c", OUTLIVES, str(folder), runtime]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    assert (done.stdout, done.stderr) == ("3\n", "")
