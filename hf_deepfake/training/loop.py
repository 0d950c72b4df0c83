"""The loop: steps, validation after each epoch, and a state from which any step can be taken again.

Everything random in a step (order, augmentation, dropout, mixup) is seeded by run, epoch and step. A resumed run
therefore needs no generator states, and several processes draw as one: each takes its rows of the whole step's draw.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, reduce
from datasets import DatasetDict
from peft import PeftModel
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.nn import functional

from hf_deepfake.config import TrainConfig
from hf_deepfake.data.batch import Augment, Batch, Normalise, Pictures, make_loader
from hf_deepfake.data.machine import default_workers, widest_float
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.calibration import fake_probability
from hf_deepfake.evaluation.metrics import better, compute_metrics
from hf_deepfake.evaluation.predict import predict_logits
from hf_deepfake.models.adapters import merged, save_adapter, train_classifier_alone
from hf_deepfake.models.build import freeze_statistics, unfreeze
from hf_deepfake.pictures.degrade import Degrade
from hf_deepfake.training.order import Share, StepBatches, blend_order, epoch_order
from hf_deepfake.training.progress import Progress
from hf_deepfake.training.resume import RunFolder, Stopped, StopSignals
from hf_deepfake.training.stages import (
    Stage,
    epochs_without_gain,
    make_optimizer,
    picture_size,
    plan_stages,
    plateau_factor,
    set_rate,
)
from hf_deepfake.training.targets import Targets, soft_cross_entropy

CHECK_EVERY = 20
"""Steps between looks at the loss and at other processes' signals where looking stalls a GPU or costs a message."""

SCALER_PATIENCE = 50
"""Steps in a row that fp16's loss scaler may skip for want of range before the run counts as failed."""


