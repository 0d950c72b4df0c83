"""The metrics of this package as an `evaluate` module, for `evaluate.load`, `combine` and transformers' `Trainer`."""

from collections.abc import Sequence
from typing import Any

import evaluate
from datasets import ClassLabel, Features, Value

from hf_deepfake.config import LABELS
from hf_deepfake.metrics import bootstrap
from hf_deepfake.metrics.classification import compute_metrics, undefined
from hf_deepfake.metrics.result import evaluate_band

DESCRIPTION = """\
Every metric of a deepfake detector, from the scores P(fake) and the true classes; "fake" is the positive class.
"""

INPUTS = """
Args:
    predictions: scores P(fake), each in [0, 1].
    references: true classes, 0 or "real" and 1 or "fake".
    threshold: an image counts as fake from this score on; 0.5 by default.
    abstention_band: lowest and highest score on which no verdict is given; by default there is none.
    intervals: also give the 95 % interval of each metric, from 2,000 bootstrap resamples.
    groups: which person, video or scene each image is from, in the order of the images (with several processes,
        first those of process 0); groups are resampled whole. Only the intervals depend on it.

Returns:
    auc, average_precision, eer, accuracy, balanced_accuracy; precision, recall and f1 of each class, such as
    recall_fake; mcc, log_loss, brier, ece; fpr_at_recall_90, _95 and _99; recall_at_fpr_1, _5 and _10 (per cent);
    and the counts tn, fp, fn, tp. A metric that is undefined is None.
    coverage: share of images that get a verdict; selective_risk: share of these that is wrong; confident_misses
    and confident_false_alarms: share of all fakes confidently called real, and of all reals confidently called fake;
    absent without a band.
    undefined: why, for each metric that is None; absent where there is none.
    intervals: lower and upper end for each metric, None where there is no interval; absent if not asked for.
    no_interval: why there is none for a metric that is not None; absent where all such metrics have one.

Example:
    >>> from importlib.resources import files
    >>> import evaluate
    >>> metric = evaluate.load(str(files("hf_deepfake") / "deepfake_metric"))
    >>> metric.compute(predictions=[0.9, 0.4, 0.2, 0.6], references=[1, 1, 0, 0])["auc"]
    0.75
"""

CITATION = """\
@article{fawcett2006introduction,
    title = {An introduction to {ROC} analysis},
    author = {Fawcett, Tom},
    journal = {Pattern Recognition Letters},
    volume = {27},
    number = {8},
    pages = {861--874},
    year = {2006},
}
"""


BAND = {
    "coverage": "coverage",
    "error": "selective_risk",
    "missed": "confident_misses",
    "false_alarms": "confident_false_alarms",
}
"""What is measured of an abstention band, under names that need no context."""


class DeepfakeMetric(evaluate.Metric):
    """`hf_deepfake.metrics.classification`, gathered over batches and processes by `evaluate`."""

    def _info(self) -> evaluate.MetricInfo:
        """What goes in and comes out."""
        # With an integer in place of the class label, evaluate would round a score that was given as reference.
        features = Features({"predictions": Value("float64"), "references": ClassLabel(names=list(LABELS))})
        return evaluate.MetricInfo(
            description=DESCRIPTION, citation=CITATION, inputs_description=INPUTS, features=features
        )

    def _compute(  # ty: ignore[incompatible-method-override] - evaluate passes what `features` names
        self,
        *,
        predictions: Sequence[float],
        references: Sequence[int],
        threshold: float = 0.5,
        abstention_band: tuple[float, float] | None = None,
        intervals: bool = False,
        groups: Sequence[Any] | None = None,
    ) -> dict[str, Any]:
        """The result that `INPUTS` describes."""
        result: dict[str, Any] = dict(compute_metrics(predictions, references, threshold))
        reasons = undefined(result)
        ranges = bootstrap.intervals(predictions, references, groups, threshold) if intervals else {}
        if abstention_band is not None:
            for name, one in evaluate_band(predictions, references, groups, threshold, abstention_band).items():
                result[BAND[name]] = one.value
                ranges[BAND[name]] = None if one.low is None or one.high is None else (one.low, one.high)
                if one.value is None and one.reason:
                    reasons[BAND[name]] = one.reason
        if intervals:
            why = bootstrap.why_no_interval(groups, len(predictions))
            without = {name: why for name, ends in ranges.items() if ends is None and name not in reasons}
            result |= {"intervals": ranges} | ({"no_interval": without} if without else {})
        if reasons:
            result["undefined"] = reasons
        return result
