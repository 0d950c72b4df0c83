"""Measure how fast verdicts come, side by side with others' ways to serve the same checkpoint.

    python benchmarks/serving.py --data faces.zip --output benchmarks/serving.json

The bundled model, or another checkpoint, is served in every way in turn, several times in one run, from files on disk
to verdicts. "As installed" is `Detector` without any option, which finds faces, and with `faces="off"`; then come
single runtimes without faces. Peers, none of which looks for faces: `pipeline("image-classification")` as its
documentation calls it, one image at a time and in batches; and timm's own transform and model in plain float32, with
channels_last, compiled, in bfloat16, and on ONNX Runtime. Cold start is a new process, from its imports to its first
verdict.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime
import torch
from datasets import Image
from PIL import Image as PILImage
from transformers import pipeline

from hf_deepfake.config import DataConfig
from hf_deepfake.detect.detector import Detector
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.evaluate import load_split
from hf_deepfake.files import write_json
from hf_deepfake.machine import BF16_FLAGS, cpu_flags, cpu_name, usable_cores
from hf_deepfake.models.checkpoint import LoadedCheckpoint, load_checkpoint
from hf_deepfake.runtimes.export import FORMATS, backend_file, export_backend
from hf_deepfake.runtimes.variants import Variant

BATCH = 16
"""Images of a peer's batch; more makes none of them faster on two cores."""

PIPELINE = "pipeline, one at a time"
"""What all others are held against: a user's first try."""

COLD = {
    "pipeline": "from transformers import pipeline\n"
    "pipeline('image-classification', model=sys.argv[1], device='cpu')(sys.argv[2])",
    "Detector as installed": "from hf_deepfake import Detector\n"
    "Detector.from_pretrained(sys.argv[1], device='cpu')(sys.argv[2])",
    "Detector, torch, no faces": "from hf_deepfake import Detector\n"
    "Detector.from_pretrained(sys.argv[1], device='cpu', faces='off', backend='torch')(sys.argv[2])",
}

Serve = Callable[[Sequence[str]], Any]


def copy_with_exports(checkpoint: str, folder: Path) -> LoadedCheckpoint:
    """A copy of a checkpoint with all it has, and files of both runtimes in float32."""
    shutil.copytree(checkpoint, folder)
    loaded = load_checkpoint(folder)
    for form in FORMATS:
        export_backend(loaded.model, side_of(loaded), folder, form)
    return loaded


def side_of(loaded: LoadedCheckpoint) -> int:
    """Side of the input, px."""
    return loaded.config["pretrained_cfg"]["input_size"][-1]


def peers(loaded: LoadedCheckpoint) -> dict[str, Serve]:
    """Others' ways."""
    classify = pipeline("image-classification", model=str(loaded.folder), device="cpu")
    model, last = loaded.model, deepcopy(loaded.model).to(memory_format=torch.channels_last)
    ways: dict[str, Callable[[torch.Tensor], Any]] = {
        "timm, float32": model,
        "timm, channels_last": lambda x: last(x.to(memory_format=torch.channels_last)),
    }
    if cpu_flags() & BF16_FLAGS:
        ways["timm, channels_last, bfloat16"] = lambda x: _in_bfloat16(last, x)
    compiled: Any = torch.compile(last)
    ways["timm, channels_last, compiled"] = lambda x: compiled(x.to(memory_format=torch.channels_last))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    session = onnxruntime.InferenceSession(backend_file(loaded.folder, "onnx", False), options)
    ways["timm's transform, ONNX Runtime"] = lambda x: torch.from_numpy(
        np.asarray(session.run(["logits"], {"pixels": x.numpy()})[0])
    )

    def serve(call: Callable[[torch.Tensor], Any]) -> Serve:
        """Files to probabilities in batches."""

        def judge(files: Sequence[str]) -> None:
            for start in range(0, len(files), BATCH):
                images = [loaded.transform(PILImage.open(file).convert("RGB")) for file in files[start : start + BATCH]]
                with torch.inference_mode():
                    call(torch.stack(images)).softmax(dim=1).tolist()

        return judge

    return {
        PIPELINE: lambda files: [classify(file) for file in files],
        f"pipeline, batches of {BATCH}": lambda files: classify(list(files), batch_size=BATCH),
        **{name: serve(call) for name, call in ways.items()},
    }


