"""Commands for the person who publishes: export, merge, push, push-space, push-data."""

from typing import Any

from hf_deepfake.cli.parser import Parser, add_command, add_options, text_of
from hf_deepfake.config import DataConfig, build
from hf_deepfake.files import local_name, local_path

EXPORT_EXAMPLES = """\
  hf-deepfake export runs/faces/checkpoint --data faces.zip --format openvino --int8
  hf-deepfake export runs/faces/checkpoint --data faces.zip --format onnx

The files lie in CHECKPOINT/backends. Up to 1,000 validation and training images show how far each runtime agrees
with torch in float32, which its report keeps; Detector's backend "auto" takes the fastest that agrees."""

MERGE_EXAMPLES = """\
  hf-deepfake merge runs/faces/adapter --base clip.safetensors --out runs/faces/merged
  hf-deepfake merge me/adapter

The checkpoint decides as the run's own did, if adapter and base are those that it was made of."""

PUSH_EXAMPLES = """\
  hf-deepfake push runs/faces/checkpoint me/detector --license cc-by-nc-4.0 --dry_run
  hf-deepfake push runs/faces/checkpoint me/detector --license cc-by-nc-4.0 --private

All files go up in one commit, or none does; after a failure the same command can be repeated."""

SPACE_EXAMPLES = """\
  hf-deepfake push-space runs/faces/checkpoint me/detector-space

The Space gets the page, the checkpoint, and this package as a wheel. It is public, and so is the checkpoint in it."""

DATA_EXAMPLES = """\
  hf-deepfake push-data faces.zip me/faces --license cc-by-nc-4.0 --private

Splits that share an image or a group are mended first, as for training; the data card says what was done."""


def register(commands: Any) -> None:
    """Add these commands to the parser."""
    export = add_command(
        commands,
        "export",
        "CHECKPOINT --data SOURCE... --format NAME",
        "write a checkpoint for a faster runtime, and check that it agrees",
        EXPORT_EXAMPLES,
        _export,
    )
    export.add_argument(
        "checkpoint", type=local_name, metavar="CHECKPOINT", help="folder of the checkpoint, with its report"
    )
    export.add_argument("--format", required=True, choices=("openvino", "onnx"), help="runtime")
    export.add_argument("--int8", action="store_true", help="also quantise, calibrated on training images")
    add_options(export, DataConfig)
    merge = add_command(
        commands, "merge", "ADAPTER", "make a checkpoint of an adapter and its base", MERGE_EXAMPLES, _merge
    )
    merge.add_argument("adapter", type=local_name, metavar="ADAPTER", help="folder, or owner/name on the Hub")
    merge.add_argument(
        "--base", type=local_path, metavar="WEIGHTS", help="file or folder of the base; default timm's, by its name"
    )
    merge.add_argument("--out", type=local_path, metavar="FOLDER", help="new folder (default ADAPTER-merged)")
    push = add_command(
        commands, "push", "CHECKPOINT OWNER/NAME --license NAME", "publish a checkpoint", PUSH_EXAMPLES, _push
    )
    push.add_argument(
        "checkpoint", type=local_name, metavar="CHECKPOINT", help="folder of the checkpoint, or of an adapter alone"
    )
    _add_target(push)
    _add_license(push)
    push.add_argument("--revision", metavar="BRANCH", help="branch to push to (default main)")
    push.add_argument("--create_pr", action="store_true", help="open a pull request instead")
    push.add_argument("--handler", action="store_true", help="also push handler.py, for Inference Endpoints")
    space = add_command(
        commands, "push-space", "CHECKPOINT OWNER/NAME", "publish the Space with a checkpoint", SPACE_EXAMPLES, _space
    )
    space.add_argument("checkpoint", type=local_name, metavar="CHECKPOINT", help="folder of the checkpoint")
    space.add_argument("--sdk", choices=("gradio", "docker"), default="gradio", help="what runs it (default gradio)")
    _add_target(space)
    data = add_command(
        commands, "push-data", "SOURCE OWNER/NAME --license NAME", "publish a leak-free split", DATA_EXAMPLES, _data
    )
    data.add_argument("data", metavar="SOURCE", help=text_of("data"))
    _add_target(data)
    _add_license(data)
    add_options(data, DataConfig, leave_out="data")


def _export(given: dict[str, Any]) -> int:
    """`hf-deepfake export`."""
    checkpoint, form, int8 = (given.pop(name) for name in ("checkpoint", "format", "int8"))
    config = build(DataConfig, given)
    from hf_deepfake.detect.agreement import export, summary
    from hf_deepfake.hub.render_checkpoint import render

    print(summary(export(checkpoint, config, form, int8=int8)))
    render(checkpoint)
    return 0


def _merge(given: dict[str, Any]) -> int:
    """`hf-deepfake merge`."""
    from hf_deepfake.hub.push_adapter import merge_adapter

    print(f"checkpoint  {merge_adapter(given.pop('adapter'), **given)}")
    return 0


def _add_target(command: Parser) -> None:
    """Where to push, and whether to push at all."""
    command.add_argument("repo_id", metavar="OWNER/NAME", help="repository on the Hub, made if need be")
    command.add_argument("--dry_run", action="store_true", help="list what would be pushed, and push nothing")


def _add_license(command: Parser) -> None:
    """The licence, which nobody but the user can choose, and who may see the repository."""
    command.add_argument("--license", required=True, metavar="NAME", help="the Hub's name of the licence")
    command.add_argument("--private", action="store_true", help="only the owner may see it")


def _push(given: dict[str, Any]) -> int:
    """`hf-deepfake push`."""
    from hf_deepfake.hub.push import push_to_hub

    print(push_to_hub(given.pop("checkpoint"), given.pop("repo_id"), **given).summary())
    return 0


def _space(given: dict[str, Any]) -> int:
    """`hf-deepfake push-space`."""
    from hf_deepfake.hub.push_space import push_space

    print(push_space(given.pop("checkpoint"), given.pop("repo_id"), **given).summary())
    return 0


def _data(given: dict[str, Any]) -> int:
    """`hf-deepfake push-data`."""
    target = {name: given.pop(name) for name in ("repo_id", "license", "private", "dry_run")}
    config = build(DataConfig, given)
    from hf_deepfake.hub.push_data import push_data

    print(push_data(config, **target).summary())
    return 0
