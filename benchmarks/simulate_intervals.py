"""How often intervals hold the truth, and how often a difference that is none is called one, on drawn scores.

python benchmarks/simulate_intervals.py --repeats 1000    # the tables in docs/measurements.md, some minutes on one core
"""

import argparse
import sys
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import binomtest, norm

from hf_deepfake.metrics.bootstrap import intervals, sign_test
from hf_deepfake.metrics.classification import compute_metrics
from hf_deepfake.metrics.foreign import OriginScores, measure_parts
from hf_deepfake.report.compare import auc_parts

SHOWN = ("auc", "average_precision", "accuracy", "brier", "ece")

LARGE = 1_000_000
"""Images whose metrics are taken for the truth."""


class Scene(NamedTuple):
    """What a set of drawn scores is like.

    Attributes:
        n: images.
        groups: groups of equal size; None where images are independent.
        fakes: share of fakes, about.
        trust: factor between the log-odds of the scores and the true ones: 1 is calibrated, less is overconfident.
    """

    n: int
    groups: int | None
    fakes: float
    trust: float

    @property
    def group(self) -> NDArray[np.int64]:
        """Group of each image."""
        return np.arange(self.n) % (self.groups or self.n)


SCENES = (
    *(Scene(n, None, 0.5, trust) for n in (40, 100, 400) for trust in (1, 0.5)),
    *(Scene(n, None, 0.1, 1) for n in (100, 400)),
    *(Scene(400, groups, 0.5, trust) for groups in (20, 100) for trust in (1, 0.5)),
)


