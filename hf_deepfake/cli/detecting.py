"""Commands for the person who evaluates images: predict, inspect, crop, serve."""

import os
from importlib.util import find_spec
from typing import Any

from hf_deepfake.cli.parser import Parser, add_command
from hf_deepfake.errors import InputError
from hf_deepfake.files import local_name, local_path, make_folder, replacing, try_file, try_folder

PREDICT_EXAMPLES = """\
  hf-deepfake predict photo.jpg --checkpoint runs/faces/checkpoint
  hf-deepfake predict inbox/ "more/**/*.png" --checkpoint owner/name --csv --out verdicts.csv
  hf-deepfake predict photo.jpg --checkpoint runs/faces/checkpoint --explain maps
  hf-deepfake predict clip.mp4 --checkpoint owner/name --every 1 --explain pages     (a page with timeline and faces)
  accelerate launch --multi_gpu --num_processes 4 scripts/predict.py packed/ --checkpoint owner/name --json --out OUT

The exit code is 0 whatever the verdicts; a file that does not open has its error in its place. With --out, the same
command goes on from where it was stopped, with any number of processes. A data set of the Hub, or parquet files with
images inside, are read as they are evaluated."""

LAUNCH = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1}
"""What `accelerate launch` tells each process in its environment, and what holds without a launch."""


INSPECT_EXAMPLES = """\
  hf-deepfake inspect photo.jpg
  hf-deepfake inspect photo.jpg --out views.png
  hf-deepfake inspect photo.jpg --out views.png --checkpoint runs/faces/checkpoint     (with the model's map)

Nothing of this changes a score. Content Credentials are read with pip install "hf-deepfake[c2pa]"."""

CROP_EXAMPLES = """\
  hf-deepfake crop photos.zip photos_cropped
  hf-deepfake crop photos/ photos_cropped --checkpoint runs/faces/checkpoint
  hf-deepfake crop FaceForensics++/ ff_cropped --frames 16

A folder with more videos than images is one of clips: frames of each are cropped to the face that is largest over time.
The crops lie as in the training images of the checkpoint, or else as in the DFDC competition's face crops. The same
command goes on from where it was stopped; crop.json in the new folder says what was left out."""

SERVE_EXAMPLES = """\
  hf-deepfake serve --checkpoint runs/faces/checkpoint
  hf-deepfake serve --checkpoint owner/name --host 0.0.0.0 --port 8080     (for others in the network, too)
  hf-deepfake serve --checkpoint owner/name --root_path /faces --rate 30   (behind a proxy)
  curl --data-binary @face.jpg http://127.0.0.1:7860/predict

Beside the page there are POST /predict, an MCP tool at /gradio_api/mcp/, and GET /health, /ready and /metrics. Logs are
JSON lines on standard error. On SIGTERM what runs is finished, and the exit code is 0. It needs
pip install "hf-deepfake[space]"."""


