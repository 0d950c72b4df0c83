"""The loop: steps, validation after each epoch, and a state from which any step can be taken again.

Everything random in a step (order, augmentation, dropout, mixup) is seeded by run, epoch and step. A resumed run
therefore needs no generator states, and several processes draw as one: each takes its rows of the whole step's draw.
"""

import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, reduce
from datasets import DatasetDict
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.nn import functional

from hf_deepfake.config import TrainConfig
from hf_deepfake.data.batch import Augment, Batch, DecodedImages, Normalise, make_loader
from hf_deepfake.errors import Interrupted
from hf_deepfake.evaluation.inference import predict_logits
from hf_deepfake.images.degrade import Degrade
from hf_deepfake.machine import default_workers, widest_float
from hf_deepfake.metrics.classification import better
from hf_deepfake.models.adapters import is_adapted, train_classifier_alone
from hf_deepfake.models.build import freeze_statistics, unfreeze
from hf_deepfake.training.frozen import FrozenStage, freeze_stage
from hf_deepfake.training.group_dro import GroupDro
from hf_deepfake.training.loss import Loss
from hf_deepfake.training.order import Orders, Share, StepBatches, check_share
from hf_deepfake.training.resume import Position, RunFolder
from hf_deepfake.training.run_progress import RunProgress
from hf_deepfake.training.saving import Saving
from hf_deepfake.training.signals import Stopped, StopSignals
from hf_deepfake.training.stages import (
    Stage,
    check_size,
    epochs_without_gain,
    image_size_of_epoch,
    make_optimizer,
    plan_stages,
    plateau_factor,
    set_rate,
)
from hf_deepfake.training.targets import Targets
from hf_deepfake.training.validation import validate

CHECK_EVERY = 20
"""Micro-batches between looks at the loss and at other processes' signals where looking stalls a GPU: some seconds at
most, for launchers kill half a minute after their signal. On CPUs a look costs next to nothing beside a step."""

SCALER_PATIENCE = 50
"""Steps in a row that fp16's loss scaler may skip for want of range before the run counts as failed."""


