"""Compare detectors on the same images, and say which differences are none."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hf_deepfake.data.image_names import below_shared
from hf_deepfake.errors import InputError
from hf_deepfake.files import local_path
from hf_deepfake.metrics.bootstrap import index_groups, sign_test
from hf_deepfake.metrics.classification import Counts, Floats, Ranking
from hf_deepfake.metrics.result import Metric, SplitResult, bootstrapped
from hf_deepfake.metrics.score_table import SCORES_FILE, groups_of, load_scores
from hf_deepfake.metrics.videos import VideoResult, video_scores
from hf_deepfake.models.checkpoint import checkpoint_name
from hf_deepfake.report.report import MAIN_METRICS, REPORT_FILE, Report
from hf_deepfake.report.text_table import align

LEVEL = 0.05
"""Probability, over all differences together, of calling one a difference that is none."""

_KEY = ["source", "file", "label"]


@dataclass(frozen=True)
class Candidate:
    """A detector with its scores on what it was evaluated by.

    Attributes:
        name: folder of its report, or of its model.
        report: the report.
        table: scores of the images of the split that the report is about.
    """

    name: str
    report: Report
    table: pd.DataFrame

    @classmethod
    def load(cls, name: str, folder: Path) -> "Candidate":
        """Read what `evaluate` or a training run wrote to a folder."""
        report, table = Report.load(folder / REPORT_FILE), load_scores(folder / SCORES_FILE)
        return cls(name, report, table[table["split"] == report.evaluated_split])

    @property
    def result(self) -> SplitResult:
        """What was measured on all these images."""
        return self.report.splits[self.report.evaluated_split]


@dataclass(frozen=True)
class Difference:
    """One metric of two detectors on the same images or videos.

    Attributes:
        first: name of a detector.
        second: name of another.
        metric: "auc", or "accuracy" at each one's own operating point.
        value: metric of the first minus that of the second, with its 95 % interval; groups resampled whole, both
            detectors on the same resamples.
        p: probability of a difference this large or larger where there is none, by `bootstrap.sign_test` over whole
            groups: of right verdicts for accuracy, and for the AUC of placements (DeLong et al. 1988, by group as
            Obuchowski 1997 has them). None where the value or its interval is None.
        p_holm: `p` after Holm's correction over all differences (Holm 1979).
        verdict: "better", "worse" (of the first) or "no difference shown".
        by_video: whether it is of videos; see `metrics.videos.video_scores`.
    """

    first: str
    second: str
    metric: str
    value: Metric
    p: float | None
    p_holm: float | None = None
    verdict: str = ""
    by_video: bool = False


@dataclass(frozen=True)
class Comparison:
    """Several detectors.

    Attributes:
        n: images that all were evaluated by.
        results: of each detector on all of them, by name.
        differences: of all pairs, or of the reference and each other; on images, then on videos.
        matrix: AUC by detector and source; see `matrix`.
        videos: results of each detector by video; empty where not all know of the same videos.
    """

    n: int
    results: dict[str, SplitResult]
    differences: list[Difference]
    matrix: dict[str, dict[str, Metric]]
    videos: dict[str, SplitResult] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON has them."""
        return asdict(self)

    def summary(self) -> str:
        """Text tables: the detectors, their differences, and the sources where there are several."""
        metrics = ("auc", "accuracy")
        lines = []
        for what, results in {"images": self.results, "videos": self.videos}.items():
            if results:
                rows = [["", *(MAIN_METRICS[metric] for metric in metrics)]]
                rows += [[name, *(str(one.metrics[metric]) for metric in metrics)] for name, one in results.items()]
                lines += [f"{next(iter(results.values())).n:,} {what}, the same for all", "", *align(rows), ""]
        rows = [["First", "Second", "Metric", "Difference", "p", "p, corrected", "The first is"]]
        for one in self.differences:
            numbers = (str(one.value), *("" if p is None else f"{p:.3g}" for p in (one.p, one.p_holm)))
            metric = MAIN_METRICS[one.metric] + " by video" * one.by_video
            rows.append([one.first, one.second, metric, *numbers, one.verdict])
        lines += align(rows)
        several = any(len(row) > 1 for row in self.matrix.values())
        return "\n".join([*lines, *(["", matrix_text(self.matrix)] if several else [])])


