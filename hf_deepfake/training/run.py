"""A whole training run: data, model, loop, checkpoint, report."""

import platform
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import nn

from hf_deepfake.config import LABELS, TrainConfig
from hf_deepfake.data.load import DataReport, prepare
from hf_deepfake.errors import InputError, Interrupted
from hf_deepfake.machine import cpu_name, usable_cores
from hf_deepfake.models.adapter_folder import base_digest
from hf_deepfake.models.adapters import adapt
from hf_deepfake.models.build import build_model, checkpoint_gradients, data_config
from hf_deepfake.report.report import Report
from hf_deepfake.training.calibration_data import CALIBRATION, load_calibration
from hf_deepfake.training.device import make_accelerator
from hf_deepfake.training.finish import finish, for_others
from hf_deepfake.training.loop import Loop
from hf_deepfake.training.publish import check_publishing, epoch_publisher, publish_run
from hf_deepfake.training.resume import RunFolder
from hf_deepfake.training.signals import Stopped, StopSignals


@dataclass(frozen=True)
class TrainResult:
    """A finished run.

    Attributes:
        folder: the run's folder.
        checkpoint: the checkpoint folder in it.
        report: what was measured.
        url: of the repository that the checkpoint was pushed to, on the main process; None if it was not.
        not_pushed: why it was not, though it should have been, and what to do; empty otherwise.
    """

    folder: Path
    checkpoint: Path
    report: Report
    url: str | None = None
    not_pushed: str = ""


def train(config: TrainConfig) -> TrainResult:
    """Train, export and measure a detector.

    Under `accelerate launch` every process calls this; without, one process does it all.

    Args:
        config: the run.

    Returns:
        Where everything lies, and the report. A run that was finished before is not repeated, and one that cannot be
        pushed is finished all the same.

    Raises:
        InputError: something in the options, the data or the machine stands in the way; nothing is half-written.
        Stopped: SIGTERM or SIGINT came; the state is saved for `resume`.
    """
    run = RunFolder.open(config)
    if run.record["status"] == "finished":
        return TrainResult(run.folder, run.checkpoint, Report.load(run.checkpoint / "report.json"))
    accelerator = make_accelerator(config)
    check_publishing(config)
    set_seed(config.seed)
    with StopSignals() as signals:
        try:
            report = _train(config, run, accelerator, signals)
        except Interrupted as interrupted:
            signals.agreed(accelerator)
            saved = run.record_file.is_file() and "data" in run.record
            if saved:
                _close(run, accelerator, "stopped")
            raise Stopped(signals.received, run.folder, saved) from interrupted
    accelerator.end_training()
    result = TrainResult(run.folder, run.checkpoint, report)
    if not config.push_to_hub or not accelerator.is_main_process:
        return result
    try:
        return replace(result, url=publish_run(config, run))
    except InputError as error:
        return replace(result, not_pushed=str(error))


def _train(config: TrainConfig, run: RunFolder, accelerator: Accelerator, signals: StopSignals) -> Report:
    """From the data to the report; `Interrupted`, on all processes together, where there is nothing to be saved."""
    model = build_model(
        config.model, image_size=config.image_size, drop_rate=config.drop_rate, pretrained=config.pretrained
    )
    if config.gradient_checkpointing:
        checkpoint_gradients(model, config.freeze_batchnorm)
    if config.adapter != "none":
        run.record["base_digest"] = base_digest(model)
        model = adapt(model, config.adapter, config.adapter_rank, base=config.model)
    with accelerator.main_process_first():  # the others then find unpacked zips and hashes in the cache
        prepared = signals.at_once(partial(prepare, config))
    signals.check(accelerator)
    assert prepared is not None
    data, data_report = prepared
    _check_data(data_report)
    calibration: dict[str, Any] = {}
    if config.calibration_data:
        with accelerator.main_process_first():
            loaded = signals.at_once(partial(load_calibration, config, data, data_report))
        signals.check(accelerator)
        assert loaded is not None
        data[CALIBRATION], calibration = loaded
    _check_fingerprint(run, data_report, calibration)
    loop = Loop(
        config,
        accelerator,
        run,
        model,
        data,
        data_config(model, config.image_size),
        after_epoch=epoch_publisher(config, run, model) if config.push_every else None,
    )
    if accelerator.is_main_process and not config.resume:
        run.clear()
    run.record["data"] = data_report.to_dict()
    run.record["calibration"] = calibration
    run.record["machine"] = _machine(accelerator)
    run.record["status"] = "running"
    if accelerator.is_main_process:
        run.save_record()
        if config.audit != "off" and "audit" not in run.record:
            loop.progress.say(
                f"looking for leaks and shortcuts first ({config.audit} audit; --audit off leaves it out)"
            )
            run.record |= signals.at_once(partial(_audited, config, run)) or {}
            run.save_record()
    signals.check(accelerator)
    if accelerator.is_main_process:
        loop.progress.say(_summary(config, accelerator, model, loop, data_report, run.record.get("audit")))
    if config.tracker != "none":
        shown = for_others(run.record)["options"]  # a tracker may send on what it is told
        accelerator.init_trackers("hf_deepfake", config={name: str(value) for name, value in shown.items()})
    began = time.monotonic()
    try:
        loop.fit(signals)
    except Stopped:
        _close(run, accelerator, "stopped", began)
        raise
    _close(run, accelerator, "trained", began)
    report = finish(loop, data_report, signals)
    _close(run, accelerator, "finished")
    return report