def draw_scores(scene: Scene, generator: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw scores, and labels of which images of a group tend to have the same.

    Args:
        scene: what they are like.
        generator: source of the draws.

    Returns:
        Scores P(fake) and labels, (N,) each.
    """
    effects = generator.normal(size=(2, scene.n))
    if scene.groups:
        effects = 0.8 * generator.normal(size=(2, scene.groups))[:, scene.group] + 0.6 * effects
    log_odds = 1.4 * effects[0] + np.log(scene.fakes / (1 - scene.fakes))
    return expit(log_odds), (norm.cdf(effects[1]) < expit(scene.trust * log_odds)).astype(np.int64)


def truth(scene: Scene) -> dict[str, float]:
    """The metrics that many independent images would show; the calibration error of calibrated scores is 0."""
    many = scene._replace(n=LARGE, groups=None)
    values = compute_metrics(*draw_scores(many, np.random.default_rng(0)))
    return {name: values[name] or 0.0 for name in SHOWN} | ({"ece": 0.0} if scene.trust == 1 else {})


def coverage(scene: Scene, repeats: int, resamples: int) -> tuple[dict[str, float], int]:
    """Measure how often intervals hold the truth.

    Args:
        scene: what scores are like.
        repeats: sets that are drawn.
        resamples: of each bootstrap.

    Returns:
        Share of the 95 % intervals that hold the truth, by metric; and how many intervals, of all metrics that have
        one, do not hold the metric's own value.
    """
    generator, right = np.random.default_rng(1), truth(scene)
    hits, outside = dict.fromkeys(SHOWN, 0), 0
    for seed in range(repeats):
        scores, labels = draw_scores(scene, generator)
        ends = intervals(scores, labels, scene.group.tolist(), resamples=resamples, seed=seed)
        values = compute_metrics(scores, labels)
        outside += sum(not pair[0] <= (values[name] or 0) <= pair[1] for name, pair in ends.items() if pair)
        for name in SHOWN:
            low, high = ends[name] or (0.0, 1.0)
            hits[name] += low <= right[name] <= high
    return {name: count / repeats for name, count in hits.items()}, outside


def false_differences(groups: int, size: int, repeats: int) -> dict[str, float]:
    """Compare two detectors that are equally good, each with its own luck in each group.

    Args:
        groups: number of groups.
        size: images of each, half of them fake.
        repeats: sets that are drawn.

    Returns:
        Share of p below .05: of AUC and accuracy by the sign test, and of McNemar's exact test, which takes images
        as independent.
    """
    generator = np.random.default_rng(2)
    group, label = np.repeat(np.arange(groups), size), np.arange(groups * size) % 2
    side = 2 * label - 1
    called = np.zeros(3)
    for seed in range(repeats):
        common = 0.5 * generator.normal(size=len(label)) + 0.5 * side
        luck = generator.normal(size=(2, groups))[:, group] * side
        scores = expit(common + luck + 0.7 * generator.normal(size=luck.shape))
        right = (scores >= 0.5) == (label == 1)
        gain = right[0].astype(int) - right[1]
        wins, losses = int((gain > 0).sum()), int((gain < 0).sum())
        mcnemar = binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
        auc, accuracy = (sign_test(parts, group, seed=seed) for parts in (auc_parts(list(scores), label), gain))
        called += np.array([auc, accuracy, mcnemar]) < 0.05
    return dict(zip(("auc", "accuracy", "mcnemar"), (called / repeats).tolist(), strict=True))


def origins_coverage(origins: int, images: int, repeats: int, resamples: int) -> tuple[float, float]:
    """Measure how often the interval of a mean over origins holds the mean over all origins of their kind.

    How far real and fake scores lie apart differs between origins as much as it did between the foreign sources that
    were measured: d' is normal with mean 1.2 and standard deviation .8, which gives AUCs of about .55 to .97.

    Args:
        origins: number of origins.
        images: of each, half of them fake.
        repeats: sets that are drawn.
        resamples: of each interval.

    Returns:
        Share of intervals over origins, and of those over groups, that hold the true mean AUC.
    """
    generator = np.random.default_rng(3)
    right = float(norm.cdf(generator.normal(1.2, 0.8, LARGE) / np.sqrt(2)).mean())
    label, hits = np.arange(images) % 2, np.zeros(2)
    for _ in range(repeats):
        parts = {}
        for number, distance in enumerate(generator.normal(1.2, 0.8, origins)):
            score = expit(generator.normal(size=images) + distance * label)
            parts[str(number)] = OriginScores(pd.DataFrame({"score": score, "label": label, "group": None}), 0.5, None)
        mean = measure_parts(parts, resamples=resamples).mean["auc"]
        ends = (mean.low, mean.high), (mean.group_low, mean.group_high)
        hits += [low is not None and high is not None and low <= right <= high for low, high in ends]
    over_origins, over_groups = (hits / repeats).tolist()
    return over_origins, over_groups


def main() -> int:
    """Parse the command line; see the module's description."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000, help="sets that are drawn of each kind (default 1000)")
    parser.add_argument("--resamples", type=int, default=500, help="of each bootstrap (default 500)")
    words = parser.parse_args()
    print("| images | groups | fakes | trust | " + " | ".join(SHOWN) + " | own value outside |")
    print("|---" * (5 + len(SHOWN)) + "|")
    for scene in SCENES:
        shares, outside = coverage(scene, words.repeats, words.resamples)
        facts = [scene.n, scene.groups or "single", scene.fakes, scene.trust]
        cells = [*facts, *(f"{shares[name]:.3f}" for name in SHOWN), outside]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    print("\n| groups | images of each | AUC | accuracy | McNemar |\n|---|---|---|---|---|")
    for groups, size in ((6, 20), (10, 20), (20, 20), (60, 10), (200, 2)):
        cells = [groups, size, *(f"{share:.3f}" for share in false_differences(groups, size, words.repeats).values())]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    print("\n| origins | images of each | interval over origins | over groups |\n|---|---|---|---|")
    for origins in (3, 5, 8):
        shares = origins_coverage(origins, 60, words.repeats, words.resamples)
        print(f"| {origins} | 60 | " + " | ".join(f"{share:.3f}" for share in shares) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
