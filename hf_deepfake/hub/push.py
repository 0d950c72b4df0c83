"""Push a checkpoint or an adapter to the Hugging Face Hub."""

import shutil
from pathlib import Path

from hf_deepfake.errors import InputError
from hf_deepfake.files import local_path
from hf_deepfake.hub.card import CAPTIONS, CARD_FILE, build_card
from hf_deepfake.hub.push_adapter import adapter_card
from hf_deepfake.hub.upload import PushResult, check_target, sizes, upload
from hf_deepfake.hub.wheel import pack_wheel
from hf_deepfake.models.adapter_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, is_adapter
from hf_deepfake.models.checkpoint import CONFIG_FILE, WEIGHTS_FILE, load_checkpoint
from hf_deepfake.models.replace import replacing_folder
from hf_deepfake.models.seen import SEEN_FILE
from hf_deepfake.report.report import REPORT_FILE, Report
from hf_deepfake.runtimes.variants import exported_files

HANDLER_FILE = "handler.py"

ENDPOINT_FOLDER = "/repository"
"""Where an Inference Endpoint has the repository."""


def push_to_hub(
    checkpoint: str | Path,
    repo_id: str,
    *,
    license: str,
    private: bool = False,
    revision: str | None = None,
    create_pr: bool = False,
    token: str | None = None,
    handler: bool = False,
    dry_run: bool = False,
) -> PushResult:
    """Publish a checkpoint or an adapter in one commit; what else lies in its folder stays here, and it stays as it is.

    Pushed are config.json, the weights, seen_images.npz, report.json, the card's figures, exported files that agree
    with torch, and the card, rendered anew from report.json so that its examples load from this repository.

    Args:
        checkpoint: folder of the checkpoint; or of an adapter, which is published alone and without its base.
        repo_id: `owner/name`; the repository is made if need be.
        license: the Hub's name of the weights' licence, such as "apache-2.0".
        private: only the owner may see the repository.
        revision: branch to push to, made if need be; by default main.
        create_pr: open a pull request instead.
        token: of the Hub; by default the one that `hf auth login` or HF_TOKEN gave.
        handler: also push what Inference Endpoints need to give this package's verdicts: handler.py, and a wheel of
            this package with a requirements.txt that names it where an endpoint has its repository.
        dry_run: say what would be pushed, and ask the Hub nothing.

    Returns:
        What was pushed, and where.

    Raises:
        InputError: the checkpoint is not whole, there is no token, the options contradict each other, or the Hub
            cannot be reached or refuses. The same call can be repeated.
    """
    if create_pr and revision:
        raise InputError("a pull request is always opened against main; leave out --revision or --create_pr")
    check_target(repo_id, dry_run, token)
    folder = local_path(checkpoint)
    files: dict[str, bytes | Path]
    if is_adapter(folder):
        card = adapter_card(folder, repo_id, license)
        files = {**_contract_files(folder)}
    else:
        files = {**checkpoint_files(folder)}
        card = build_card(Report.load(folder / REPORT_FILE), repo_id=repo_id, license=license, figures=list(files))
    files[CARD_FILE] = card.encode()
    if handler:
        files |= handler_files()
    if dry_run:
        return PushResult(sizes(files))
    return upload(
        "model",
        repo_id,
        files,
        message="Push a checkpoint of hf_deepfake",
        private=private or None,
        revision=revision,
        create_pr=create_pr,
        token=token,
    )


def handler_files() -> dict[str, bytes]:
    """Pack what an Inference Endpoint needs beside a checkpoint.

    Returns:
        Content by path in the repository.
    """
    name, wheel = pack_wheel()
    return {
        HANDLER_FILE: Path(__file__).with_name(HANDLER_FILE).read_bytes(),
        name: wheel,
        "requirements.txt": f"hf-deepfake @ file://{ENDPOINT_FOLDER}/{name}\n".encode(),
    }


def checkpoint_files(checkpoint: str | Path) -> dict[str, Path]:
    """The files of a checkpoint that belong to its contract, without what else lies in its folder.

    Args:
        checkpoint: the folder.

    Returns:
        Paths by name: config.json and model.safetensors, and hashes of images, card, report and figures where they are.

    Raises:
        InputError: there is no such folder, what it holds does not load, or its weights are not those of its report.
    """
    folder = local_path(checkpoint)
    if not folder.is_dir():
        raise InputError(
            f"no checkpoint folder {folder}; give the folder that training exported, such as RUN/checkpoint"
        )
    if is_adapter(folder):
        raise InputError(f"{folder} holds an adapter alone; make a checkpoint of it with hf-deepfake merge")
    if not load_checkpoint(folder).trusted:
        raise InputError(
            f"card and report of {folder} tell of other weights; push what hf-deepfake recalibrate makes of it"
        )
    return _contract_files(folder)


def copy_checkpoint(checkpoint: Path, folder: str | Path) -> Path:
    """Copy what of a checkpoint's or an adapter's folder belongs to its contract, whole or not at all.

    Args:
        checkpoint: the folder.
        folder: new, empty, or of a checkpoint that is then replaced.

    Returns:
        The new folder.

    Raises:
        InputError: `folder` holds something else, or cannot be written.
    """
    target = local_path(folder)
    if target.resolve() != checkpoint.resolve():
        with replacing_folder(target) as written:
            for name, file in _contract_files(checkpoint).items():
                (written / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(file, written / name)
    return target


def _contract_files(folder: Path) -> dict[str, Path]:
    """What of a checkpoint's or an adapter's folder belongs to its contract, by name, as it lies there."""
    weights = (ADAPTER_CONFIG, ADAPTER_WEIGHTS) if is_adapter(folder) else (WEIGHTS_FILE,)
    names = (CONFIG_FILE, *weights, SEEN_FILE, CARD_FILE, REPORT_FILE, *CAPTIONS)
    files = [folder / name for name in names if (folder / name).is_file()]
    return {file.relative_to(folder).as_posix(): file for file in (*files, *exported_files(folder))}
