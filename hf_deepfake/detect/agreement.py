"""Export a checkpoint for faster runtimes, and measure on images whether they may stand in for torch."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from datasets import Dataset, Image, concatenate_datasets
from numpy.typing import NDArray

from hf_deepfake.config import LABELS, DataConfig
from hf_deepfake.data.load import prepare
from hf_deepfake.detect.detector import Detector
from hf_deepfake.detect.verdict import Verdict
from hf_deepfake.errors import InputError
from hf_deepfake.files import try_folder
from hf_deepfake.images.open import open_image
from hf_deepfake.machine import BF16_FLAGS, cpu_flags, cpu_name, usable_cores
from hf_deepfake.metrics.bootstrap import index_groups
from hf_deepfake.metrics.classification import Floats
from hf_deepfake.metrics.result import Metric
from hf_deepfake.models.checkpoint import LoadedCheckpoint, load_checkpoint
from hf_deepfake.report.compare import auc_difference
from hf_deepfake.report.report import REPORT_FILE, BackendResult, Report
from hf_deepfake.report.text_table import align
from hf_deepfake.runtimes.export import Format, export_backend
from hf_deepfake.runtimes.variants import PLAIN, Variant

CALIBRATED_ON = 300
"""Training images that set the ranges of int8: as many as NNCF takes where it is not told."""

JUDGED_ON = 1000
"""Images by which agreement is evaluated, at most: those of the validation split first, then of the training split."""

LARGEST = {"fp32": 1e-4, "bf16": 5e-3, "int8": np.inf}
"""Largest difference of P(fake) that a precision may make."""

MEAN = 0.01
"""Largest mean difference of P(fake)."""

AUC_MARGIN = 0.005
"""Change of the AUC that is as good as none: half of what another seed of the same training makes."""

FEWEST = 30
"""Groups that an interval needs where it alone says that scores may stand in for others; of fewer it is too narrow."""


def export(checkpoint: str, config: DataConfig, form: Format, *, int8: bool = False) -> list[BackendResult]:
    """Write a checkpoint for a runtime, and note in its report how far it agrees with torch.

    What agrees is shown to be equivalent, see `doubts`: that no difference is shown is not enough, for few images
    never show one. int8 is calibrated on training images that are not among those evaluated; the test split is not
    looked at.

    Args:
        checkpoint: folder; receives `backends/`, and its report the results.
        config: images like those that it will evaluate, such as its training data.
        form: "openvino" or "onnx".
        int8: also quantise.

    Returns:
        The results of all variants that the checkpoint has now, torch in float32 first.

    Raises:
        InputError: checkpoint, data or packages are not here, or the checkpoint has no report.
    """
    loaded = load_checkpoint(checkpoint)
    if not (loaded.folder / REPORT_FILE).is_file():
        raise InputError(f"{checkpoint} has no {REPORT_FILE} to note agreement in; export from the folder of its run")
    if not loaded.trusted:
        raise InputError(f"{REPORT_FILE} of {checkpoint} tells of other weights; run hf-deepfake recalibrate first")
    report = Report.load(loaded.folder / REPORT_FILE)
    try_folder(loaded.folder)
    data, _ = prepare(config)
    train, validation = data["train"], data["validation"]
    rows = np.random.default_rng(0).permutation(len(train))
    if int8 and not len(train):
        raise InputError("int8 needs training images for its calibration; give data with a training split")
    side = loaded.config["pretrained_cfg"]["input_size"][-1]
    export_backend(loaded.model, side, loaded.folder, form)
    if int8:
        pixels = list(_pixels(loaded, train.select(rows[:CALIBRATED_ON])))
        export_backend(loaded.model, side, loaded.folder, form, pixels)
    judged = concatenate_datasets([validation, train.select(rows[CALIBRATED_ON:])])
    judged = judged.select(range(min(JUDGED_ON, len(judged))))
    if len(set(judged["label"])) < len(LABELS):
        raise InputError("agreement needs validation or training images of both classes; give data that has them")
    bf16 = bool(cpu_flags() & BF16_FLAGS)
    variants = [PLAIN, *([Variant("torch", "bf16")] if bf16 else []), Variant(form, "fp32")]
    variants += [Variant(form, "bf16")] if bf16 and form == "openvino" else []
    variants += [Variant(form, "int8")] if int8 else []
    results = _measure(loaded, judged, variants)
    kept = [one for one in report.backends if Variant(one.runtime, one.precision) not in variants]
    report = replace(report, backends=[*results, *kept])
    report.save(loaded.folder / REPORT_FILE)
    return report.backends


def doubts(precision: str, differences: Floats, auc: Metric, changed: int, n_groups: int) -> list[str]:
    """Say what speaks against a variant's standing in for torch.

    It may where it is equivalent (Schuirmann 1987): the whole 95 % interval of the AUC's change lies within .005 of
    none. Besides, P(fake) may differ by 1e-4 on any image in float32 and by .005 in bfloat16, in all precisions by
    .01 on average, and no verdict may change but from or to "unsure". int8, which may move single scores at will,
    needs 30 groups of images.

    Args:
        precision: "fp32", "bf16" or "int8".
        differences: (N,), absolute, of P(fake).
        auc: the variant's less torch's.
        changed: verdicts that changed, "unsure" aside.
        n_groups: groups of images, as they were resampled for `auc`.

    Returns:
        Clauses, none where it may.
    """
    found = []
    if differences.max() > LARGEST[precision]:
        found.append(f"a score moves by {differences.max():.2g}, and {LARGEST[precision]:g} is the most")
    if differences.mean() > MEAN:
        found.append(f"scores move by {differences.mean():.2g} on average, and {MEAN:g} is the most")
    if auc.low is None or auc.high is None:
        found.append(f"what the AUC changes by is not known ({auc.reason})")
    elif max(-auc.low, auc.high) > AUC_MARGIN:
        found.append(f"it is not shown that the AUC changes by {AUC_MARGIN:g} at most")
    if changed:
        found.append(f"{changed} verdicts change")
    if precision == "int8" and n_groups < FEWEST:
        found.append(f"{n_groups} groups of images show nothing, and {FEWEST} are needed")
    return found


def summary(results: Sequence[BackendResult]) -> str:
    """Lay out how variants agree.

    Args:
        results: of `export`.

    Returns:
        A text table.
    """
    rows = [["", "Images", "Largest", "Mean", "AUC changes by", "Verdicts changed", "Images/s", "Agrees"]]
    for one in results:
        numbers = [f"{one.n:,}", f"{one.largest:.2g}", f"{one.mean:.2g}", str(one.auc_difference), str(one.changed)]
        name, word = str(Variant(one.runtime, one.precision)), "yes" if one.agrees else f"no: {one.doubt}"
        rows.append([name, *numbers, f"{one.images_per_second:.1f}", word])
    return "\n".join(align(rows))


def _pixels(loaded: LoadedCheckpoint, images: Dataset) -> Iterator[NDArray[np.float32]]:
    """Images as the model takes them, (1, 3, S, S) each."""
    for image in _encoded(images):
        yield loaded.transform(open_image(image))[None].numpy()


def _encoded(dataset: Dataset) -> list[bytes | str]:
    """Files of a split."""
    images = dataset.cast_column("image", Image(decode=False))["image"]
    return [image["bytes"] or image["path"] for image in images]


def _measure(loaded: LoadedCheckpoint, dataset: Dataset, variants: Sequence[Variant]) -> list[BackendResult]:
    """Score the images by each variant and hold it against the first."""
    files, labels = _encoded(dataset), np.asarray(dataset["label"])
    groups = dataset["group"] if "group" in dataset.column_names else None
    index = index_groups(groups, len(labels))
    machine = f"{cpu_name()}, {usable_cores()} cores"
    results: list[BackendResult] = []
    plain: list[Verdict] = []
    for variant in variants:
        detector = Detector(loaded, "cpu", "off", variant)
        detector(files[:2])  # the first call also compiles
        began = time.perf_counter()
        verdicts = [one for one in detector(files) if isinstance(one, Verdict)]
        speed = len(files) / (time.perf_counter() - began)
        plain = plain or verdicts
        before, after = (np.array([one.fake_probability for one in list_]) for list_ in (plain, verdicts))
        difference = np.abs(after - before)
        auc, _ = auc_difference([after, before], labels, index)
        changed = sum(
            one.label != other.label and not (one.unsure or other.unsure)
            for one, other in zip(plain, verdicts, strict=True)
        )
        against = [] if variant == PLAIN else doubts(variant.precision, difference, auc, changed, int(index.max()) + 1)
        results.append(
            BackendResult(
                variant.runtime,
                variant.precision,
                len(files),
                float(difference.max()),
                float(difference.mean()),
                auc,
                changed,
                not against,
                speed,
                machine,
                "; ".join(against),
            )
        )
    return results