def load_candidates(folders: Sequence[str | Path]) -> list[Candidate]:
    """Read what `evaluate` or a training run wrote.

    Args:
        folders: with report.json and scores.parquet each.

    Returns:
        The detectors, with distinct names: the folders', with as many of their parents' as it takes.

    Raises:
        InputError: there are fewer than two folders, the same one twice, or one without report or scores.
    """
    paths = [local_path(folder).resolve() for folder in folders]
    if len(set(paths)) < max(2, len(paths)):
        raise InputError("a comparison needs two or more different folders; name those that evaluate wrote")
    names = [checkpoint_name(path) for path in paths]
    if len(set(names)) < len(names):
        names = [f"{path.parent.name}/{path.name}" for path in paths]
    if len(set(names)) < len(names):
        names = [str(name) for name in below_shared(map(str, paths))]
    candidates = []
    for name, path in zip(names, paths, strict=True):
        candidates.append(Candidate.load(name, path))
    return candidates


def compare_candidates(candidates: Sequence[Candidate], reference: str | None = None) -> Comparison:
    """Compare detectors on the same images, each with each or all with one.

    Args:
        candidates: two or more, with distinct names.
        reference: name of the one that all others are compared with; by default each is compared with each.

    Returns:
        The comparison.

    Raises:
        InputError: there are fewer than two, they were not evaluated by the same images, or none has the reference's
            name.
    """
    if len(candidates) < 2:
        raise InputError("a comparison needs two or more detectors; name another one")
    names = [candidate.name for candidate in candidates]
    if reference is not None and reference not in names:
        raise InputError(f"no detector here is called {reference}; name one of {', '.join(names)}")
    tables = [candidate.table.set_index(_KEY).sort_index() for candidate in candidates]
    for candidate, table in zip(candidates[1:], tables[1:], strict=True):
        _check_same(candidates[0], tables[0], candidate, table)
    tables = [table.reset_index() for table in tables]
    points = [candidate.report.checkpoint.operating_point for candidate in candidates]
    every = itertools.combinations(range(len(names)), 2)
    pairs = [both for both in every if reference is None or reference in {names[one] for one in both}]
    differences = _differences(names, tables, points, pairs)
    videos = _videos(candidates, tables)
    by_video = {one.name: videos[one.name].splits[one.report.evaluated_split] for one in candidates if videos}
    if videos:
        scored = [video_scores(table, one.decision) for table, one in zip(tables, videos.values(), strict=True)]
        points = [one.threshold for one in by_video.values()]
        differences += [replace(one, by_video=True) for one in _differences(names, scored, points, pairs)]
    return Comparison(
        n=len(tables[0]),
        results={candidate.name: candidate.result for candidate in candidates},
        differences=_judge(differences),
        matrix=matrix(candidates),
        videos=by_video,
    )


def _differences(
    names: Sequence[str], tables: Sequence[pd.DataFrame], points: Sequence[float], pairs: Sequence[tuple[int, int]]
) -> list[Difference]:
    """Differences of pairs of detectors: tables of the same images or videos in the same order, thresholds."""
    labels = tables[0]["label"].to_numpy()
    groups = index_groups(groups_of(tables[0]), len(labels))
    scores = [table["score"].to_numpy() for table in tables]
    right = [(score >= point) == (labels == 1) for score, point in zip(scores, points, strict=True)]
    found = []
    for one, other in pairs:
        both = names[one], names[other]
        found += [
            Difference(*both, "auc", *auc_difference([scores[one], scores[other]], labels, groups)),
            Difference(*both, "accuracy", *_accuracy_difference([right[one], right[other]], groups)),
        ]
    return found


def _videos(candidates: Sequence[Candidate], tables: Sequence[pd.DataFrame]) -> dict[str, VideoResult]:
    """Results of each detector by video, by name; nothing where not all know of the same videos."""
    found = {one.name: one.report.videos for one in candidates if one.report.videos is not None}
    same = tables[0]["video"].notna().any() and all(one["video"].equals(tables[0]["video"]) for one in tables)
    return found if same and len(found) == len(candidates) else {}


def matrix(candidates: Sequence[Candidate]) -> dict[str, dict[str, Metric]]:
    """Put the AUC of each detector on each source side by side; images need not be the same.

    Args:
        candidates: one or more, of `load_candidates`.

    Returns:
        By detector and source; a detector lacks the sources that it was not evaluated by.
    """
    found = {}
    for candidate in candidates:
        sources = candidate.report.subsets.get("source") or {candidate.table["source"].iloc[0]: candidate.result}
        foreign = candidate.report.foreign.origins if candidate.report.foreign else {}
        found[candidate.name] = {source: one.metrics["auc"] for source, one in (foreign | sources).items()}
    return found


