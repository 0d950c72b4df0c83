"""Push the Space with its model to the Hugging Face Hub, and this package with it, which no index has."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import hf_hub_url

from hf_deepfake.errors import InputError
from hf_deepfake.files import local_path
from hf_deepfake.hub.push import checkpoint_files
from hf_deepfake.hub.upload import PushResult, check_target, sizes, upload

REQUIREMENTS_FILE = "requirements.txt"
CHECKPOINT_FOLDER = "checkpoint"
"""Where the app looks for its checkpoint: beside itself."""


def push_space(
    checkpoint: str | Path, repo_id: str, *, space: str | Path = "space", dry_run: bool = False
) -> PushResult:
    """Publish the Space of a clone of this project with a checkpoint, in one commit.

    Pushed are the files of the Space's folder but hidden and generated ones, the checkpoint as `checkpoint/`, and a
    wheel of the clone's package. The Hub installs what requirements.txt names before it copies the Space's other
    files, so that a path would name nothing yet: the line `hf-deepfake` gets the URL of the wheel in the Space's own
    repository, and its SHA-256, so that a changed wheel is a changed line and is installed anew. The installation has
    no token, which is why the Space must be public.

    Args:
        checkpoint: folder of the checkpoint.
        repo_id: `owner/name`; the Space is made if need be.
        space: folder of the Space, in the root of a clone of this project.
        dry_run: say what would be pushed, and ask the Hub nothing.

    Returns:
        What was pushed, and where.

    Raises:
        InputError: the checkpoint or the Space's folder is not whole, the wheel cannot be built, there is no token,
            the Space exists and is private, or the Hub cannot be reached or refuses. The same call can be repeated.
    """
    check_target(repo_id, dry_run)
    model = checkpoint_files(checkpoint)
    folder = local_path(space).resolve()
    if not (folder / "app.py").is_file() or not (folder / REQUIREMENTS_FILE).is_file():
        raise InputError(
            f"{space} holds no app.py and requirements.txt; run this in a clone of hf-deepfake, or give --space"
        )
    with TemporaryDirectory() as scratch:
        wheel = _build_wheel(folder.parent, Path(scratch))
        files = {
            **_own_files(folder),
            REQUIREMENTS_FILE: _requirements(folder / REQUIREMENTS_FILE, wheel, repo_id).encode(),
            wheel.name: wheel,
            **{f"{CHECKPOINT_FOLDER}/{name}": path for name, path in model.items()},
        }
        if dry_run:
            return PushResult(sizes(files))
        message = "Push the Space of hf_deepfake"
        return upload(
            "space", repo_id, files, message=message, private=False, replaced=["*.whl", f"{CHECKPOINT_FOLDER}/*"]
        )


def _own_files(folder: Path) -> dict[str, bytes | Path]:
    """Files of the Space's folder by path, without a checkpoint that lies there for trying it out."""
    files: dict[str, bytes | Path] = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        generated = inside.parts[0] == CHECKPOINT_FOLDER or "__pycache__" in inside.parts
        if path.is_file() and not generated and not any(part.startswith(".") for part in inside.parts):
            files[inside.as_posix()] = path
    return files


def _build_wheel(root: Path, folder: Path) -> Path:
    """A wheel of the package whose source is at `root`."""
    if not (root / "pyproject.toml").is_file():
        raise InputError(f"{root} is no clone of hf-deepfake, so there is no package to push; give --space CLONE/space")
    words = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(root)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise InputError(
            f"the package at {root} cannot be built ({' '.join(reason)}); "
            'run pip install "build>=1.3" "setuptools>=77" and try again'
        )
    return wheels[0]


def _requirements(file: Path, wheel: Path, repo_id: str) -> str:
    """requirements.txt, with the wheel's URL after the name of this package."""
    url = hf_hub_url(repo_id, wheel.name, repo_type="space")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    text, found = re.subn(
        r"^(hf-deepfake(?:\[[\w,-]+\])?)\s*$",
        rf"\1 @ {url}#sha256={digest}",
        file.read_text(encoding="utf-8"),
        flags=re.M,
    )
    if found != 1:
        raise InputError(f"{file} must name hf-deepfake in one line of its own, such as hf-deepfake[space]; mend it")
    return text.rstrip() + "\n"
