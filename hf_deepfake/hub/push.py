"""Push a checkpoint to the Hugging Face Hub."""

from pathlib import Path

from hf_deepfake.errors import InputError
from hf_deepfake.files import local_path
from hf_deepfake.hub.card import CAPTIONS, CARD_FILE, build_card
from hf_deepfake.hub.upload import PushResult, check_target, sizes, upload
from hf_deepfake.models.checkpoint import CONFIG_FILE, WEIGHTS_FILE, load_checkpoint
from hf_deepfake.models.seen import SEEN_FILE
from hf_deepfake.report.report import REPORT_FILE, Report


def push_to_hub(
    checkpoint: str | Path,
    repo_id: str,
    *,
    license: str,
    private: bool = False,
    revision: str | None = None,
    create_pr: bool = False,
    token: str | None = None,
    dry_run: bool = False,
) -> PushResult:
    """Publish a checkpoint in one commit; what else lies in its folder stays here, and the folder as it is.

    Pushed are config.json, model.safetensors, seen_images.npz, report.json, the card's figures, and the card, rendered
    anew from report.json so that its examples load from this repository.

    Args:
        checkpoint: folder of the checkpoint.
        repo_id: `owner/name`; the repository is made if need be.
        license: the Hub's name of the weights' licence, such as "apache-2.0".
        private: only the owner may see the repository.
        revision: branch to push to, made if need be; by default main.
        create_pr: open a pull request instead.
        token: of the Hub; by default the one that `hf auth login` or HF_TOKEN gave.
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
    files = checkpoint_files(checkpoint)
    report = Report.load(local_path(checkpoint) / REPORT_FILE)
    card = build_card(report, repo_id=repo_id, license=license, figures=list(files))
    files = {**files, CARD_FILE: card.encode()}
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
    if not load_checkpoint(folder).trusted:
        raise InputError(
            f"card and report of {folder} tell of other weights; push what hf-deepfake recalibrate makes of it"
        )
    return contract_files(folder)


def contract_files(folder: Path) -> dict[str, Path]:
    """What of a checkpoint's folder belongs to its contract, as it lies there.

    Args:
        folder: of a checkpoint.

    Returns:
        As `checkpoint_files`.
    """
    names = (CONFIG_FILE, WEIGHTS_FILE, SEEN_FILE, CARD_FILE, REPORT_FILE, *CAPTIONS)
    return {name: folder / name for name in names if (folder / name).is_file()}