@dataclass
class Position:
    """Where a run stands: `step` steps of `epoch` are done. Epochs count from 0 here, from 1 in the history."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    best_epoch: int | None = None
    best_value: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


class Loop:
    """Trains a net on a data set; `fit` runs from wherever the folder's state stands to the end."""

    def __init__(
        self,
        config: TrainConfig,
        accelerator: Accelerator,
        run: RunFolder,
        model: nn.Module,
        data: DatasetDict,
        data_config: dict[str, Any],
        after_epoch: Callable[[int], None] | None = None,
    ):
        self.after_epoch = after_epoch
        self.config, self.accelerator, self.run, self.data = config, accelerator, run, data
        self.data_config = data_config
        self.device = accelerator.device
        self.net = model.to(self.device, memory_format=torch.channels_last)  # ty: ignore[no-matching-overload]
        self.share = Share(config.batch_size, config.accumulation, accelerator.num_processes, accelerator.process_index)
        _check_share(self.share, config)
        self.workers = default_workers(accelerator.num_processes) if config.workers is None else config.workers
        train = data["train"]
        self.labels = np.asarray(train["label"])
        self.groups = train["group"] if "group" in train.column_names else None
        self.sources = train["source"] if "source" in train.column_names else None
        self.stages = plan_stages(config, len(self._order(0)))
        for stage in self.stages:  # refuses now, not after the first stage, blocks that the net does not have
            self.unfreeze(stage)
        if config.first_size is not None:
            _check_size(self.net, config, self.device)
        normalise = Normalise(data_config, self.device)
        self.augment = Augment(config, normalise)
        self.class_weights = torch.tensor(config.class_weights or (1.0, 1.0), device=self.device)
        self.targets = Targets(config, data_config, self.device)
        self.ema = ModelEmaV3(self.net, decay=config.ema, use_warmup=True) if config.ema else None
        self.batches = StepBatches(self.share)
        pictures = Pictures(
            train,
            data_config,
            reduced=True,
            change=Degrade(config.seed, share=config.degrade) if config.degrade else None,
            blend_seed=config.seed if config.self_blend else None,
        )
        self.loader = make_loader(pictures, self.batches, self.workers, pin_memory=self.device.type == "cuda")
        self.position = Position()
        self.progress = Progress(accelerator.is_main_process, sum(stage.steps for stage in self.stages))
        self.bad_steps = torch.zeros((), dtype=torch.int64, device=self.device)
        if config.compile:
            self.net.compile()

    def fit(self) -> None:
        """Train to the end, or until a signal.

        Raises:
            Stopped: a signal came; the state is saved.
            InputError: the loss is no number any more; the best epoch so far is kept.
        """
        state = self.run.load_state() if self.run.record["epochs"] or self.run.state_file.exists() else None
        if state is not None:
            self.position = Position(**state["position"])
            self.net.load_state_dict(state["model"])
            if self.ema:
                self.ema.module.load_state_dict(state["ema"])
        with StopSignals() as signals:
            for stage in self.stages:
                last = stage.first_epoch + stage.epochs
                if self.position.epoch >= last or self._out_of_patience():
                    continue
                model, optimizer = self._prepare(stage)
                if state is not None:
                    optimizer.load_state_dict(state["optimizer"])
                    if self.accelerator.scaler is not None:
                        self.accelerator.scaler.load_state_dict(state["scaler"])
                    state = None
                while self.position.epoch < last and not self._out_of_patience():
                    self._epoch(stage, model, optimizer, signals)
                self.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
                self.accelerator.free_memory()

    def _prepare(self, stage: Stage) -> tuple[nn.Module, Any]:
        """Freeze what the stage freezes and hand model and optimiser to the Accelerator."""
        self.unfreeze(stage)
        optimizer = make_optimizer(self.net, stage, self.config)
        return self.accelerator.prepare(self.net, optimizer)

    def unfreeze(self, stage: Stage) -> None:
        """Let what the stage trains train."""
        if isinstance(self.net, PeftModel):
            train_classifier_alone(self.net, stage.last_blocks == 0)
        else:
            unfreeze(self.net, stage.last_blocks)

    def _epoch(self, stage: Stage, model: nn.Module, optimizer: Any, signals: StopSignals) -> None:
        """The rest of the epoch in hand, then validation, and everything saved."""
        position = self.position
        lowered = plateau_factor(
            self.config.monitor,
            [entry[self.config.monitor] for entry in position.history if entry["epoch"] > stage.first_epoch],
            self.config.plateau_patience,
            self.config.plateau_factor,
        )
        self.batches.set_epoch(self._order(position.epoch), position.step, stage.steps_per_epoch)
        batches = iter(self.loader)
        loss_sum = torch.tensor(position.loss_sum, dtype=widest_float(self.device), device=self.device)
        began, before = time.perf_counter(), position.seconds
        while position.step < stage.steps_per_epoch:
            step = (position.epoch - stage.first_epoch) * stage.steps_per_epoch + position.step
            set_rate(optimizer, stage.rate(step, lowered))
            try:
                loss_sum += self._step(model, optimizer, batches)
                position.step += 1
            except RuntimeError:  # a signal to the whole process group has ended the loader's workers
                if not signals.received:
                    raise
            position.seconds = before + time.perf_counter() - began
            done = position.epoch * stage.steps_per_epoch + position.step
            self.progress.step(position.epoch, done, self.config.batch_size)
            if self._must_stop(signals, position.step == stage.steps_per_epoch):
                position.loss_sum = float(loss_sum)
                self._save_state(optimizer)
                raise Stopped(signals.received, self.run.folder)
        position.loss_sum = float(loss_sum)
        self._finish_epoch(stage, optimizer)

    def _step(self, model: nn.Module, optimizer: Any, batches: Any) -> Tensor:
        """One optimiser step; its mean loss, on the device."""
        model.train()
        freeze_statistics(self.net, self.config.freeze_batchnorm)
        seed = int(
            np.random.SeedSequence([self.config.seed, self.position.epoch, self.position.step]).generate_state(1)[0]
        )
        drawn = self.augment.draw(self.config.batch_size, torch.Generator().manual_seed(seed))
        torch.manual_seed(seed + self.accelerator.process_index)
        total = torch.zeros((), dtype=widest_float(self.device), device=self.device)
        side = picture_size(self.config, self.position.epoch)
        for round_ in range(self.share.rounds):
            batch: Batch = next(batches)
            pictures = self.augment(batch.pictures.to(self.device, non_blocking=True), drawn[self.share.rows(round_)])
            if pictures.shape[-1] > side:
                pictures = functional.interpolate(pictures, side, mode="bilinear", antialias=True)
            pictures, targets = self.targets(pictures, batch.labels.to(self.device, non_blocking=True), seed + round_)
            waits = round_ + 1 < self.share.rounds
            with self.accelerator.no_sync(model) if waits else contextlib.nullcontext():
                loss = soft_cross_entropy(model(pictures), targets, self.class_weights) / self.share.rounds
                self.accelerator.backward(loss)
            total += loss.detach()
        self.bad_steps = torch.where(total.isfinite(), 0, self.bad_steps + 1)
        if self.config.clip_norm is not None:
            self.accelerator.clip_grad_norm_(model.parameters(), self.config.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        if self.ema:
            self.ema.update(self.net, step=self._steps_done())
        return total

    def _must_stop(self, signals: StopSignals, at_end: bool) -> bool:
        """Whether any process got a signal; fails when the loss of any is no number any more."""
        alone = self.accelerator.num_processes == 1
        if not at_end and not (alone and self.device.type == "cpu") and self.position.step % CHECK_EVERY:
            return bool(signals.received) and alone
        flags = torch.tensor([signals.received, int(self.bad_steps)], device=self.device)
        if not alone:
            flags = torch.stack(list(self.accelerator.gather(flags).view(-1, 2))).amax(0)
        signals.received = int(flags[0])
        allowed = SCALER_PATIENCE if self.accelerator.scaler is not None else 0
        if int(flags[1]) > allowed:
            self._fail()
        return bool(signals.received)

    def _fail(self) -> None:
        """Record that the loss is NaN and say what can be done."""
        position = self.position
        self.run.record["status"] = "failed"
        if self.accelerator.is_main_process:
            self.run.save_record()
        kept = (
            f"the best epoch so far ({position.best_epoch}) is kept in {self.run.best_file}"
            if position.best_epoch is not None
            else "no epoch was finished"
        )
        raise InputError(
            f"the loss is not a number any more at step {position.step} of epoch {position.epoch + 1}; {kept}, "
            "so start anew with a lower --lr or --mixed_precision no"
        )

    def _finish_epoch(self, stage: Stage, optimizer: Any) -> None:
        """Validate, keep the weights if they are the best, and save all that a resumed run needs."""
        position, config = self.position, self.config
        judged = self.ema.module if self.ema else self.net
        precision = self.accelerator.mixed_precision
        logits = predict_logits(judged, self.data["validation"], self.data_config, self.workers, precision)
        metrics = compute_metrics(fake_probability(logits), self.data["validation"]["label"])
        loss = float(reduce(torch.tensor(position.loss_sum, device=self.device), "mean"))
        entry = {
            "epoch": position.epoch + 1,
            "stage": stage.name,
            "rate": max(group["lr"] for group in optimizer.param_groups),
            "train_loss": loss / stage.steps_per_epoch,
            "images_per_second": round(stage.steps_per_epoch * config.batch_size / max(position.seconds, 1e-9), 2),
            "seconds": round(position.seconds, 2),
            **metrics,
        }
        (entry,) = broadcast_object_list([entry])  # the clock differs between processes, decisions must not
        value = entry[config.monitor]
        position.history.append(entry)
        is_best = better(config.monitor, value, position.best_value)
        if is_best:
            position.best_epoch, position.best_value = position.epoch + 1, value
        position.epoch, position.step, position.loss_sum, position.seconds = position.epoch + 1, 0, 0.0, 0.0
        if self.accelerator.is_main_process:
            if is_best:
                self.run.save_best(merged(judged).state_dict())
                save_adapter(judged, self.run.adapter)
            self.run.record |= {"epochs": position.history, "best_epoch": position.best_epoch}
            self.run.save_record()
        self._save_state(optimizer)
        tracked = {name: number for name, number in entry.items() if isinstance(number, float)}
        self.accelerator.log(tracked, step=position.epoch)
        self.progress.epoch(entry, config.monitor, is_best)
        if self.after_epoch and self.accelerator.is_main_process:
            self.after_epoch(position.epoch)

    def _save_state(self, optimizer: Any) -> None:
        """Write the state from the main process."""
        if self.accelerator.is_main_process:
            scaler = self.accelerator.scaler
            self.run.save_state(
                {
                    "position": asdict(self.position),
                    "model": self.net.state_dict(),
                    "ema": self.ema.module.state_dict() if self.ema else None,
                    "optimizer": optimizer.state_dict(),
                    "scaler": scaler.state_dict() if scaler is not None else None,
                }
            )
        self.accelerator.wait_for_everyone()

    def _order(self, epoch: int) -> np.ndarray:
        """Indices of the training pictures in an epoch's order, counted on from epoch to epoch."""
        config, size = self.config, len(self.labels)
        order = epoch_order(
            config.sampling, self.labels, self.groups, config.seed, epoch, self.sources, config.source_balance
        )
        return blend_order(order, size, config.self_blend, config.seed, epoch) + 2 * epoch * size

    def _steps_done(self) -> int:
        """Optimiser steps before the one in hand."""
        return self.position.epoch * self.stages[0].steps_per_epoch + self.position.step

    def _out_of_patience(self) -> bool:
        """Whether the metric has not risen for too many epochs."""
        values = [entry[self.config.monitor] for entry in self.position.history]
        return (
            self.config.patience is not None
            and epochs_without_gain(self.config.monitor, values) >= self.config.patience
        )


def _check_size(net: nn.Module, config: TrainConfig, device: torch.device) -> None:
    """Refuse a net that takes pictures of one size only."""
    try:
        with torch.inference_mode():
            net.eval()(torch.zeros(1, 3, config.first_size or 0, config.first_size or 0, device=device))
    except (AssertionError, RuntimeError) as error:
        raise InputError(
            f"{config.model} does not take pictures of {config.first_size} px beside {config.image_size} px; "
            "leave out first_size or choose a convolutional net"
        ) from error


def _check_share(share: Share, config: TrainConfig) -> None:
    """Refuse a step that does not divide evenly."""
    parts = share.processes * share.rounds
    even = config.sampling == "paired" or config.mixup > 0 or config.cutmix > 0
    if share.batch_size % (parts * (2 if even else 1)):
        need = "an even number for each" if even else "evenly"
        raise InputError(
            f"batch_size {share.batch_size} does not divide into {share.processes} processes x {share.rounds} "
            f"accumulation rounds ({need}); use a multiple of {parts * (2 if even else 1)}"
        )