def register(commands: Any) -> None:
    """Add these commands to the parser."""
    predict = add_command(
        commands,
        "predict",
        "FILE...",
        "evaluate images and videos, in files or data sets",
        PREDICT_EXAMPLES,
        _predict,
    )
    predict.add_argument(
        "files",
        nargs="+",
        type=local_name,
        metavar="FILE",
        help="an image, a video, a folder, a pattern, parquet, or OWNER/NAME",
    )
    _add_checkpoint(predict)
    form = predict.add_mutually_exclusive_group()
    form.add_argument(
        "--json", dest="form", action="store_const", const="json", default="text", help="one JSON object a line"
    )
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="CSV with a header")
    predict.add_argument("--out", metavar="FILE", type=local_path, help="write there, and go on where it ends")
    predict.add_argument(
        "--explain",
        metavar="DIR",
        type=local_path,
        help="save what speaks for each verdict, of a video a page",
    )
    sampling = predict.add_mutually_exclusive_group()
    sampling.add_argument(
        "--frames", metavar="N", type=int, help="of a video, how many frames to evaluate, evenly (default 16)"
    )
    sampling.add_argument("--every", metavar="S", type=float, help="of a video, evaluate a frame every S seconds")
    predict.add_argument(
        "--faces",
        choices=("auto", "off"),
        default="auto",
        help="find faces and evaluate each, or take every image for a face crop (default auto)",
    )
    predict.add_argument("--device", metavar="NAME", help="torch device (default: the GPU where there is one)")
    look = add_command(
        commands, "inspect", "IMAGE", "show what a file says of its past, and views of it", INSPECT_EXAMPLES, _inspect
    )
    look.add_argument("image", type=local_name, metavar="IMAGE", help="an image")
    look.add_argument(
        "--out", metavar="FILE", type=local_path, help="PNG for the views: error level, noise and spectrum"
    )
    look.add_argument("--checkpoint", type=local_name, metavar="CHECKPOINT", help="whose map to show beside the views")
    crop = add_command(
        commands, "crop", "SOURCE TARGET", "crop a data set to its faces as training images are", CROP_EXAMPLES, _crop
    )
    crop.add_argument(
        "source", type=local_name, metavar="SOURCE", help="folder or zip with class folders; or a folder of videos"
    )
    crop.add_argument("target", metavar="TARGET", type=local_path, help="folder for the crops")
    crop.add_argument(
        "--checkpoint", type=local_name, metavar="CHECKPOINT", help="whose margin around the face to take"
    )
    crop.add_argument("--frames", type=int, metavar="N", help="of each video, evenly in time (default 16)")
    crop.add_argument("--workers", type=int, metavar="N", help="processes that read videos (default: one a core)")
    serve = add_command(
        commands, "serve", "--checkpoint CHECKPOINT", "serve page, API and MCP tool", SERVE_EXAMPLES, _serve
    )
    _add_checkpoint(serve)
    serve.add_argument("--host", metavar="NAME", help="address to listen at (default 127.0.0.1: this machine alone)")
    serve.add_argument("--port", metavar="N", type=int, help="port to listen at (default: the first free from 7860 on)")
    serve.add_argument("--root_path", metavar="PATH", help="path under which a proxy shows it, such as /faces")
    limits = serve.add_argument_group("limits")
    limits.add_argument("--megabytes", metavar="N", type=int, help="largest image, MB (default 20, which is the most)")
    limits.add_argument("--concurrency", metavar="N", type=int, help="images evaluated at the same time (default 1)")
    limits.add_argument("--waiting", metavar="N", type=int, help="images that may wait beside those (default 20)")
    limits.add_argument("--rate", metavar="N", type=int, help="calls of one client in a minute (default: any number)")


def _add_checkpoint(command: Parser) -> None:
    """The option that names a checkpoint."""
    command.add_argument(
        "--checkpoint",
        type=local_name,
        metavar="CHECKPOINT",
        default=os.environ.get("HF_DEEPFAKE_CHECKPOINT"),
        help="folder, or owner/name on the Hub (default $HF_DEEPFAKE_CHECKPOINT)",
    )


def _need_checkpoint(given: dict[str, Any]) -> None:
    """Say so where neither the option nor the environment names a checkpoint."""
    if not given["checkpoint"]:
        raise InputError("no checkpoint given; add --checkpoint with a folder or owner/name on the Hub")