class Loop:
    """Trains a model on a data set; `fit` runs from wherever the folder's state stands to the end."""

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
        self.model = model.to(self.device, memory_format=torch.channels_last)  # ty: ignore[no-matching-overload]
        self.share = Share(
            config.batch_size, config.gradient_accumulation_steps, accelerator.num_processes, accelerator.process_index
        )
        check_share(self.share, config)
        self.workers = default_workers(accelerator.num_processes) if config.workers is None else config.workers
        train = data["train"]
        self.orders = Orders(config, train)
        self.stages = plan_stages(config, len(self.orders(0)))
        for stage in self.stages:  # refuses now, not after the first stage, blocks that the model does not have
            self.unfreeze(stage)
        if config.initial_image_size is not None:
            check_size(self.model, config, self.device)
        normalise = Normalise(data_config, self.device)
        self.augment = Augment(config, normalise)
        self.loss = Loss(config, self.model, self.device)
        eta = config.group_dro
        self.group_dro = GroupDro(eta, train, config.self_blend > 0, self.device) if eta else None
        self.targets = Targets(config, data_config, self.device, accelerator.mixed_precision)
        self.ema = ModelEmaV3(self.model, decay=config.ema, use_warmup=True) if config.ema else None
        self.batches = StepBatches(self.share)
        images = DecodedImages(
            train,
            data_config,
            reduced=True,
            change=Degrade(config.seed, share=config.degrade) if config.degrade else None,
            blend_seed=config.seed if config.self_blend else None,
        )
        self.loader = make_loader(images, self.batches, self.workers, pin_memory=self.device.type == "cuda")
        self.frozen: FrozenStage | None = None  # of the stage in hand, where it trains on features
        self.saving = Saving(accelerator, run, self.model, self.ema, self.group_dro, self.orders.digest)
        self.position = Position()
        self.progress = RunProgress(accelerator.is_main_process, sum(stage.steps for stage in self.stages))
        self.bad_steps = torch.zeros((), dtype=torch.int64, device=self.device)
        if config.compile:
            self.model.compile()

    def fit(self, signals: StopSignals | None = None) -> None:
        """Train to the end, or until a signal.

        Args:
            signals: what tells of signals; without, they do what they always do.

        Raises:
            Stopped: a signal came; the state is saved.
            InputError: the loss is no number any more, and the best epoch so far is kept; or what was saved is damaged.
        """
        signals = signals or StopSignals()
        self.position, state = self.saving.restore()
        for stage in self.stages:
            last = stage.first_epoch + stage.epochs
            if self.position.epoch >= last or self._out_of_patience(stage):
                continue
            # Epochs keep their numbers where the stage before ended early, so that this one draws as it would.
            self.position.epoch = max(self.position.epoch, stage.first_epoch)
            self.frozen = self._freeze(stage, signals)
            model, optimizer = self._prepare(stage)
            if state is not None and state["stage"] == stage.name:  # else the stage before was just done
                self.run.restore(optimizer, state["optimizer"])
            if state is not None and self.accelerator.scaler is not None:
                self.accelerator.scaler.load_state_dict(state["scaler"])
            state = None
            while self.position.epoch < last and not self._out_of_patience(stage):
                self._epoch(stage, model, optimizer, signals)
            if self.frozen:
                self.saving.save(stage.name, optimizer, self.position)
            self.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
            self.accelerator.free_memory()

    def _prepare(self, stage: Stage) -> tuple[nn.Module, Any]:
        """Freeze what the stage freezes and hand what trains and its optimiser to the Accelerator."""
        self.unfreeze(stage)
        optimizer = make_optimizer(self.model, stage, self.config)
        return self.accelerator.prepare(self.frozen.head if self.frozen else self.model, optimizer)

    def _freeze(self, stage: Stage, signals: StopSignals) -> FrozenStage | None:
        """The stage on features of the images that it shows, where that is the same; None elsewhere."""
        if stage.last_blocks != 0:
            return None
        self.unfreeze(stage)
        epochs = range(stage.first_epoch, stage.first_epoch + stage.epochs)
        rows = self.orders.shown(epochs, stage.steps_per_epoch * self.config.batch_size)
        how = self.data_config, self.workers, self.accelerator.mixed_precision, lambda: signals.received
        return freeze_stage(self.config, self.model, self.data, rows, *how)

    def unfreeze(self, stage: Stage) -> None:
        """Let what the stage trains train."""
        if is_adapted(self.model):
            train_classifier_alone(self.model, stage.last_blocks == 0)
        else:
            unfreeze(self.model, stage.last_blocks)

    def _epoch(self, stage: Stage, model: nn.Module, optimizer: Any, signals: StopSignals) -> None:
        """The rest of the epoch in hand, then validation, and everything saved."""
        position = self.position
        lowered = plateau_factor(
            self.config.monitor,
            self._values(stage),
            self.config.plateau_patience,
            self.config.plateau_factor,
        )
        self.batches.set_epoch(self.orders(position.epoch), position.step, stage.steps_per_epoch)
        batches = self.frozen.batches(self.batches) if self.frozen else iter(self.loader)
        loss_sum = torch.tensor(position.loss_sum, dtype=widest_float(self.device), device=self.device)
        began, before = time.perf_counter(), position.seconds
        while position.step < stage.steps_per_epoch:
            step = (position.epoch - stage.first_epoch) * stage.steps_per_epoch + position.step
            set_rate(optimizer, stage.rate(step, lowered))
            loss_sum += self._step(model, optimizer, batches)
            position.step += 1
            position.seconds = before + time.perf_counter() - began
            done = position.epoch * stage.steps_per_epoch + position.step
            self.progress.step(position.epoch, done, self.config.batch_size)
            if self._must_stop(signals, position.step == stage.steps_per_epoch):
                position.loss_sum = float(loss_sum)
                self.saving.save(stage.name, optimizer, position)
                raise Stopped(signals.received, self.run.folder)
        position.loss_sum = float(loss_sum)
        try:
            self._finish_epoch(stage, optimizer, signals)
        except Interrupted as interrupted:  # all steps of the epoch are done, and the whole validation is to come
            signals.agreed(self.accelerator)
            self.saving.save(stage.name, optimizer, position)
            raise Stopped(signals.received, self.run.folder) from interrupted

    def _step(self, model: nn.Module, optimizer: Any, batches: Any) -> Tensor:
        """One optimiser step; its mean loss, on the device."""
        model.train()
        freeze_statistics(self.model, self.config.freeze_batchnorm)
        seed = int(
            np.random.SeedSequence([self.config.seed, self.position.epoch, self.position.step]).generate_state(1)[0]
        )
        drawn = self.augment.draw(self.config.batch_size, torch.Generator().manual_seed(seed))
        torch.manual_seed(seed + self.accelerator.process_index)
        total = torch.zeros((), dtype=widest_float(self.device), device=self.device)
        if self.group_dro:
            self.group_dro.begin(self.batches.of_step(self.position.step))
        side = image_size_of_epoch(self.config, self.position.epoch)
        for micro_batch in range(self.share.micro_batches):
            batch: Batch = next(batches)
            images = batch.images.to(self.device, non_blocking=True)
            if not self.frozen:
                images = self.augment(images, drawn[self.share.rows(micro_batch)])
                if images.shape[-1] > side:
                    images = functional.interpolate(images, side, mode="bilinear", antialias=True)
            labels = batch.labels.to(self.device, non_blocking=True)
            images, targets, share = self.targets(images, labels, seed + micro_batch)
            mean = partial(self.group_dro.mean, batch=batch, share=share) if self.group_dro else torch.mean
            waits = micro_batch + 1 < self.share.micro_batches
            with self.accelerator.no_sync(model) if waits else contextlib.nullcontext():
                loss = self.loss(model, images, targets, mean) / self.share.micro_batches
                self.accelerator.backward(loss)
            total += loss.detach()
        if self.group_dro:
            self.group_dro.end()
        self.bad_steps = torch.where(total.isfinite(), 0, self.bad_steps + 1)
        if self.config.max_grad_norm is not None:
            self.accelerator.clip_grad_norm_(model.parameters(), self.config.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        if self.ema:
            self.ema.update(self.model, step=self._steps_done())
        return total

    def _must_stop(self, signals: StopSignals, at_end: bool) -> bool:
        """Whether any process got a signal; fails when the loss of any is no number any more."""
        alone, on_cpu = self.accelerator.num_processes == 1, self.device.type == "cpu"
        every = 1 if on_cpu else max(1, CHECK_EVERY // self.share.micro_batches)
        if not at_end and self.position.step % every:
            return bool(signals.received) and alone
        flags = torch.tensor([signals.received, int(self.bad_steps)], device=self.device)
        if not alone:
            flags = torch.stack(list(self.accelerator.gather(flags).view(-1, 2))).amax(0)
        allowed = SCALER_PATIENCE if self.accelerator.scaler is not None else 0
        if int(flags[1]) > allowed:
            self.saving.write_best()
            raise self.run.failed(self.position, self.accelerator.is_main_process)
        return signals.take_over(int(flags[0]))

    def _finish_epoch(self, stage: Stage, optimizer: Any, signals: StopSignals) -> None:
        """Validate, keep the weights if they are the best, and save all that a resumed run needs."""
        position, config = self.position, self.config
        judged = self.ema.module if self.ema else self.model
        predict = partial(
            predict_logits,
            data_config=self.data_config,
            workers=self.workers,
            precision=self.accelerator.mixed_precision,
            asked_to_stop=lambda: signals.received,
        )
        if self.frozen:
            predict = self.frozen.instead_of(predict, self.data["validation"])
        metrics = validate(judged, self.data, predict, position.epoch + 1)
        loss = float(reduce(torch.tensor(position.loss_sum, device=self.device), "mean"))
        entry = {
            "epoch": position.epoch + 1,
            "stage": stage.name,
            "rate": max(group["lr"] for group in optimizer.param_groups),
            "train_loss": loss / stage.steps_per_epoch,
            "images_per_second": round(stage.steps_per_epoch * config.batch_size / max(position.seconds, 1e-9), 2),
            "seconds": round(position.seconds, 2),
            **metrics,
        } | ({"group_weights": self.group_dro.weights()} if self.group_dro else {})
        (entry,) = broadcast_object_list([entry])  # the clock differs between processes, decisions must not
        value = entry[config.monitor]
        position.history.append(entry)
        is_best = better(config.monitor, value, position.best_value)
        if is_best:
            position.best_epoch, position.best_value = position.epoch + 1, value
        position.epoch, position.step, position.loss_sum, position.seconds = position.epoch + 1, 0, 0.0, 0.0
        short = self.frozen is not None and self.after_epoch is None  # what is pushed must be written
        if is_best:
            self.saving.keep_best(judged, short)
        self.saving.save(stage.name, optimizer, position, short)
        tracked = {name: number for name, number in entry.items() if isinstance(number, float)}
        self.accelerator.log(tracked, step=position.epoch)
        self.progress.epoch(entry, config.monitor, is_best)
        if self.after_epoch and self.accelerator.is_main_process:
            signals.at_once(partial(self.after_epoch, position.epoch))

    def _steps_done(self) -> int:
        """Optimiser steps before the one in hand."""
        return self.position.epoch * self.stages[0].steps_per_epoch + self.position.step

    def _values(self, stage: Stage) -> list[float]:
        """The monitored metric after each epoch of a stage."""
        return [entry[self.config.monitor] for entry in self.position.history if entry["stage"] == stage.name]

    def _out_of_patience(self, stage: Stage) -> bool:
        """Whether the metric has not become better for too many epochs of the stage."""
        patience = self.config.patience
        return patience is not None and epochs_without_gain(self.config.monitor, self._values(stage)) >= patience