def _in_bfloat16(model: torch.nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """Logits under autocast."""
    with torch.autocast("cpu", torch.bfloat16):
        return model(pixels.to(memory_format=torch.channels_last)).float()


def detectors(loaded: LoadedCheckpoint) -> dict[str, Detector]:
    """This package's ways."""
    reduced = ["bf16"] if cpu_flags() & BF16_FLAGS else []
    int8 = ["int8"] if backend_file(loaded.folder, "openvino", True).is_file() else []
    found = {"torch": ["fp32", *reduced], "openvino": ["fp32", *reduced, *int8], "onnx": ["fp32"]}
    variants = [Variant(runtime, precision) for runtime, all_ in found.items() for precision in all_]
    return {
        "Detector as installed": Detector(loaded, "cpu"),
        "Detector as installed, faces off": Detector(loaded, "cpu", "off"),
        **{f"Detector, {variant}, faces off": Detector(loaded, "cpu", "off", variant) for variant in variants},
    }


def seconds(call: Callable[[], Any]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def cold_starts(folder: Path, file: str, repeats: int) -> dict[str, dict[str, list[float]]]:
    """Seconds and MB of new processes, in turn."""
    # Not getrusage: its peak is inherited from the process that starts this one.
    code = (
        "import re, sys, time\nbegan = time.perf_counter()\n{}\nseconds = time.perf_counter() - began\n"
        "print(seconds, int(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]) / 1024)"
    )
    found: dict[str, dict[str, list[float]]] = {name: {"seconds": [], "megabytes": []} for name in COLD}
    for _ in range(repeats):
        for name, lines in COLD.items():
            command = [sys.executable, "-c", code.replace("{}", lines), str(folder), file]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            for kind, value in zip(("seconds", "megabytes"), done.stdout.split()[-2:], strict=True):
                found[name][kind].append(float(value))
    return found


def run(words: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    files = load_split(DataConfig(data=(words.data,)), "train")[0]["train"]
    if len(files) < words.images:
        raise InputError(f"{words.data} has {len(files)} training images; {words.images} are needed")
    chosen = np.random.default_rng(0).permutation(len(files))[: words.images]
    images = files.select(chosen).cast_column("image", Image(decode=False))["image"]
    files = [image["path"] for image in images]
    with tempfile.TemporaryDirectory() as folder:
        loaded = copy_with_exports(words.checkpoint, Path(folder) / "checkpoint")
        mine = detectors(loaded)
        ways: dict[str, Serve] = {**peers(load_checkpoint(loaded.folder)), **mine}
        throughput: dict[str, list[float]] = {name: [] for name in ways}
        latency: dict[str, list[float]] = {name: [] for name in ways}
        with_map: dict[str, list[float]] = {name: [] for name in mine}
        for name, serve in ways.items():  # first calls compile
            serve(files[:BATCH])
            serve(files[:1])
            print(f"ready: {name}", flush=True)
        for repeat in range(words.repeats):
            for name, serve in ways.items():
                throughput[name].append(len(files) / seconds(lambda serve=serve: serve(files)))
                single = [seconds(lambda serve=serve, file=file: serve([file])) for file in files[:20]]
                latency[name].append(1000 * median(single))
                if name in mine:
                    maps = [seconds(lambda name=name, file=file: mine[name].explain(file)) for file in files[:20]]
                    with_map[name].append(median(maps) / median(single))
            print(f"repeat {repeat + 1} done", flush=True)
        cold = cold_starts(loaded.folder, files[0], words.repeats)
    return {
        "model": loaded.config["architecture"],
        "image_size": side_of(loaded),
        "images": len(files),
        "as_installed": str(mine["Detector as installed"].backend),
        "machine": cpu_name(),
        "cores": usable_cores(),
        "flags": sorted(flag for flag in cpu_flags() if flag.startswith(("avx512_", "amx", "avx512f"))),
        "torch": torch.__version__,
        "images_per_second": throughput,
        "single_ms": latency,
        "map_over_verdict": with_map,
        "cold_start": cold,
    }


def table(result: dict[str, Any]) -> str:
    """The figures as Markdown: medians, and in brackets least and greatest of the repeats."""
    speed, single, maps = (result[key] for key in ("images_per_second", "single_ms", "map_over_verdict"))

    def spread(values: Sequence[float], digits: int) -> str:
        return f"{median(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"

    lines = ["| | images/s | over pipeline | one image, ms | with its map, over without |", "|---|---|---|---|---|"]
    for name, values in speed.items():
        ratios = [mine / theirs for mine, theirs in zip(values, speed[PIPELINE], strict=True)]
        mapped = spread(maps[name], 2) if name in maps else ""
        lines.append(f"| {name} | {spread(values, 1)} | {spread(ratios, 1)} | {spread(single[name], 1)} | {mapped} |")
    lines += ["", "| Cold start | seconds | MB |", "|---|---|---|"]
    for name, one in result["cold_start"].items():
        lines.append(f"| {name} | {spread(one['seconds'], 1)} | {spread(one['megabytes'], 0)} |")
    head = f"{result['model']}, {result['image_size']} px, {result['images']} images, {result['machine']}"
    return "\n".join([f"{head}, {result['cores']} cores ({', '.join(result['flags'])})", "", *lines])


def main() -> int:
    """Parse the command line; see the module's description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="any source of hf-deepfake")
    parser.add_argument("--checkpoint", default="space/checkpoint", help="folder (default: the bundled model)")
    parser.add_argument(
        "--images", type=int, default=128, help="images served each time, a multiple of 16 (default 128)"
    )
    parser.add_argument("--repeats", type=int, default=3, help="times that all are run (default 3)")
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
