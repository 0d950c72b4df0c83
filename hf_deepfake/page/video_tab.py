"""The tab in which a video is checked, and the work behind it and behind the endpoint for videos."""

import hashlib
from collections.abc import Callable, Generator
from io import BufferedReader
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import gradio as gr

from hf_deepfake.detect.video_verdict import VideoVerdict
from hf_deepfake.errors import InputError
from hf_deepfake.images.video import VideoLimits
from hf_deepfake.page.check_tab import listen, message, say_waiting
from hf_deepfake.page.error_sentences import describe_error
from hf_deepfake.page.limits import VIDEO_MEGABYTES
from hf_deepfake.page.picker import Chosen, add_shown, add_uploads
from hf_deepfake.page.texts import LANGUAGES, render
from hf_deepfake.page.turns import Turn, Turns
from hf_deepfake.page.uploads import CLIPS, FILE
from hf_deepfake.page.verdict_card import Judge
from hf_deepfake.page.video_card import Clip, show_clip

MINUTES = 10

LIMITS = VideoLimits(duration=60 * MINUTES, pixels=4096 * 2304, frames=MINUTES * 60 * 120, seconds=120)
"""A clip that people send each other, in 4K at 120 frames a second; and two minutes of work, since others wait."""

Steps = SimpleQueue[tuple[int, int] | None]


class VideoChecker:
    """Checks uploaded videos, in turn with all else.

    Args:
        evaluate: `Detector.video`.
        judge: the model behind it.
        turns: of all that takes long here.
    """

    def __init__(self, evaluate: Callable[..., VideoVerdict], judge: Judge, turns: Turns):
        self.judge = judge
        self._evaluate = evaluate
        self._turns = turns

    def queue(self, path: str | None, explain: bool) -> tuple[Turn[Clip], Steps]:
        """Let an upload wait for its turn.

        Args:
            path: of the upload, which is opened now: while it waits it may be deleted, and an open file stays readable.
            explain: make maps.

        Returns:
            Its place and, in the end, what was found; and while it has its turn how many frames of how many were looked
            at, with None at the end.

        Raises:
            InputError: there is none, it is gone, or too many are waiting.
        """
        if path is None:
            raise InputError("no video was given; choose one")
        steps: Steps = SimpleQueue()
        file = _open(path)

        def work() -> Clip:
            try:
                with file:
                    return self._check(Path(path).name, file, explain, steps)
            finally:
                steps.put(None)

        try:
            return self._turns.queue(work), steps
        except InputError:
            file.close()
            raise

    def _check(self, name: str, file: BufferedReader, explain: bool, steps: Steps) -> Clip:
        """Evaluate one video."""
        verdict = self._evaluate(
            file, explain=explain, limits=LIMITS, progress=lambda done, number: steps.put((done, number))
        )
        file.seek(0)
        return Clip(name, hashlib.file_digest(file, "sha256").hexdigest(), verdict)


def _open(path: str) -> BufferedReader:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise InputError("the video has been deleted from the server; upload it again") from error


def check_video(checker: VideoChecker, value: dict | None) -> Generator[str]:
    """Check the upload of a choice.

    Args:
        checker: who does.
        value: the choice.

    Yields:
        What is to be shown.
    """
    chosen = Chosen.read(value)
    language, number = chosen.language, chosen.number
    try:
        turn, steps = checker.queue(next(iter(chosen.paths), None), explain=True)
        for ahead in turn:
            yield say_waiting(language, number, ahead)
            if ahead == 0:
                break
        for done, count in iter(steps.get, None):
            yield _say_step(language, number, done, count)
        yield show_clip(turn.result(), checker.judge, language, number)
    except InputError as error:
        yield message(language, number, describe_error(error, language), failed=True)


def _say_step(language: str, number: str, done: int, count: int) -> str:
    """Say how far the evaluation is."""
    return render("video_step", language, number=number, done=done, count=count)


def add_video(checker: VideoChecker, static: Callable[..., gr.HTML]) -> None:
    """Add the tab's content to the Blocks that are being built.

    Args:
        checker: who checks.
        static: makes a part of the page that is fixed, in every language, by the name of its template.
    """

    def check(value: dict | None) -> Generator[str]:
        yield from check_video(checker, value)

    with gr.Column(elem_id="video"):
        static("video_picker", video_megabytes=VIDEO_MEGABYTES, minutes=MINUTES)
        listen(add_uploads("video", CLIPS), check, [add_shown("clip")], "video")
        static("video_limits")


def add_video_endpoint(checker: VideoChecker) -> None:
    """Add `/predict_video` to the Blocks that are being built, which is also an MCP tool.

    Args:
        checker: who checks.
    """

    def predict_video(video: dict[str, Any] | None) -> dict[str, Any]:
        """Say what a model makes of the people in a video: real or deepfake, how sure, and when.

        Args:
            video: an upload, or over MCP a data URL; links are refused.

        Returns:
            The verdict, with tracks of people and what was found in each frame.
        """
        try:
            turn, _ = checker.queue(video["path"] if video else None, explain=False)
            return turn.result().verdict.to_dict()
        except InputError as error:
            raise gr.Error(describe_error(error, LANGUAGES[0]), print_exception=False) from error

    video = gr.File(label="Video", visible=False)
    verdict = gr.JSON(label="verdict", visible=False)
    api = gr.Button(visible=False)
    name = "predict_video"
    api.click(predict_video, video, verdict, preprocess=False, concurrency_limit=None, queue=False, api_name=name)
    video.example_payload = lambda: {"path": "clip.mp4", "url": "clip.mp4", "meta": FILE}
