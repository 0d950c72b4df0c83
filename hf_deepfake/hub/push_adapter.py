"""What a run's adapter gets beside its weights, so that it can be published alone; and the checkpoint made of it."""

import shutil
from pathlib import Path

from huggingface_hub import ModelCard

from hf_deepfake.errors import InputError
from hf_deepfake.files import local_path, replacing, try_folder
from hf_deepfake.hub.card import CARD_FILE, build_card
from hf_deepfake.models.adapter_folder import has_decision, is_adapter, is_unchanged, read_adapter, state_decision
from hf_deepfake.models.checkpoint import checkpoint_name, export_checkpoint, load_checkpoint
from hf_deepfake.models.fold import unfold
from hf_deepfake.models.seen import SEEN_FILE
from hf_deepfake.report.report import REPORT_FILE, Report


def complete_adapter(folder: Path, checkpoint: Path, base: str, save_fp16: bool) -> None:
    """Give an adapter the decision, report, card and note of seen images of the checkpoint that was made of it.

    Args:
        folder: of the adapter.
        checkpoint: folder of the run's checkpoint, with its report.
        base: digest of the base; see `state_decision`.
        save_fp16: the checkpoint's weights were rounded to float16.
    """
    state_decision(folder, checkpoint, base, save_fp16)
    for name in (REPORT_FILE, SEEN_FILE):
        if (checkpoint / name).is_file():
            shutil.copyfile(checkpoint / name, folder / name)
    with replacing(folder / CARD_FILE) as temporary:
        card = build_card(Report.load(folder / REPORT_FILE), adapter_of=read_adapter(folder)[0])
        temporary.write_text(card, encoding="utf-8")


def adapter_card(folder: Path, repo_id: str, license: str) -> str:
    """The card under which an adapter is published: made of its report, or its own with this licence.

    Args:
        folder: of the adapter.
        repo_id: where it is published.
        license: the Hub's name of the weights' licence.

    Returns:
        Markdown with YAML metadata.

    Raises:
        InputError: the adapter has neither report nor card, has changed since its report, or names its base by a path.
    """
    base, config = read_adapter(folder)
    if Path(base).is_absolute():
        raise InputError(f"{folder} names its base by a path, {base}; write timm's name of it into adapter_config.json")
    if (folder / REPORT_FILE).is_file():
        if has_decision(folder) and not is_unchanged(folder, config):
            raise InputError(f"card and report of {folder} tell of other weights; train again, or remove both")
        return build_card(Report.load(folder / REPORT_FILE), repo_id=repo_id, license=license, adapter_of=base)
    if not (folder / CARD_FILE).is_file():
        raise InputError(f"{folder} has neither {REPORT_FILE} nor {CARD_FILE}; write a card that says what it is")
    card = ModelCard.load(folder / CARD_FILE)
    card.data.license = license
    return str(card)


def merge_adapter(adapter: str | Path, *, base: str | Path | None = None, out: str | Path | None = None) -> Path:
    """Make a checkpoint that every reader loads of an adapter and its base.

    Args:
        adapter: the adapter's folder, or `owner/name` on the Hub.
        base: file or folder of the base's weights; None fetches them by the base's name, as timm does.
        out: new folder for the checkpoint; by default the adapter's name with -merged, beside it or, of one on the Hub,
            here.

    Returns:
        The folder.

    Raises:
        InputError: there is no such adapter, its base cannot be had, or `out` exists.
    """
    source = local_path(adapter)
    if source.is_dir() and not is_adapter(source):
        raise InputError(f"{adapter} holds no adapter; give a folder that training with --adapter kept")
    beside = source.parent if source.is_dir() else Path()
    out = try_folder(out if out is not None else beside / f"{checkpoint_name(adapter)}-merged")
    if out.exists():
        raise InputError(f"{out} exists; give a new folder with --out, so that no checkpoint is lost")
    loaded = load_checkpoint(adapter, base=base)
    unfold(loaded.model, loaded.temperature, loaded.operating_point)
    export_checkpoint(
        loaded.model,
        out,
        image_size=loaded.config["pretrained_cfg"]["input_size"][-1],
        temperature=loaded.temperature,
        operating_point=loaded.operating_point,
        abstention_band=loaded.abstention_band,
        criterion=loaded.criterion,
        confident_error=loaded.confident_error,
        face_margin=loaded.face_margin,
        data_fingerprint=loaded.data_fingerprint,
        seen=loaded.seen,
        save_fp16=loaded.trusted and loaded.config["hf_deepfake"]["save_fp16"],
    )
    if loaded.trusted and (loaded.folder / REPORT_FILE).is_file():  # else its figures are of other weights
        report = Report.load(loaded.folder / REPORT_FILE)
        report.save(out / REPORT_FILE)
        (out / CARD_FILE).write_text(build_card(report), encoding="utf-8")
    return out
