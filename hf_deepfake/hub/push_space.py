"""Push a Space with its model to the Hugging Face Hub, and this package with it, which no index has."""

import hashlib
import re
from pathlib import Path

from huggingface_hub import hf_hub_url

from hf_deepfake.hub.card import CARD_FILE
from hf_deepfake.hub.push import checkpoint_files
from hf_deepfake.hub.upload import PushResult, Sdk, check_target, sizes, upload
from hf_deepfake.hub.wheel import PACKAGE, pack_wheel

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

DOCKERFILE = "Dockerfile"

GRADIO_FACTS = r"(?m)^sdk: gradio\nsdk_version: .*\npython_version: .*\napp_file: .*\n"
"""What the card says of Gradio's SDK."""


def push_space(checkpoint: str | Path, repo_id: str, *, sdk: Sdk = "gradio", dry_run: bool = False) -> PushResult:
    """Publish a Space with a checkpoint, in one commit.

    Pushed are a card, the checkpoint as `checkpoint/`, a wheel of this package as it is installed here, which holds the
    page, and for Docker the Dockerfile; else the app and its requirements. With Gradio's SDK the Hub installs what
    requirements.txt names before it copies the Space's other files, so that a path would name nothing yet:
    `hf-deepfake` gets the URL of the wheel in the Space's own repository, and its SHA-256, so that a changed wheel is a
    changed line and is installed anew. The installation has no token, which is why the Space must be public.

    Args:
        checkpoint: folder of the checkpoint.
        repo_id: `owner/name`; the Space is made if need be.
        sdk: what runs it: the Hub's image for Gradio, or an image of its own, which can run elsewhere too.
        dry_run: say what would be pushed, and ask the Hub nothing.

    Returns:
        What was pushed, and where.

    Raises:
        InputError: the checkpoint is not whole, there is no token, the Space exists and is private, or the Hub cannot
            be reached or refuses. The same call can be repeated.
    """
    check_target(repo_id, dry_run)
    model = checkpoint_files(checkpoint)
    name, wheel = pack_wheel()
    url = hf_hub_url(repo_id, name, repo_type="space")
    card = (PACKAGE / "hub" / "space_card_template.md").read_text(encoding="utf-8")
    if sdk == "docker":
        card = re.sub(GRADIO_FACTS, "sdk: docker\napp_port: 7860\n", card)
        own = {DOCKERFILE: (PACKAGE / "hub" / DOCKERFILE).read_bytes()}
    else:
        line = f"{REQUIREMENT} @ {url}#sha256={hashlib.sha256(wheel).hexdigest()}\n"
        own = {APP_FILE: APP.encode(), REQUIREMENTS_FILE: line.encode()}
    files = {
        CARD_FILE: card.encode(),
        name: wheel,
        **own,
        **{f"{CHECKPOINT_FOLDER}/{name}": path for name, path in model.items()},
    }
    if dry_run:
        return PushResult(sizes(files))
    message = "Push the Space of hf_deepfake"
    old = ["*.whl", f"{CHECKPOINT_FOLDER}/*", DOCKERFILE, APP_FILE, REQUIREMENTS_FILE]
    return upload("space", repo_id, files, message=message, private=False, replaced=old, sdk=sdk)