def matrix_text(cells: dict[str, dict[str, Metric]]) -> str:
    """Lay out a matrix.

    Args:
        cells: of `matrix`.

    Returns:
        A text table, detectors in rows and sources in columns.
    """
    sources = sorted({source for row in cells.values() for source in row})
    rows = [["AUC by source", *sources]]
    rows += [[name, *(str(row.get(source, "")) for source in sources)] for name, row in cells.items()]
    return "\n".join(align(rows))


def _check_same(one: Candidate, first: pd.DataFrame, other: Candidate, second: pd.DataFrame) -> None:
    """Refuse tables of different images."""
    left, right = len(first.index.difference(second.index)), len(second.index.difference(first.index))
    if left or right or len(first) != len(second):
        raise InputError(
            f"{left} images were evaluated by {one.name} alone and {right} by {other.name} alone; "
            "evaluate both on the same data"
        )


def auc_difference(scores: Sequence[Floats], labels: NDArray, groups: Counts) -> tuple[Metric, float | None]:
    """AUC of the first minus that of the second, on the same images.

    Args:
        scores: two of (N,) P(fake).
        labels: (N,) integers, 0 real and 1 fake.
        groups: (N,) of `bootstrap.index_groups`.

    Returns:
        The difference with its 95 % interval, and p as `Difference` has it.
    """
    first, second = (Ranking(score, labels) for score in scores)

    def difference(weights: Counts) -> Floats:
        """Under a resample."""
        return np.array([weighted_auc(first, weights) - weighted_auc(second, weights)])

    value = bootstrapped(difference, groups.tolist(), len(labels), ["one class only"])[0]
    if value.value is None or value.low is None:
        return value, None
    return value, sign_test(auc_parts(scores, labels), groups)


def auc_parts(scores: Sequence[Floats], labels: NDArray) -> Floats:
    """Divide the difference of two AUCs among the images, by their placements.

    Args:
        scores: two of (N,) P(fake).
        labels: (N,) integers, 0 real and 1 fake; both must occur.

    Returns:
        (N,), which sum to the AUC of the first minus that of the second, half of it from each class. Without a
        difference their expectation is 0 in each class.
    """
    first, second = (Ranking(score, labels).placements() for score in scores)
    apart, n_fake = first - second, int(labels.sum())
    # Each class's placements have the difference as their mean, so that the sum over both is twice the difference.
    return (apart - apart[labels == 1].mean() / 2) / np.where(labels == 1, n_fake, len(labels) - n_fake)


def weighted_auc(ranking: Ranking, weights: Counts) -> float:
    """Area under the ROC curve of weighted images.

    Args:
        ranking: of N images.
        weights: int64 (N,), how often each image counts.

    Returns:
        In [0, 1]; NaN where all that counts is of one class.
    """
    false, true = ranking.curve(weights)
    whole = float(false[-1]) * float(true[-1])
    return float(np.trapezoid(true, false)) / whole if whole else np.nan


def _accuracy_difference(right: Sequence[NDArray[np.bool_]], groups: Counts) -> tuple[Metric, float | None]:
    """First minus second, and p."""
    gain = right[0].astype(np.float64) - right[1]
    value = bootstrapped(
        lambda weights: np.array([gain @ weights / weights.sum()]), groups.tolist(), len(gain), ["no images"]
    )[0]
    return value, None if value.low is None else sign_test(gain, groups)


def _judge(differences: Sequence[Difference]) -> list[Difference]:
    """The differences with corrected p and verdict."""
    tested = [one.p for one in differences if one.p is not None]
    corrected = iter(holm(tested))
    judged = []
    for one in differences:
        p = None if one.p is None else next(corrected)
        word = "no difference shown" if p is None or p >= LEVEL else "better" if (one.value.value or 0) > 0 else "worse"
        judged.append(replace(one, p_holm=p, verdict=word))
    return judged


def holm(p: Sequence[float]) -> list[float]:
    """Correct for many tests by Holm's step-down method (Holm 1979).

    Args:
        p: K probabilities.

    Returns:
        K corrected ones, in the same order: below a level where the step-down test at that level rejects.
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1)
    return corrected.tolist()
