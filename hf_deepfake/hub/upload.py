"""The one way to the Hugging Face Hub: a repository, and one commit that makes its files visible together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from hf_deepfake.data.hub_errors import hub_errors
from hf_deepfake.errors import InputError

Kind = Literal["model", "dataset", "space"]
Sdk = Literal["gradio", "docker"]
Files = Mapping[str, bytes | Path]
"""Content by path in the repository: bytes, or the path of a file here."""


@dataclass(frozen=True)
class PushResult:
    """What was pushed, or would be.

    Attributes:
        files: size in bytes by path in the repository.
        url: of the repository; None after a dry run, like the rest.
        commit: SHA-1 of the commit that holds the files.
        pull_request: URL of the pull request, where one was asked for.
    """

    files: dict[str, int]
    url: str | None = None
    commit: str | None = None
    pull_request: str | None = None

    def summary(self) -> str:
        """A line for each file with its size, and one that says where they are."""
        width = max(map(len, self.files))
        lines = [f"{path:{width}}  {size:>15,} bytes" for path, size in self.files.items()]
        where = f"pushed to {self.pull_request or self.url}" if self.commit else "dry run: nothing was pushed"
        return "\n".join([*lines, where])


def check_target(repo_id: str, dry_run: bool, token: str | None = None) -> None:
    """Make sure, before anything is computed, that something can be pushed there.

    Args:
        repo_id: `owner/name` on the Hub.
        dry_run: look at the name alone.
        token: of the Hub; by default the one that `hf auth login` or HF_TOKEN gave.

    Raises:
        InputError: the name is none that the Hub takes, there is no token, or the Hub does not take it.
    """
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise InputError(f"{repo_id} is no name for a repository; give owner/name, such as me/detector") from error
    if "/" not in repo_id:
        raise InputError(f"{repo_id} names no owner; give owner/name, such as me/{repo_id}")
    if dry_run:
        return
    if (token or get_token()) is None:
        raise InputError(
            f"pushing to {repo_id} needs a token; run `hf auth login`, or set HF_TOKEN to one that may write"
        )
    with hub_errors(f"pushing to {repo_id} is not possible"):
        HfApi(token=token).whoami()


def upload(
    kind: Kind,
    repo_id: str,
    files: Files,
    *,
    message: str,
    private: bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    replaced: Sequence[str] = (),
    token: str | None = None,
    sdk: Sdk | None = None,
) -> PushResult:
    """Make the repository if need be, and put all files into it in one commit.

    The contents go up first and are visible to nobody; the commit then shows all of them at once. So a push that
    fails leaves the repository as it was, and when it is repeated, what is already there is not sent again.

    Args:
        kind: of the repository.
        repo_id: `owner/name`.
        files: what to put there.
        message: first line of the commit.
        private: who may see the repository: the owner alone (True), everybody (False), or as it is and, if it is
            made now, as the owner's settings have it (None).
        revision: branch to commit to, made if need be; by default main.
        create_pr: open a pull request instead of changing a branch.
        replaced: patterns of files that this push replaces: those in the repository that match and are not in
            `files` are deleted.
        token: of the Hub; by default the one that `hf auth login` or HF_TOKEN gave.
        sdk: of a Space that is made now.

    Returns:
        What was pushed, and where.

    Raises:
        InputError: the Hub cannot be reached or refuses, or the repository exists and others may see it than asked.
    """
    api = HfApi(token=token, library_name="hf_deepfake", library_version=version("hf-deepfake"))
    with hub_errors(f"pushing to {repo_id} failed and nothing is lost"):
        url = api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True, space_sdk=sdk)
        if private not in {None, api.repo_info(repo_id, repo_type=kind).private}:
            is_so, wanted = ("public", "private") if private else ("private", "public")
            raise InputError(f"{repo_id} exists and is {is_so}; make it {wanted} in its settings, or give another name")
        if revision:
            api.create_branch(repo_id, repo_type=kind, branch=revision, exist_ok=True)
        present = api.list_repo_files(repo_id, repo_type=kind, revision=revision) if replaced else []
        old = [path for path in present if path not in files and any(fnmatch(path, pattern) for pattern in replaced)]
        # Not upload_folder, which makes several commits where it can.
        commit = api.create_commit(
            repo_id,
            [
                *(CommitOperationDelete(path) for path in old),
                *(CommitOperationAdd(path, content) for path, content in files.items()),
            ],
            commit_message=message,
            repo_type=kind,
            revision=revision,
            create_pr=create_pr,
        )
    return PushResult(sizes(files), str(url), commit.oid, commit.pr_url)


def sizes(files: Files) -> dict[str, int]:
    """Size in bytes of each file."""
    return {
        path: len(content) if isinstance(content, bytes) else content.stat().st_size for path, content in files.items()
    }
