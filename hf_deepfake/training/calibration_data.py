"""Images of the role calibration: foreign to training, they decide on temperature, operating point and band."""

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict, concatenate_datasets

from hf_deepfake.audits.roles import near_duplicates
from hf_deepfake.config import LABELS, TrainConfig
from hf_deepfake.data.data_report import DataReport
from hf_deepfake.data.load import hash_images, prepare
from hf_deepfake.errors import InputError
from hf_deepfake.metrics.foreign import mean_auc

CALIBRATION = "calibration"
"""Name of these images among the splits."""

logger = logging.getLogger(__name__)


def load_calibration(config: TrainConfig, data: DatasetDict, report: DataReport) -> tuple[Dataset, dict[str, Any]]:
    """Load the calibration data, without what leaks from the training data.

    Args:
        config: with `calibration_data`.
        data: splits of the training data, whichever they be: all of them chose something.
        report: what is known of these.

    Returns:
        The images, and what the run's record says of them: origins, sources, fingerprint and images left out by why.

    Raises:
        InputError: an origin has both roles, a class is missing, or the option `origins` names no source of either.
    """
    splits, found = prepare(replace(config, data=config.calibration_data), whole=True)
    found.warn_of_losses()
    if both := sorted(set(found.origins) & set(report.origins)):
        raise InputError(
            f"{', '.join(both)} is in data and in calibration_data, so that it is foreign to nothing; leave it out of "
            "one of them, or, where only the names are the same, give --origins SOURCE=ORIGIN"
        )
    known = {*report.sources, *found.sources}
    if unknown := {text.partition("=")[0] for text in config.origins} - known:
        raise InputError(
            f"origins names {', '.join(sorted(unknown))}, which is no source here; sources are "
            f"{', '.join(sorted(known))}"
        )
    images = concatenate_datasets(list(splits.values()))
    trained = concatenate_datasets([one.select_columns(["image"]) for one in data.values()])
    same = np.isin(hash_images(images, config), hash_images(trained, config))
    near = near_duplicates(images, trained) & ~same if config.audit == "full" else np.zeros(len(images), bool)
    groups = np.array(images["group"] if "group" in images.column_names else [None] * len(images), object)
    leaked = same | near
    beside = np.isin(groups.astype(str), groups[leaked & pd.notna(groups)].astype(str)) & ~leaked
    left_out = {
        "images": int(same.sum()),
        "near duplicates": int(near.sum()),
        "images of their groups": int(beside.sum()),
    }
    if any(left_out.values()):
        found_words = ", ".join(f"{count:,} {what}" for what, count in left_out.items() if count)
        if config.on_leak == "error":
            raise InputError(f"the calibration data share {found_words} with the training data; leave these out")
        logger.warning("leaks from the training data into the calibration data: %s; left out", found_words)
    images = images.select(np.flatnonzero(~(leaked | beside)))
    for label, name in enumerate(LABELS):
        if label not in images["label"]:
            raise InputError(f"the calibration data have no {name} images left; add a source with some")
    if config.monitor == "foreign_auc" and np.isnan(mean_auc(images["label"], images["label"], images["origin"])):
        raise InputError("foreign_auc needs an origin of both classes in calibration_data; add one, or monitor auc")
    facts = {"origins": list(found.origins), "sources": list(found.sources), "fingerprint": found.fingerprint}
    return images, facts | {"left_out": left_out}
