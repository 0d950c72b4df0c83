"""Push a Space with its model to the Hugging Face Hub, and this package with it, which no index has."""

import base64
import hashlib
import io
import zipfile
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath

from huggingface_hub import hf_hub_url

from hf_deepfake.hub.card import CARD_FILE
from hf_deepfake.hub.push import checkpoint_files
from hf_deepfake.hub.upload import PushResult, check_target, sizes, upload

APP_FILE = "app.py"
APP = '''\
"""The Space: the page of hf_deepfake, with the checkpoint beside this file unless HF_DEEPFAKE_CHECKPOINT names one."""

import os
import sys
from pathlib import Path

from hf_deepfake.cli.main import main

if __name__ == "__main__":
    checkpoint = os.environ.get("HF_DEEPFAKE_CHECKPOINT", str(Path(__file__).parent / "checkpoint"))
    sys.exit(main(["serve", "--checkpoint", checkpoint]))
'''
CHECKPOINT_FOLDER = "checkpoint"
"""Where the app looks for its checkpoint: beside itself."""

REQUIREMENTS_FILE = "requirements.txt"
REQUIREMENT = "hf-deepfake[space]"

PACKAGE = Path(__file__).parents[1]
WHEEL = "Wheel-Version: 1.0\nGenerator: hf_deepfake\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def push_space(checkpoint: str | Path, repo_id: str, *, dry_run: bool = False) -> PushResult:
    """Publish a Space with a checkpoint, in one commit.

    Pushed are the app, its requirements and its card, the checkpoint as `checkpoint/`, and a wheel of this package as
    it is installed here, which holds the page. The Hub installs what requirements.txt names before it copies the
    Space's other files, so that a path would name nothing yet: `hf-deepfake` gets the URL of the wheel in the Space's
    own repository, and its SHA-256, so that a changed wheel is a changed line and is installed anew. The installation
    has no token, which is why the Space must be public.

    Args:
        checkpoint: folder of the checkpoint.
        repo_id: `owner/name`; the Space is made if need be.
        dry_run: say what would be pushed, and ask the Hub nothing.

    Returns:
        What was pushed, and where.

    Raises:
        InputError: the checkpoint is not whole, there is no token, the Space exists and is private, or the Hub cannot
            be reached or refuses. The same call can be repeated.
    """
    check_target(repo_id, dry_run)
    model = checkpoint_files(checkpoint)
    name, wheel = _pack_wheel()
    url = hf_hub_url(repo_id, name, repo_type="space")
    files = {
        APP_FILE: APP.encode(),
        CARD_FILE: (PACKAGE / "hub" / "space_card_template.md").read_bytes(),
        REQUIREMENTS_FILE: f"{REQUIREMENT} @ {url}#sha256={hashlib.sha256(wheel).hexdigest()}\n".encode(),
        name: wheel,
        **{f"{CHECKPOINT_FOLDER}/{name}": path for name, path in model.items()},
    }
    if dry_run:
        return PushResult(sizes(files))
    message = "Push the Space of hf_deepfake"
    return upload("space", repo_id, files, message=message, private=False, replaced=["*.whl", f"{CHECKPOINT_FOLDER}/*"])


def _pack_wheel() -> tuple[str, bytes]:
    """Name and content of a wheel of this package as it is installed; the same package gives the same bytes.

    Of what the installer noted, only what the package states of itself goes in: the rest names folders here.
    """
    installed = distribution("hf-deepfake")
    home = f"hf_deepfake-{installed.version}.dist-info"
    inside = {path.relative_to(PACKAGE.parent): path for path in sorted(PACKAGE.rglob("*")) if path.is_file()}
    files = {
        name.as_posix(): path.read_bytes()
        for name, path in inside.items()
        if not any(part == "__pycache__" or part.startswith(".") for part in name.parts)
    }
    stated = installed.read_text("METADATA") or installed.read_text("PKG-INFO") or ""
    files |= {f"{home}/METADATA": stated.encode(), f"{home}/WHEEL": WHEEL.encode()}
    files[f"{home}/entry_points.txt"] = (installed.read_text("entry_points.txt") or "").encode()
    files |= {
        f"{home}/{PurePosixPath(*path.parts[1:])}": Path(path.locate()).read_bytes()
        for path in installed.files or ()
        if path.parts[1:2] == ("licenses",)
    }
    lines = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{home}/RECORD"] = "\n".join([*lines, f"{home}/RECORD,,", ""]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)  # of a fixed date
    return f"hf_deepfake-{installed.version}-py3-none-any.whl", packed.getvalue()


def _digest(content: bytes) -> str:
    """SHA-256 as a wheel's RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
