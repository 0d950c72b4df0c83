"""Files of a repository on the Hugging Face Hub, or why they cannot be had."""

import re
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import snapshot_download

HUB_PREFIX = "hf-hub:"
"""How timm marks the name of a repository among those of its own models."""


def is_repo(name: str) -> bool:
    """Whether a text can be the name of a repository, `owner/name`."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name) is not None


def fetch_repo(
    repo_id: str,
    files: Sequence[str],
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
) -> Path:
    """Fetch files of a model's repository; those that are in the cache and have not changed are not sent again.

    Args:
        repo_id: `owner/name`.
        files: names of the files; those that it does not hold are left out.
        revision: branch, tag or commit; by default main.
        token: of the Hub; by default the one that `hf auth login` or HF_TOKEN gave, False for none.
        cache_dir: where fetched files are kept; by default huggingface_hub's cache.

    Returns:
        Folder that holds the files.

    Raises:
        InputError: there is no such repository or revision, it is gated, or the Hub cannot be reached.
    """
    from hf_deepfake.data.hub_errors import hub_errors  # imports datasets, of which a local folder needs nothing

    with hub_errors(f"{repo_id} is no folder here and cannot be fetched from the Hugging Face Hub"):
        return Path(
            snapshot_download(repo_id, revision=revision, token=token, cache_dir=cache_dir, allow_patterns=list(files))
        )
