"""Every option of the package: its type, default, unit and the reason for the default.

The same names serve in Python (`TrainConfig(model="resnet18")`), in YAML (`model: resnet18`) and on the
command line (`--model resnet18`). Unknown names and values of the wrong type or range are errors.
"""

import difflib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from hf_deepfake.criterion import parse_criterion
from hf_deepfake.errors import InputError
from hf_deepfake.options import checked, option

LABELS = ("real", "fake")
"""Class names in index order; index 1, "fake", is the positive class everywhere."""

SPLITS = ("train", "validation", "test")

Config = TypeVar("Config", bound="DataConfig")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where images come from and how they are split. `load_images` takes these as keyword arguments."""

    data: tuple[str, ...] = option(
        (),
        "sources: folder, zip, table of files and labels, parquet or WebDataset files, Hub id, kaggle:owner/name, or "
        "sample; several are merged",
        path=True,
        several=True,
    )
    real_names: tuple[str, ...] = option(
        (), "a further folder name or label that means real; give it again for another", several=True
    )
    fake_names: tuple[str, ...] = option(
        (), "a further folder name or label that means fake; give it again for another", several=True
    )
    groups: Literal["auto", "folder", "name", "given"] = option(
        "auto",
        "what stays together where no table says it: auto, by folders and file names that look like videos or persons; "
        "each folder; each file name without its last number; or only what is given",
    )
    origins: tuple[str, ...] = option(
        (),
        "SOURCE=ORIGIN of sources that share photographs or a generator, which count as one; default: the column "
        "origin of a source's table, else each source is its own origin",
        several=True,
    )
    without_origins: tuple[str, ...] = option((), "origins whose images are left out", several=True)
    fold: str = option(
        "",
        "K/N, such as 2/5: the test split is fold K of N, whatever splits are given; over all folds each image is "
        "tested once",
    )
    validation_share: float = option(
        0.15, "share of train that becomes validation where the source has no such split", 0.01, 0.5
    )
    split_seed: int = option(0, "seed of any split made here; apart from --seed, so that runs compare", 0)
    on_leak: Literal["drop", "error", "keep"] = option(
        "drop", "a group or image that given splits share: drop it from the earlier split, stop, or keep it"
    )
    on_bad_file: Literal["skip", "error"] = option("skip", "a file that does not open: skip and count it, or stop")
    cache_dir: str | None = option(
        None,
        "where zips are unpacked and hashes and features kept; default $HF_DEEPFAKE_CACHE or ~/.cache/hf_deepfake",
        path=True,
    )

    @property
    def several_roles(self) -> bool:
        """Whether sources are loaded in several roles, of which the option `origins` may name all."""
        return False

    def __post_init__(self) -> None:
        """Check every value's type and range."""
        hints = typing.get_type_hints(type(self))
        for item in fields(self):
            object.__setattr__(self, item.name, checked(item, hints[item.name], getattr(self, item.name)))


