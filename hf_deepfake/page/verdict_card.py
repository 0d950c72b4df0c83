"""The card that states a verdict: in colour, sign and words, with what it means, what it does not, and why."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from PIL.JpegImagePlugin import JpegImageFile
from scipy.special import expit, logit

from hf_deepfake.audits.facts import jpeg_quality
from hf_deepfake.detect import video_decision
from hf_deepfake.detect.decide import decision_on_videos
from hf_deepfake.detect.detector import Detector
from hf_deepfake.detect.face_crops import ANIMATED, NO_FACE, SOME_TOO_SMALL, TOO_SMALL
from hf_deepfake.detect.verdict import Explanation, FaceVerdict, Verdict
from hf_deepfake.detect.video_verdict import VideoVerdict
from hf_deepfake.forensics.inspect import Inspection
from hf_deepfake.images.open import open_header
from hf_deepfake.metrics.decision import Decision
from hf_deepfake.models.checkpoint import LoadedCheckpoint
from hf_deepfake.page.pictures import crop_face, picture, strongest, thumbnail
from hf_deepfake.page.texts import render, texts

REASONS = {NO_FACE: "no_face", TOO_SMALL: "too_small", SOME_TOO_SMALL: "some_too_small", ANIMATED: "animated"}
"""A detector's reasons, and what the languages' files call them."""

NO_FACES = {NO_FACE, video_decision.NO_FACE}
"""Reasons of an image and of a video."""

MILD_SIDE, MILD_QUALITY = 112, 40
"""Shorter side of a face in px, and JPEG quality: below them a checkpoint is not measured (its card's mild set)."""


@dataclass(frozen=True)
class Judge:
    """The model behind a verdict.

    Attributes:
        name: of its architecture.
        fingerprint: `Detector.fingerprint`.
        version: of this package.
        band: lowest and highest P(fake) as a verdict states it, between which the model abstains; None without any.
    """

    name: str
    fingerprint: str
    version: str
    band: tuple[float, float] | None

    @classmethod
    def of(cls, detector: Detector, version: str) -> "Judge":
        """Describe a detector.

        Args:
            detector: whose verdicts are shown.
            version: of this package.

        Returns:
            What the page states of it.
        """
        checkpoint = detector.checkpoint
        return cls(str(checkpoint.config["architecture"]), detector.fingerprint, version, _folded(checkpoint))

    def on_videos(self, checkpoint: LoadedCheckpoint) -> "Judge":
        """Describe the same model where it judges videos.

        Args:
            checkpoint: the model's, which may have a band of videos' own.

        Returns:
            With that band, or else the one of images.
        """
        decision = decision_on_videos(checkpoint)
        return self if decision is None else replace(self, band=_folded(decision))

    @property
    def title(self) -> str:
        """Name and fingerprint in a line."""
        return f"{self.name} {self.fingerprint}"


@dataclass(frozen=True)
class Checked:
    """An image that was evaluated, and all that was found.

    Attributes:
        name: of the file.
        sha256: of its bytes.
        quality: of its JPEG compression, 1 to 100; None of another format.
        explanation: verdict and map.
        inspection: what the file says, and views of its pixels.
    """

    name: str
    sha256: str
    quality: float | None
    explanation: Explanation
    inspection: Inspection


def quality_of(content: bytes) -> float | None:
    """Estimate the quality that a JPEG was saved with.

    Args:
        content: a file that `open_image` opens.

    Returns:
        1 to 100; None for another format.
    """
    header = open_header(content)
    return jpeg_quality(header.quantization[0]) if isinstance(header, JpegImageFile) else None


def kind_of(verdict: Verdict | VideoVerdict) -> str:
    """Sort a verdict.

    Args:
        verdict: on one image or video.

    Returns:
        "fake", "real", "unsure" or "no_face".
    """
    if not NO_FACES.isdisjoint(verdict.reasons):
        return "no_face"
    return "unsure" if verdict.unsure else verdict.label


def is_doubtful(verdict: Verdict | VideoVerdict) -> bool:
    """Tell whether no score can be relied upon, whatever it is: without a face, or with none that is large enough.

    Args:
        verdict: on one image or video.

    Returns:
        Whether neither score nor map is to be shown.
    """
    return not {*NO_FACES, TOO_SMALL}.isdisjoint(verdict.reasons)


def headline(verdict: Verdict, language: str) -> str:
    """State a verdict in a few words, with the number of faces where there are several.

    Args:
        verdict: on one image.
        language: one of `texts.LANGUAGES`.

    Returns:
        Such as "Signs of a deepfake in 3 of 8 faces".
    """
    kind, t = kind_of(verdict), texts(language)
    if len(verdict.faces) < 2:
        return t["verdict"][kind]
    count = sum(_kind_of_face(face, verdict) == kind for face in verdict.faces)
    return t["count"][kind].format(count=count, all=len(verdict.faces))


def list_reasons(checked: Checked, language: str) -> list[str]:
    """Say why a verdict is none, and what else limits it.

    Args:
        checked: the image.
        language: one of `texts.LANGUAGES`.

    Returns:
        Sentences.
    """
    verdict, sentences = checked.explanation.verdict, texts(language)["reasons"]
    named = [sentences[REASONS[reason]] if reason in REASONS else reason for reason in verdict.reasons]
    if is_doubtful(verdict):
        return named
    found = [sentences["band"]] if verdict.unsure else []
    sides = [min(right - left, bottom - top) for left, top, right, bottom in (face.box for face in verdict.faces)]
    if sides and min(sides) < MILD_SIDE:
        found.append(sentences["small"].format(side=round(min(sides))))
    if checked.quality is not None and checked.quality < MILD_QUALITY:
        found.append(sentences["compressed"].format(quality=round(checked.quality)))
    return found + named


def record(checked: Checked, judge: Judge, language: str) -> dict[str, Any]:
    """State a verdict and what it rests on as data to keep.

    Args:
        checked: the image.
        judge: the model.
        language: one of `texts.LANGUAGES`, of the sentences.

    Returns:
        JSON's types. No score of an image without a face large enough: it would say nothing.
    """
    verdict, t = checked.explanation.verdict, texts(language)
    doubtful = is_doubtful(verdict)
    return {
        "verdict": kind_of(verdict),
        "headline": headline(verdict, language),
        "means": t["means"][kind_of(verdict)],
        "means_not": t["means_not"][kind_of(verdict)],
        "reasons": list_reasons(checked, language),
        "fake_score": None if doubtful else round(verdict.fake_probability, 4),
        "abstention_band": judge.band and [round(edge, 4) for edge in judge.band],
        "faces": [
            {
                "box": [round(edge, 1) for edge in face.box],
                "verdict": _kind_of_face(face, verdict),
                "fake_score": None if doubtful else round(face.fake_probability, 4),
            }
            for face in verdict.faces
        ],
        "image": {
            "name": checked.name,
            "sha256": checked.sha256,
            "width": checked.explanation.image.width,
            "height": checked.explanation.image.height,
        },
        "file": checked.inspection.facts,
        "model": {"name": judge.name, "fingerprint": judge.fingerprint},
        "hf_deepfake": judge.version,
        "checked": datetime.now(UTC).isoformat(timespec="seconds"),
        "limits": t["limits"]["list"],
    }


def show_card(checked: Checked, judge: Judge, language: str, number: str) -> str:
    """Set the card of a verdict.

    Args:
        checked: the image.
        judge: the model.
        language: one of `texts.LANGUAGES`.
        number: which upload it answers; unique in the page.

    Returns:
        HTML that needs nothing else but the page's style.
    """
    explanation, t = checked.explanation, texts(language)
    verdict, doubtful = explanation.verdict, is_doubtful(explanation.verdict)
    data = record(checked, judge, language)
    faces = []
    for index, face in enumerate(verdict.faces, start=1):
        crop, part = crop_face(explanation.image, explanation.heatmap, face.box)
        place = strongest(part)
        where = t["map"]["none"]
        if place is not None:
            where = t["map"]["strongest"].format(place=f"{t['map']['rows'][place[0]]} {t['map']['columns'][place[1]]}")
        left, top, right, bottom = face.box
        faces.append(
            {
                "number": index,
                "kind": _kind_of_face(face, verdict),
                "mark": 100 * face.fake_probability,
                "crop": crop if not doubtful else replace(crop, map=""),
                "map_alt": t["map"]["alt"].format(number=index, place=where),
                "box": (left, top, right - left, bottom - top),
            }
        )
    return render(
        "card",
        language,
        number=number,
        kind=data["verdict"],
        data=data,
        json=json.dumps(data, ensure_ascii=False, indent=2),
        image=explanation.image,
        shown=picture(explanation.image, explanation.heatmap),
        thumbnail=thumbnail(explanation.image),
        faces=faces,
        doubtful=doubtful,
        mark=100 * verdict.fake_probability,
        band=judge.band and (100 * judge.band[0], 100 * judge.band[1]),
        judge=judge,
    )


def _folded(rule: LoadedCheckpoint | Decision) -> tuple[float, float] | None:
    """A band, which is stated before the operating point was folded in, as P(fake) after it, which a verdict has."""
    if rule.abstention_band is None:
        return None
    low, high = (float(expit(logit(edge) - logit(rule.operating_point))) for edge in rule.abstention_band)
    return low, high


def _kind_of_face(face: FaceVerdict, verdict: Verdict) -> str:
    return "unsure" if face.unsure or is_doubtful(verdict) else face.label
