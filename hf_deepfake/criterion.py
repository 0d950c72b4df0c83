"""The criteria that an operating point can be chosen by, as options write them."""

import re

from hf_deepfake.errors import InputError


def parse_criterion(text: str) -> tuple[str, float]:
    """Take a criterion for an operating point apart.

    Args:
        text: "auto", "accuracy", "balanced", "f1", "eer", "cost", "fpr<=X" or "recall>=X", X a share in [0, 1].

    Returns:
        Name, with its comparison sign, and share; 0 where there is none.

    Raises:
        InputError: it is none of these.
    """
    found = re.fullmatch(
        r"(auto|accuracy|balanced|f1|eer|cost)|(fpr<=|recall>=)(0?\.\d+|0|1|1\.0+)", text.replace(" ", "")
    )
    if not found:
        raise InputError(
            f"unknown criterion {text!r}; it must be auto, accuracy, balanced, f1, eer, cost, fpr<=X or recall>=X, X "
            "being a share"
        )
    return (found[1], 0.0) if found[1] else (found[2], float(found[3]))