def _audited(config: TrainConfig, run: RunFolder) -> dict[str, Any]:
    """What the audit adds to the record; it is also written to the run's folder."""
    # One process audits, and scikit-learn and Matplotlib take seconds to import.
    from hf_deepfake.audits.audit_page import write_audit
    from hf_deepfake.audits.search import audit

    found = audit(config, level="full" if config.audit == "full" else "basic")
    write_audit(found, run.folder / "audit")
    return {"audit": found.for_report()}


def _check_data(report: DataReport) -> None:
    """Refuse data that cannot train, choose and test: every split needs both classes."""
    for split, classes in report.counts.items():
        for label in LABELS:
            if not classes[label]:
                leaked = f" left, for {report.dropped} were dropped as leaks" if report.dropped else ""
                raise InputError(
                    f"the {split} split has no {label} images{leaked}; add some, or give data without splits to "
                    "have it split"
                )


def _check_fingerprint(run: RunFolder, report: DataReport, calibration: dict[str, Any]) -> None:
    """Refuse to resume on other images than the run began with."""
    before = run.record.get("data", {}).get("fingerprint")
    decided = run.record.get("calibration", {}).get("fingerprint", calibration.get("fingerprint"))
    if before not in {None, report.fingerprint} or decided != calibration.get("fingerprint"):
        raise InputError(
            f"the images are not those that the run in {run.folder} began with; "
            "give the same data, or start anew in another --output_dir"
        )


def _close(run: RunFolder, accelerator: Accelerator, status: str, began: float | None = None) -> None:
    """Note the run's status and, where it has trained, the time since `began`."""
    run.record["status"] = status
    if began is not None:
        run.record["train_seconds"] = round(run.record.get("train_seconds", 0.0) + time.monotonic() - began, 1)
    if accelerator.is_main_process:
        run.save_record()


def _machine(accelerator: Accelerator) -> dict[str, str | int]:
    """What the run computes on."""
    names = {"cuda": torch.cuda.get_device_name, "cpu": cpu_name}
    device = accelerator.device.type
    return {
        "device": names[device]() if device in names else device,
        "cores": usable_cores(),
        "processes": accelerator.num_processes,
        "threads": torch.get_num_threads(),
        "precision": accelerator.mixed_precision,
        "system": platform.platform(terse=True),
    }


def _summary(
    config: TrainConfig,
    accelerator: Accelerator,
    model: nn.Module,
    loop: Loop,
    data: DataReport,
    found: dict[str, Any] | None,
) -> str:
    """What the run will do, before its first step."""
    machine = _machine(accelerator)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    stages = []
    for stage in loop.stages:
        loop.unfreeze(stage)
        trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        stages.append(
            f"{stage.name}: {stage.epochs} epochs of {stage.steps_per_epoch} steps, "
            f"rate {stage.lr:g} ({stage.schedule}), {trained / 1e6:.2f} M parameters train"
        )
    lines = {
        "data": data.summary(),
        "audit": _findings(found) if found else "off",
        "model": f"{config.model}, {parameters / 1e6:.2f} M parameters, {config.image_size} px, "
        f"pretrained weights {config.pretrained}",
        "stages": "\n".join(stages),
        "step": f"{config.batch_size} images over {loop.share.processes} processes and "
        f"{loop.share.micro_batches} accumulation steps, {config.optimizer}, {config.sampling}",
        "keeps": f"the epoch with the best validation {config.monitor}",
        "machine": f"{machine['device']}, {machine['precision']} precision, {machine['threads']} threads, "
        f"{loop.workers} decoding workers",
        "output": config.output_dir,
    }
    return "\n".join(f"{name:>8}  " + text.replace("\n", "\n" + " " * 10) for name, text in lines.items())


def _findings(found: dict[str, Any]) -> str:
    """What the audit found, a line each; `hf-deepfake audit` says what to do about it."""
    lines = [f"{one['severity'].upper()}: {one['what']}" for one in found["findings"]]
    if unseen := found.get("unseen"):
        lines = lines or [f"no finding in what a {found['level']} audit looks at"]
        lines.append(f"NOT LOOKED AT: {', '.join(unseen)}; --audit full does")
    return "\n".join(lines or ["nothing was found"]) + f" ({found['level']} audit; hf-deepfake audit says what to do)"