@dataclass(frozen=True, kw_only=True)
class DecisionConfig(DataConfig):
    """How scores of validation images become verdicts."""

    criterion: str = option(
        "auto",
        "what the operating point is chosen by: accuracy, balanced, f1, eer, cost, fpr<=X or recall>=X (X a share), or "
        "auto: accuracy, and balanced where a class is rare in validation, as accuracy then pays for calling all alike",
    )
    miss_cost: float = option(1.0, "for the criterion cost: what a missed fake costs, a false alarm costing 1", 0.001)
    prior: float = option(0.5, "for the criterion cost: share of fakes among images to be evaluated", 1e-6, 1 - 1e-6)
    confident_error: float = option(
        0.05, "share of each class that may be confidently misclassified; what lies between is unsure", 0.0001, 0.5
    )
    band: Literal["worst_origin", "pooled"] = option(
        "worst_origin",
        "abstention band: the widest that any origin among the images that decide needs, as images to come may be of "
        "the hardest; or that of all these images together",
    )

    def __post_init__(self) -> None:
        """Check the criterion too."""
        super().__post_init__()
        parse_criterion(self.criterion)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(DecisionConfig):
    """A whole training run. Defaults suit a pretrained backbone on some thousands of face crops."""

    calibration_data: tuple[str, ...] = option(
        (),
        "sources foreign to data, which decide on temperature, operating point and abstention band in place of the "
        "validation split, whose certainty holds for sources like those of data alone",
        path=True,
        several=True,
    )

    output_dir: str = option("", "folder of the run; it must be new, or see --resume and --overwrite", path=True)
    resume: bool = option(False, "go on with the run in output_dir from where it stopped")
    overwrite: bool = option(False, "throw away the run in output_dir and start anew")

    audit: Literal["basic", "full", "off"] = option(
        "basic",
        "look for leaks and shortcuts first: basic reads facts of some files, and sees no near duplicates; full, all "
        "images; or off",
    )

    model: str = option(
        "resnet50", "name of any timm backbone, timm/NAME, or hf-hub:OWNER/NAME, a repository in timm's format"
    )
    pretrained: str = option(
        "hub",
        "pretrained weights: hub, off, or a local file or folder (timm, torchvision, lukemelas)",
        off="off",
        path=True,
    )
    image_size: int = option(224, "side of the square input, px", 32, 1024)
    drop_rate: float = option(0.0, "dropout before the classifier", 0.0, 0.9)
    adapter: Literal["none", "layernorm", "batchnorm", "lora", "osf"] = option(
        "none", "freeze the backbone but for an adapter (PEFT): its normalisation layers, low-rank additions, or none"
    )
    adapter_rank: int | None = option(
        None, "trained rank of each linear layer, for lora (default 8) and osf (default 1)", 1, 1024
    )

    head_epochs: int = option(0, "epochs of the first stage, which trains the classifier alone", 0)
    head_lr: float = option(1e-3, "learning rate of the first stage: a fresh linear layer bears a high one", 0.0)
    epochs: int = option(10, "epochs of the main stage", 0)
    lr: float = option(3e-4, "learning rate of the main stage at its peak", 0.0)
    last_blocks: int | None = option(None, "train only this many last blocks in the main stage; default all", 1)
    layer_decay: float | None = option(None, "a block's learning rate is this times the next block's", 0.1, 1.0)
    initial_image_size: int | None = option(
        None, "side of the input in the main stage's first epoch, px; it grows to image_size in the last", 32, 1024
    )
    freeze_batchnorm: bool = option(
        False, "keep every BatchNorm at its stored statistics (those of frozen blocks always are)"
    )
    steps_per_epoch: int | None = option(None, "cap on optimiser steps in an epoch; default one pass", 1)

    batch_size: int = option(
        32, "images per optimiser step, over all processes and gradient accumulation steps together", 2
    )
    gradient_accumulation_steps: int = option(1, "parts that a step's images are cut into, to fit memory", 1)
    gradient_checkpointing: bool = option(
        False, "compute each block again in the backward pass in place of keeping it: less memory, one more pass"
    )
    sampling: Literal["shuffle", "balanced", "paired"] = option(
        "shuffle", "order: every image once; classes equally often; or each real beside a fake of its group"
    )
    origin_sampling_alpha: float = option(
        0.0, "of several origins: 0 shows each as often as it has images, 1 all equally often", 0.0, 1.0
    )
    group_dro: float | None = option(
        None,
        "step size of group weights in the loss, such as .01, by which each class of each origin weighs the more the "
        "higher its loss is (group DRO); default all images weigh alike",
        above=0.0,
    )
    class_weights: tuple[float, ...] | None = option(
        None, "weights of real and fake in the loss, such as 1.3 1", above=0.0, several=True
    )
    label_smoothing: float = option(0.0, "share of the target spread over both classes", 0.0, 0.5)
    mixup: float = option(0.0, "alpha of mixup; 0 is off", 0.0)
    cutmix: float = option(0.0, "alpha of cutmix; 0 is off", 0.0)
    teacher: tuple[str, ...] = option(
        (),
        "checkpoint whose probability of each image is part of its target (distillation); of several, the probability "
        "by their mean log-odds",
        path=True,
        several=True,
    )
    distillation_weight: float = option(
        0.5, "share of the target that is the teacher's; the rest is the label", 0.0, 1.0
    )
    alignment_weight: float = option(
        0.0,
        "factor of a loss that draws embeddings of one class together, beside cross-entropy (GenD: .1); 0 is off",
        0.0,
    )
    uniformity_weight: float = option(
        0.0, "factor of a loss that spreads all embeddings over the sphere (GenD: .5); 0 is off", 0.0
    )
    optimizer: Literal["adamw", "adam", "sgd"] = option("adamw", "adamw, adam, or sgd with Nesterov momentum .9")
    weight_decay: float | None = option(
        None, "none on biases and normalisation; default .05 for adamw (decoupled), 0 for adam and sgd", 0.0
    )
    schedule: Literal["cosine", "plateau", "constant"] = option(
        "cosine", "learning rate over the main stage: to zero by a cosine; lowered on a plateau; or constant"
    )
    warmup_steps: int = option(100, "optimiser steps of linear warm-up in each stage, at most a tenth of the stage", 0)
    plateau_patience: int = option(2, "epochs without a better metric before plateau lowers the rate", 1)
    plateau_factor: float = option(0.5, "what plateau multiplies the rate by", 0.01, 0.99)
    max_grad_norm: float | None = option(None, "largest gradient norm", above=0.0)
    ema: float | None = option(
        None, "decay of averaged weights, such as .999; they are evaluated and kept; 0 is off", 0.0, below=1.0
    )

    flip: float = option(0.5, "probability of a horizontal flip", 0.0, 1.0)
    crop_scale: float = option(0.8, "smallest area of a random crop, as a share; 1 is off", 0.05, 1.0)
    rotate: float = option(0.0, "largest rotation, degrees", 0.0, 180.0)
    colour: float = option(0.2, "largest change of brightness, contrast and saturation, as a share; 0 is off", 0.0, 1.0)

    degrade: float = option(
        0.0,
        "share of training images degraded: one to three of 33 kinds (JPEG, H.264, blur, noise ...), any severity",
        0.0,
        1.0,
    )

    self_blend: float = option(
        0.0,
        "share of fakes made on the fly of the real beside them; with sampling balanced or paired",
        0.0,
        1,
    )

    monitor: Literal[
        "auc", "average_precision", "accuracy", "balanced_accuracy", "f1_fake", "log_loss", "foreign_auc"
    ] = option(
        "auc",
        "validation metric that chooses the epoch: AUC needs no threshold; foreign_auc is the mean AUC over the "
        "origins of calibration_data",
    )
    patience: int | None = option(None, "stop after this many epochs without a better metric; default never", 1)

    explained: int = option(
        32, "test images, half of each class, on which maps are measured: a pass over 60 times as many; 0 is off", 0
    )

    save_fp16: bool = option(
        False, "store the weights in float16, half the size; all figures are then those of the rounded weights"
    )
    data_license: str = option("", "licence of the images, stated in the card")
    push_to_hub: str = option("", "push the finished checkpoint to this OWNER/NAME on the Hub")
    hub_license: str = option("", "the Hub's name of the licence of what is pushed; nobody can choose it for you")
    hub_private: bool = option(False, "only the owner may see what is pushed")
    push_every: int | None = option(
        None, "push the best epoch so far to the branch training, too, every this many epochs", 1
    )

    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = option(
        "auto", "auto: the launcher's choice; else bf16 where the GPU or the CPU's flags make it faster"
    )
    compile: bool = option(False, "compile the model (torch.compile): minutes at the start, faster steps after")
    workers: int | None = option(None, "processes that decode images, each; default one per core, at most 8", 0)
    seed: int = option(0, "seed of weights, order and augmentation", 0, 2**32 - 1)
    tracker: Literal["none", "tensorboard", "trackio"] = option("none", "experiment tracker, through Accelerate")

    @property
    def several_roles(self) -> bool:
        """Whether there is calibration data apart from the training data."""
        return bool(self.calibration_data)

    def __post_init__(self) -> None:
        """Check what no single option shows."""
        super().__post_init__()
        object.__setattr__(self, "model", self.model.removeprefix("timm/"))  # the Hub's name of timm's own
        if not self.data:
            raise InputError("no data given; name a source, such as --data faces.zip or --data sample")
        if not self.output_dir:
            raise InputError("no output folder given; add --output_dir runs/NAME")
        if self.resume and self.overwrite:
            raise InputError("--resume and --overwrite contradict each other; give one of them")
        if self.monitor == "foreign_auc" and not self.calibration_data:
            raise InputError("monitor foreign_auc needs foreign images; add --calibration_data, or monitor auc")
        if self.head_epochs + self.epochs == 0:
            raise InputError("head_epochs and epochs are both 0; nothing would be trained, so raise one of them")
        if self.class_weights is not None and len(self.class_weights) != len(LABELS):
            raise InputError(f"class_weights needs two numbers, real and fake, not {len(self.class_weights)}")
        if self.group_dro is not None and self.class_weights is not None:
            raise InputError("group_dro finds a weight for each class of each origin; leave it or class_weights out")
        if self.self_blend and self.sampling == "shuffle":
            raise InputError("self_blend needs a real beside each fake; add --sampling balanced or paired")
        if self.compile and (self.alignment_weight or self.uniformity_weight):
            raise InputError("a compiled model hides its embeddings; leave out compile, or both losses on embeddings")
        if self.push_to_hub and not self.hub_license:
            raise InputError("push_to_hub needs a licence; add --hub_license, such as cc-by-nc-4.0")
        if not self.push_to_hub and (self.hub_license or self.hub_private or self.push_every):
            raise InputError("nothing is pushed without a repository; add --push_to_hub OWNER/NAME")
        if self.adapter != "none" and (self.last_blocks is not None or self.layer_decay is not None):
            raise InputError("an adapter trains parts of every block; leave out last_blocks and layer_decay")
        if self.adapter_rank is not None and self.adapter not in {"lora", "osf"}:
            raise InputError("adapter_rank is for the adapters lora and osf; leave it out")
        if self.initial_image_size is not None and self.initial_image_size > self.image_size:
            raise InputError(
                f"initial_image_size {self.initial_image_size} is more than image_size {self.image_size}; swap them"
            )
        if self.batch_size % self.gradient_accumulation_steps:
            raise InputError(
                f"batch_size {self.batch_size} does not divide by gradient_accumulation_steps "
                f"{self.gradient_accumulation_steps}"
            )


def build(kind: type[Config], *layers: Mapping[str, Any]) -> Config:
    """Make a configuration from layers of options, later ones winning (recipe, then command line).

    Args:
        kind: `DataConfig` or `TrainConfig`.
        *layers: mappings from option name to value; text is converted to the option's type.

    Returns:
        The checked configuration.

    Raises:
        InputError: an option is unknown, or a value has the wrong type or range.
    """
    names = {item.name for item in fields(kind)}
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            if name not in names:
                near = difflib.get_close_matches(str(name), names, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known options: {', '.join(sorted(names))}."
                raise InputError(f"unknown option {name!r}; {hint}")
            merged[name] = value
    return kind(**merged)
