"""Models of others: image classifiers of `transformers`, and functions; and which of all kinds a name means."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from accelerate import PartialState
from datasets import Dataset
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from hf_deepfake.config import LABELS, DataConfig
from hf_deepfake.data.batch import OpenedBatch, OpenedImages
from hf_deepfake.data.names import class_names, normal
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.functions import Function, FunctionScorer, find_function
from hf_deepfake.evaluation.inference import by_all_processes
from hf_deepfake.evaluation.scorers import BATCH_SIZE, UNDECIDED, Change, CheckpointScorer, Scorer, process_device, said
from hf_deepfake.files import local_path
from hf_deepfake.machine import default_workers
from hf_deepfake.metrics.classification import Floats
from hf_deepfake.models.adapter_folder import ADAPTER_CONFIG, is_adapter
from hf_deepfake.models.checkpoint import LoadedCheckpoint, checkpoint_name, load_checkpoint
from hf_deepfake.models.fetch import fetch_repo, is_repo
from hf_deepfake.models.replace import CONFIG_FILE
from hf_deepfake.report.report import CheckpointInfo

logger = logging.getLogger(__name__)

Model = str | Path | Function
"""Whatever can be evaluated; see `open_scorer`."""

SAFE_WEIGHTS = ("model*.safetensors", "model.safetensors.index.json")
PICKLED_WEIGHTS = ("pytorch_model*.bin", "pytorch_model.bin.index.json")
SETTINGS = (CONFIG_FILE, "preprocessor_config.json", "processor_config.json")
"""Files of a model of `transformers`, as patterns."""


def open_scorer(model: Model, labels: Mapping[str, str] | None = None) -> Scorer:
    """Open whatever can be evaluated: a checkpoint of ours, a model of `transformers`, or a function.

    Args:
        model: as for `evaluation.evaluate.evaluate`. What lies here wins over a function or a repository of the name.
        labels: "real" or "fake" by label of a model of `transformers`, before what the labels mean otherwise.

    Returns:
        The scorer.

    Raises:
        InputError: there is no such thing, it cannot be loaded, or a label means neither class.
    """
    if function := find_function(model):
        return FunctionScorer(*function)
    name = str(model)
    folder, revision = _find(name)
    if folder is not None and is_foreign(folder):
        local = local_path(name).is_dir()
        if not local:
            repo = name.partition("@")[0]
            fetch_repo(repo, (*SETTINGS, *SAFE_WEIGHTS), revision=revision)
            if not list(folder.glob("*.safetensors")):
                fetch_repo(repo, PICKLED_WEIGHTS, revision=revision)
        return TransformersScorer(checkpoint_name(name) if local else name, folder, labels)
    return CheckpointScorer(name, load_checkpoint(name.partition("@")[0] if revision else name, revision=revision))


def load_ours(model: Model) -> LoadedCheckpoint | None:
    """Load a checkpoint of ours.

    Args:
        model: as for `open_scorer`.

    Returns:
        The checkpoint; None where the model is one of others.

    Raises:
        InputError: as for `open_scorer`.
    """
    if find_function(model):
        return None
    folder, revision = _find(str(model))
    if folder is not None and is_foreign(folder):
        return None
    return load_checkpoint(str(model).partition("@")[0] if revision else str(model), revision=revision)


def check_labels_used(labels: Mapping[str, str] | None, scorers: Sequence[Scorer]) -> None:
    """Refuse labels that none of some models has.

    Args:
        labels: as for `open_scorer`.
        scorers: all that are evaluated.

    Raises:
        InputError: there is such a label.
    """
    known = [label for scorer in scorers for label in scorer.label_names]
    unknown = [label for label in labels or {} if normal(label) not in map(normal, known)]
    if unknown:
        has = f"the labels here are {', '.join(dict.fromkeys(known))}" if known else "no model here has labels to map"
        raise InputError(f"--labels maps {', '.join(unknown)}, but {has}; correct it or leave it out")


def parse_labels(text: str) -> dict[str, str]:
    """Read what labels mean.

    Args:
        text: such as "Realism=real,Deepfake=fake"; labels may hold commas and equals signs.

    Returns:
        "real" or "fake" by label.

    Raises:
        InputError: it isn't of this form.
    """
    pairs = re.findall(rf"(.+?)\s*=\s*({'|'.join(LABELS)})\s*(?:,\s*|$)", text)
    if not pairs or re.sub(r"\s", "", ",".join(map("=".join, pairs))) != re.sub(r"\s|,$", "", text):
        raise InputError(f"--labels is {text!r}; write each label with its class, such as LABEL_0=real,LABEL_1=fake")
    return dict(pairs)


def is_foreign(folder: str | Path) -> bool:
    """Whether a folder holds a model of `transformers` that is no checkpoint of ours."""
    folder = local_path(folder)
    if is_adapter(folder):
        return False
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(config, dict) or ("architecture" in config and config.get("label_names") == list(LABELS)):
        return False
    return not config.keys().isdisjoint({"model_type", "architectures", "architecture"})


class TransformersScorer(Scorer):
    """An image-classification model of `transformers` with its own image processor. No code of its folder is run.

    P(fake) is what its own pipeline gives the labels that mean fake, as share of what it gives all labels.

    Args:
        name: its folder or repository.
        folder: where it lies, as `save_pretrained` writes it.
        labels: as for `open_scorer`.

    Raises:
        InputError: it cannot be loaded, or a label means neither class.
    """

    def __init__(self, name: str, folder: Path, labels: Mapping[str, str] | None = None) -> None:
        from transformers import AutoImageProcessor, AutoModelForImageClassification  # seconds to import

        self.name = name
        safe = bool(list(folder.glob("*.safetensors")))
        if not safe:
            logger.warning("%s has no safetensors; its pickled weights are read as tensors alone", name)
        try:
            # From pickles torch reads tensors alone (weights_only), where there are no safetensors.
            self.model, found = AutoModelForImageClassification.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=safe,
                dtype=torch.float32,
                output_loading_info=True,
            )
            if found["missing_keys"]:
                raise InputError(f"it has no weights for {', '.join(sorted(found['missing_keys'])[:3])}")
            self.model.eval()
            self.processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            self.size = int(self._prepare(PIL.Image.new("RGB", (224, 224))).shape[-1])
        except Exception as error:  # what its authors saved may break the loader in any way
            raise InputError(
                f"{name} cannot be loaded as an image-classification model of transformers ({said(error)}); give a "
                "folder or repository that its save_pretrained wrote, with its image processor"
            ) from error
        names = self.model.config.id2label
        self.label_names = tuple(str(names[index]) for index in range(len(names)))
        self.classes = _classes(name, self.label_names, labels)

    def describe(self) -> CheckpointInfo:
        """What a report says of it."""
        meant = [
            " and ".join(name for name, label in zip(self.label_names, self.classes, strict=True) if label == index)
            or "the rest"
            for index in range(len(LABELS))
        ]
        kind = f"{type(self.model).__name__} of transformers; its {meant[0]} counts as real, {meant[1]} as fake."
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        return CheckpointInfo(self.name, self.size, parameters, remarks=[kind, *UNDECIDED])

    def score(self, images: Dataset, *, change: Change | None = None, fast: bool = False, title: str = "") -> Floats:
        """Score images, in float32; see `Scorer.score`."""
        device = process_device()
        self.model.to(device)

        def compute(batch: OpenedBatch) -> NDArray:
            """P(fake) of a batch."""
            same = len({image.shape for image in batch.images}) == 1
            parts = [torch.cat(batch.images)] if same else batch.images
            fake = self._fake(torch.cat([self.model(pixel_values=part.to(device)).logits for part in parts]))
            if not np.isfinite(fake).all():
                raise InputError(f"{self.name} gives scores that are no numbers; fetch or export it again")
            return fake

        opened = OpenedImages(images, self._prepare, change, self.size)
        return by_all_processes(compute, opened, default_workers(PartialState().num_processes), BATCH_SIZE, (), title)

    def _prepare(self, image: PIL.Image.Image) -> Tensor:
        """float32 (1, 3, H, W), made by its own image processor."""
        return self.processor(images=image, return_tensors="pt")["pixel_values"].float()

    def _fake(self, logits: Tensor) -> NDArray:
        """P(fake) from logits (B, labels), as `transformers`' pipeline makes probabilities of them."""
        values = logits.double().cpu()
        if len(self.classes) == 1:
            return expit(values[:, 0].numpy() * (1 if self.classes[0] else -1))
        several = self.model.config.problem_type == "multi_label_classification"
        parts = torch.nn.functional.logsigmoid(values) if several else values.log_softmax(1)
        real, fake = (
            parts[:, [index for index, label in enumerate(self.classes) if label == of]].logsumexp(1) for of in (0, 1)
        )
        return expit((fake - real).numpy())


