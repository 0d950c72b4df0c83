"""From frames to videos: one score for each video, and what turns it into a verdict."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from hf_deepfake.config import DecisionConfig
from hf_deepfake.metrics.decision import Decision, decide
from hf_deepfake.metrics.foreign import ForeignResult, measure_foreign
from hf_deepfake.metrics.result import SplitResult, evaluate_scores
from hf_deepfake.metrics.score_table import COLUMNS, groups_of
from hf_deepfake.metrics.subgroups import measure_subsets

FEWEST = 20
"""Videos of each class below which they decide nothing of their own: of fewer than 19, a band can promise nothing at a
confident error of 5 %, and a temperature is fitted to chance."""

_SAME_VIDEO = ["split", "source", "video", "label", "manipulation"]
_NEARLY_1 = np.finfo(np.float64).eps


@dataclass(frozen=True)
class VideoResult:
    """What was measured on videos; in every `SplitResult` here, "images" are videos.

    Attributes:
        decision: how the mean of a video's frames becomes a verdict; its temperature divides the mean of logits that
            have the checkpoint's own temperature already. None where too few videos decided (`FEWEST`): the verdict is
            then by the checkpoint's operating point, and never unsure.
        frames: median number of frames of a video.
        splits: results by split name, of those splits that have videos.
        subsets: results of the evaluated split apart, as `measure_subsets` gives them.
        foreign: results on sources foreign to training and calibration.
    """

    decision: Decision | None
    frames: float
    splits: dict[str, SplitResult]
    subsets: dict[str, dict[str, SplitResult]]
    foreign: ForeignResult | None = None


def video_scores(table: pd.DataFrame, decision: Decision | None = None) -> pd.DataFrame:
    """Make one score of the frames of each video: the mean of their logits.

    A video is the frames of one split and source that share the column video, the label and the manipulation. So a
    swap that is called after its source, and its source itself, are two videos; a group, which holds both, is none.

    Args:
        table: of `score_table`; images without a video are left out.
        decision: whose temperature divides the mean logit; None for 1.

    Returns:
        A row for each video, in the order of first frames, with `COLUMNS`: file is the video's name, score P(fake) of
        the video, side that of its smallest frame, and all else is as its first frame has it.
    """
    frames = table[table["video"].notna()]
    margin = logit(frames["score"].clip(_NEARLY_1, 1 - _NEARLY_1)) / (1.0 if decision is None else decision.temperature)
    grouped = frames.assign(score=margin, file=frames["video"]).groupby(_SAME_VIDEO, sort=False, dropna=False)
    how = dict.fromkeys(COLUMNS.keys() - set(_SAME_VIDEO), "first") | {"score": "mean", "side": "min"}
    videos = grouped.agg(how).reset_index()
    return videos.assign(score=expit(videos["score"]))[list(COLUMNS)].astype(COLUMNS)


def decide_videos(table: pd.DataFrame, config: DecisionConfig) -> Decision | None:
    """Choose temperature, operating point and abstention band for videos, as `decide` does for images.

    Frames of one video err together, so that the mean of their logits is less certain than it says, and a band of
    frames promises nothing for videos.

    Args:
        table: of `score_table`, the images that decide.
        config: criterion and the like.

    Returns:
        The decision; None with fewer than `FEWEST` videos of a class.
    """
    videos = video_scores(table)
    label = videos["label"].to_numpy()
    if min(np.bincount(label, minlength=2)) < FEWEST:
        return None
    logits = np.stack([np.zeros(len(videos)), logit(videos["score"].clip(_NEARLY_1, 1 - _NEARLY_1))], axis=1)
    return decide(
        logits,
        label,
        criterion=config.criterion,
        miss_cost=config.miss_cost,
        prior=config.prior,
        confident_error=config.confident_error,
        origins=None if config.band == "pooled" else videos["origin"].to_numpy(),
    )


def measure_videos(
    known: pd.DataFrame, elsewhere: pd.DataFrame, operating_point: float, decision: Decision | None, evaluated: str
) -> VideoResult | None:
    """Measure videos: all metrics with their intervals, for which whole groups of videos are drawn.

    Args:
        known: of `score_table`, images of one split or more.
        elsewhere: the same of images foreign to training and calibration; without rows where there are none.
        operating_point: the checkpoint's, for frames.
        decision: of `decide_videos`; None where there is none.
        evaluated: the split that is also measured apart.

    Returns:
        The result; None where no image of a split is of a video.
    """
    videos, foreign = video_scores(known, decision), video_scores(elsewhere, decision)
    if not len(videos):
        return None
    threshold = operating_point if decision is None else decision.operating_point
    band = None if decision is None else decision.abstention_band
    frames = known[known["video"].notna()].groupby(_SAME_VIDEO, dropna=False).size()
    return VideoResult(
        decision,
        float(frames.median()),
        {
            str(name): evaluate_scores(part["score"], part["label"], groups_of(part), threshold, abstention_band=band)
            for name, part in videos.groupby("split", sort=False)
        },
        measure_subsets(videos[videos["split"] == evaluated], threshold),
        measure_foreign(foreign, threshold, band) if len(foreign) else None,
    )
