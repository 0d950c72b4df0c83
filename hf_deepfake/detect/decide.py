"""From the model's answers to a verdict: the label, and whether to abstain."""

from collections.abc import Sequence

from scipy.special import expit, logit

from hf_deepfake.detect.face_crops import Prepared
from hf_deepfake.detect.verdict import FaceVerdict, Verdict
from hf_deepfake.models.checkpoint import LoadedCheckpoint

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


def abstains(log_odds: float, checkpoint: LoadedCheckpoint) -> bool:
    """Whether the log-odds of fake, as the model answers them, lie in the checkpoint's abstention band."""
    band = checkpoint.abstention_band
    # The band is stated in P(fake) before the operating point was folded in.
    unfolded = expit(log_odds + logit(checkpoint.operating_point))
    return band is not None and bool(band[0] <= unfolded <= band[1])
