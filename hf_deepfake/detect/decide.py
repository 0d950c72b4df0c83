"""From the model's answers to a verdict: the label, and whether to abstain."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scipy.special import expit, logit

from hf_deepfake.detect.face_crops import Prepared
from hf_deepfake.detect.verdict import FaceVerdict, Verdict
from hf_deepfake.errors import InputError
from hf_deepfake.models.checkpoint import LoadedCheckpoint
from hf_deepfake.report.typed_json import read_typed

if TYPE_CHECKING:
    from hf_deepfake.metrics.decision import Decision

Box = tuple[float, float, float, float]


def decide(prepared: Prepared, probabilities: Sequence[Sequence[float]], checkpoint: LoadedCheckpoint) -> Verdict:
    """Decide on an image: its most fake face decides.

    Args:
        prepared: the image.
        probabilities: P(real) and P(fake) of each of its regions.
        checkpoint: whose abstention band counts.

    Returns:
        The verdict.
    """
    boxes = prepared.boxes or prepared.regions
    judged = tuple(decide_face(box, *pair, checkpoint) for box, pair in zip(boxes, probabilities, strict=True))
    worst = max(judged, key=lambda face: face.fake_probability)
    return Verdict(
        worst.label,
        worst.score,
        worst.fake_probability,
        worst.unsure or prepared.doubtful,
        judged if prepared.boxes else (),
        prepared.reasons,
    )


def decide_face(box: Box, real: float, fake: float, checkpoint: LoadedCheckpoint) -> FaceVerdict:
    """Decide on one region.

    Args:
        box: of the face in it, px.
        real: P(real), in [0, 1].
        fake: P(fake), in [0, 1].
        checkpoint: whose abstention band counts.

    Returns:
        The verdict.
    """
    return FaceVerdict(box, "fake" if fake > real else "real", max(real, fake), fake, abstains(logit(fake), checkpoint))


def abstains(log_odds: float, rule: "LoadedCheckpoint | Decision") -> bool:
    """Whether log-odds of fake lie in an abstention band.

    Args:
        log_odds: with the rule's operating point folded in, as the model answers them.
        rule: whose band and operating point count.

    Returns:
        Whether they do; never without a band.
    """
    band = rule.abstention_band
    # The band is stated in P(fake) before the operating point was folded in.
    unfolded = expit(log_odds + logit(rule.operating_point))
    return band is not None and bool(band[0] <= unfolded <= band[1])


def decision_on_videos(checkpoint: LoadedCheckpoint) -> "Decision | None":
    """Find how the mean of a video's frames becomes a verdict, as `metrics.videos.decide_videos` chose it.

    Args:
        checkpoint: whose report may state it. The report is not read whole: that would import most of this package.

    Returns:
        The decision; None where no videos decided, or the weights have changed since.

    Raises:
        InputError: the report is damaged.
    """
    from hf_deepfake.metrics.decision import Decision  # pandas is not needed for a verdict on an image

    if not checkpoint.trusted:
        return None
    report = checkpoint.folder / "report.json"
    if not report.is_file():
        return None
    try:
        found = (json.loads(report.read_text(encoding="utf-8")).get("videos") or {}).get("decision")
        return None if found is None else read_typed(Decision, found, "decision")
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"{report} is damaged where videos are decided ({error}); recalibrate the checkpoint"
        ) from error


def for_videos(log_odds: float, checkpoint: LoadedCheckpoint, decision: "Decision | None") -> float:
    """Fold the decision on videos into log-odds in place of that on images.

    Args:
        log_odds: mean of a video's frames, as the model answers them.
        checkpoint: whose operating point is folded into them.
        decision: of `decision_on_videos`; None leaves them as they are.

    Returns:
        Log-odds above 0 where the verdict is fake.
    """
    if decision is None:
        return log_odds
    return float(
        (log_odds + logit(checkpoint.operating_point)) / decision.temperature - logit(decision.operating_point)
    )
