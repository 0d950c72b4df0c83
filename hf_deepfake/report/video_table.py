"""The table of results by video, for every summary, page and card."""

from collections.abc import Mapping

from hf_deepfake.metrics.result import UNSURE_METRICS
from hf_deepfake.metrics.videos import FEWEST, VideoResult


def video_rows(videos: VideoResult, titles: Mapping[str, str]) -> list[list[str]]:
    """The table of results by video, a column for each split.

    Args:
        videos: the results.
        titles: metrics to show, with their headings.

    Returns:
        Cells of its head and of each line, as many in each.
    """
    splits = videos.splits.values()
    rows = [["By video", *videos.splits]]
    rows.append(["Videos", *(f"{one.n_real} real, {one.n_fake} fake" for one in splits)])
    if any(one.n_groups for one in splits):
        rows.append(["Groups", *(str(one.n_groups or "") for one in splits)])
    rows += [[title, *(str(one.metrics[name]) for one in splits)] for name, title in titles.items()]
    if videos.decision is not None:
        rows += [[title, *(str(one.unsure[name]) for one in splits)] for name, title in UNSURE_METRICS.items()]
    return rows


def video_note(videos: VideoResult, operating_point: float) -> str:
    """Say how a video gets its score and its verdict.

    Args:
        videos: the results.
        operating_point: the checkpoint's, for frames.

    Returns:
        Two or three sentences.
    """
    score = f"A video's score is the mean logit of its frames (median: {videos.frames:g})"
    decision = videos.decision
    if decision is None:
        return (
            f"{score}. Its verdict is fake from P(fake) {operating_point:.3f} on, as a frame's is, and never unsure: "
            f"there were fewer than {FEWEST} videos of a class to decide on more."
        )
    low, high = decision.abstention_band
    return (
        f"{score}, divided by a temperature of {decision.temperature:.3f}. Its verdict is fake from P(fake) "
        f"{decision.operating_point:.3f} on and unsure from {low:.3f} to {high:.3f}. All this was chosen on the "
        "videos of the images that decided."
    )
