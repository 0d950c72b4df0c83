"""int8 after training, by NNCF: weights per channel, activations by their range on images for calibration."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

Pixels = NDArray[np.float32]

LARGEST_MEAN = 0.006
"""Mean difference of P(fake) up to which layers are put back to float32: well below the .01 that agreement allows,
because other images than those looked at here will be evaluated."""

CHECKED_ON = 150
"""Images that say how far int8 is from float32 when a layer is put back: twice as many take twice as long."""

RANKED_ON = 60
"""Images that say which layer costs most."""


def quantise_openvino(model: Any, calibration: Sequence[Pixels]) -> Any:
    """Quantise a model, but for the layers that would move its scores.

    NNCF's quantisation with accuracy control: whole in int8 first; where P(fake) then differs from that of float32 by
    more than `LARGEST_MEAN` on average, layers go back to float32, the one that costs most first. ResNets usually
    need none, models with depthwise convolutions and linear bottlenecks many.

    Args:
        model: an `openvino.Model` whose first output is logits (N, 2).
        calibration: float32 (1, 3, S, S) each.

    Returns:
        The quantised model.
    """
    # On a thread of its own: see `detect.backends.OpenVinoBackend`.
    with ThreadPoolExecutor(1, "nncf") as thread:
        return thread.submit(_with_control, model, calibration).result()


def quantise_onnx(model: Any, calibration: Sequence[Pixels]) -> Any:
    """Quantise all of a model.

    Args:
        model: an `onnx.ModelProto` whose input is `pixels`.
        calibration: float32 (1, 3, S, S) each.

    Returns:
        The quantised model.
    """
    import nncf

    return nncf.quantize(
        model, nncf.Dataset(calibration, lambda pixels: {"pixels": pixels}), subset_size=len(calibration)
    )


def _with_control(model: Any, calibration: Sequence[Pixels]) -> Any:
    """See `quantise_openvino`."""
    import nncf
    import openvino

    reference = _scores(openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}), calibration)
    pairs = list(zip(calibration, reference, strict=True))

    def agreement(compiled: Any, items: Iterable[tuple[Pixels, float]]) -> tuple[float, list[float]]:
        """One minus the mean difference of P(fake), and the same of each image."""
        pixels, expected = zip(*items, strict=True)
        each = 1 - np.abs(_scores(compiled, pixels) - np.array(expected))
        return float(each.mean()), each.tolist()

    return nncf.quantize_with_accuracy_control(
        model,
        calibration_dataset=nncf.Dataset(pairs, lambda pair: pair[0]),
        validation_dataset=nncf.Dataset(pairs[:CHECKED_ON], lambda pair: pair[0]),
        validation_fn=agreement,
        max_drop=LARGEST_MEAN,
        subset_size=len(calibration),
        advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(ranking_subset_size=RANKED_ON),
    )


def _scores(compiled: Any, images: Sequence[Pixels]) -> NDArray[np.float64]:
    """P(fake) of each image."""
    return np.array([softmax(compiled([pixels])[0], axis=1)[0, 1] for pixels in images])