def _predict(given: dict[str, Any]) -> int:
    """`hf-deepfake predict`."""
    _need_checkpoint(given)
    if given["out"]:
        try_file(given["out"])
    if given["explain"]:
        try_folder(given["explain"])
    from torch import accelerator

    from hf_deepfake.detect.batch_predict import predict
    from hf_deepfake.detect.detector import Detector
    from hf_deepfake.detect.units import find_units
    from hf_deepfake.machine import best_device, take_cores

    launch = {name: int(os.environ.get(name, str(alone))) for name, alone in LAUNCH.items()}
    device = given["device"]
    found = best_device().type
    if launch["LOCAL_WORLD_SIZE"] > 1 and device is None and found != "cpu":
        device = f"{found}:{launch['LOCAL_RANK'] % accelerator.device_count()}"
    elif found == "cpu":
        take_cores(launch["LOCAL_WORLD_SIZE"], launch["LOCAL_RANK"])
    units = find_units(given["files"])
    detector = Detector.from_pretrained(given["checkpoint"], device=device, faces=given["faces"])
    sampling = {name: given[name] for name in ("frames", "every") if given[name] is not None}
    options = {"form": given["form"], "out": given["out"], "explanations": given["explain"], "sampling": sampling}
    for line in predict(detector, units, **options, process=launch["RANK"], processes=launch["WORLD_SIZE"]):
        print(line)
    return 0


def _inspect(given: dict[str, Any]) -> int:
    """`hf-deepfake inspect`."""
    from hf_deepfake.detect.detector import Detector
    from hf_deepfake.forensics.inspect import inspect_image
    from hf_deepfake.forensics.views import draw_views

    if given["checkpoint"] and not given["out"]:
        raise InputError("--checkpoint adds a map to the views, and there are none; add --out")
    if given["out"]:
        try_file(given["out"])
    found = inspect_image(given["image"])
    print(found.summary())
    if given["out"]:
        views = {"Image": found.image}
        if given["checkpoint"]:
            explanation = Detector.from_pretrained(given["checkpoint"]).explain(given["image"])
            views[f"Map of the verdict {explanation.verdict.label}"] = explanation.shaded
        make_folder(given["out"].parent)
        with replacing(given["out"]) as temporary:
            draw_views(views | found.views).save(temporary, "PNG")
        print(f"\nviews  {given['out']}")
    return 0


def _crop(given: dict[str, Any]) -> int:
    """`hf-deepfake crop`."""
    from hf_deepfake.curate.crop_images import DFDC_MARGIN, crop_set
    from hf_deepfake.curate.crop_videos import FRAMES, crop_clips
    from hf_deepfake.data.clips import holds_clips
    from hf_deepfake.models.checkpoint import load_checkpoint

    margin: Any = DFDC_MARGIN
    if given["checkpoint"]:
        margin = load_checkpoint(given["checkpoint"]).face_margin
        if margin is None:
            raise InputError(f"{given['checkpoint']} states no margin around the face; leave out --checkpoint")
    source, target, frames, workers = (given[name] for name in ("source", "target", "frames", "workers"))
    if local_path(source).is_dir() and holds_clips(local_path(source)):
        frames = FRAMES if frames is None else frames
        print(crop_clips(source, target, margin=margin, frames=frames, workers=workers).summary())
    elif frames is not None or workers is not None:
        raise InputError(f"{source} is no folder of videos, for which --frames and --workers are; leave them out")
    else:
        print(crop_set(source, target, margin=margin).summary())
    return 0


def _serve(given: dict[str, Any]) -> int:
    """`hf-deepfake serve`."""
    _need_checkpoint(given)
    if find_spec("gradio") is None:
        raise InputError('the page needs gradio, which is not installed; run pip install "hf-deepfake[space]"')
    from hf_deepfake.page.keep import end_on_signals

    end_on_signals()
    try:
        from hf_deepfake.page.blocks import build_page, serve
        from hf_deepfake.page.json_lines import log_as_json
        from hf_deepfake.page.limits import Limits

        log_as_json()
        names = ("megabytes", "concurrency", "waiting", "rate")
        limits = Limits(**{name: given[name] for name in names if given[name] is not None})
        serve(build_page(given["checkpoint"], limits), given["host"], given["port"], given["root_path"])
    except KeyboardInterrupt:  # told to end while it began: there is nothing to finish
        pass
    return 0