def _find(name: str) -> tuple[Path | None, str | None]:
    """Folder of a model, of which from the Hub only what tells its kind is fetched; and the revision that is asked for.

    No folder where the name is none: `load_checkpoint` says what is wrong with it.
    """
    path = local_path(name)
    if path.exists():
        return (path if path.is_dir() else None), None
    repo, _, revision = name.partition("@")
    if not is_repo(repo):
        return None, None
    return fetch_repo(repo, (CONFIG_FILE, ADAPTER_CONFIG), revision=revision or None), revision or None


def _classes(model: str, names: Sequence[str], labels: Mapping[str, str] | None) -> tuple[int, ...]:
    """Index in `LABELS` of each label of a model."""
    classes = class_names(DataConfig(data=("none",)))
    for label, word in (labels or {}).items():
        if word not in LABELS:
            raise InputError(f"--labels says {label}={word}; a label can mean {' or '.join(LABELS)} only")
        classes[normal(label)] = LABELS.index(word)
    example = ",".join(f"{name}={LABELS[index % 2]}" for index, name in enumerate(names[:2]))
    if unknown := [name for name in names if normal(name) not in classes]:
        shown = ", ".join(unknown[:10]) + (f" and {len(unknown) - 10} more" if len(unknown) > 10 else "")
        raise InputError(
            f"{model} has labels that could mean {LABELS[0]} or {LABELS[1]}: {shown}; say which with --labels, such as "
            f"--labels {example}"
        )
    found = tuple(classes[normal(name)] for name in names)
    if len(found) > 1 and len(set(found)) < len(LABELS):
        raise InputError(
            f"the labels of {model}, {', '.join(names[:10])}, all mean {LABELS[found[0]]}; say which mean what with "
            f"--labels, such as --labels {example}"
        )
    return found
