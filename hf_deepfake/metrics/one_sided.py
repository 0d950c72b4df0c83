"""A threshold that recognises no image of a class: its accuracy may look good, and it decides nothing."""

from collections.abc import Mapping

from hf_deepfake.config import LABELS
from hf_deepfake.metrics.result import SplitResult


def one_sided_splits(splits: Mapping[str, SplitResult], criterion: str) -> list[str]:
    """The sentences of `one_sided` on the splits of a report.

    Args:
        splits: results by name.
        criterion: what their threshold was chosen by; empty where that is not known.

    Returns:
        A sentence for each split on which a class is not recognised.
    """
    found = [
        one_sided((one.n_real, one.n_fake), (one.confusion["tn"], one.confusion["tp"]), name, criterion)
        for name, one in splits.items()
    ]
    return [text for text in found if text]


def one_sided(counts: tuple[int, int], right: tuple[int, int], name: str, criterion: str) -> str:
    """Say that a threshold recognises no image of a class, as the most accurate one does where that class is rare.

    Args:
        counts: real and fake images.
        right: how many of each get the right verdict.
        name: of the split, such as "validation".
        criterion: what the threshold was chosen by; empty where that is not known.

    Returns:
        A sentence that names the way out; empty where both classes get right verdicts, or one is missing.
    """
    if not all(counts) or all(right):
        return ""
    real, fake = counts
    accuracy = sum(right) / sum(counts)
    if right in ((real, 0), (0, fake)):
        what = f"every image of {name} is called {'real' if right[0] else 'fake'} ({real} real, {fake} fake)"
    else:
        lost = 0 if not right[0] else 1
        what = f"not one of the {counts[lost]} {LABELS[lost]} images of {name} is called {LABELS[lost]}"
    chosen = f" by the criterion {criterion}" if criterion else ""
    way_out = (
        "train longer, or on more images"
        if criterion == "balanced"
        else "take --criterion balanced (for a checkpoint that is there, hf-deepfake recalibrate)"
    )
    return f"{what}{chosen}: accuracy {accuracy:.3f} is no better than one verdict for all; {way_out}"
