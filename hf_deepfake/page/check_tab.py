"""The tab in which one image is checked, and the work behind all tabs that check images."""

import hashlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import gradio as gr

from hf_deepfake.detect.verdict import Explanation
from hf_deepfake.errors import InputError
from hf_deepfake.forensics.inspect import inspect_image
from hf_deepfake.page.closer_tab import show_closer
from hf_deepfake.page.error_sentences import describe_error
from hf_deepfake.page.picker import Chosen, add_shown, add_uploads
from hf_deepfake.page.pictures import inline_file
from hf_deepfake.page.texts import LANGUAGES, render, texts
from hf_deepfake.page.turns import Turn, Turns
from hf_deepfake.page.uploads import read_path
from hf_deepfake.page.verdict_card import Checked, Judge, quality_of, show_card

EXAMPLES = Path(__file__).parent / "examples"


class Checker:
    """Checks uploads, one at a time.

    Args:
        explain: what evaluates an encoded image.
        judge: the model behind it.
        turns: of all that takes long here.
    """

    def __init__(self, explain: Callable[[bytes], Explanation], judge: Judge, turns: Turns):
        self.judge = judge
        self._explain = explain
        self._turns = turns

    def queue(self, path: str) -> Turn[Checked]:
        """Let an upload wait for its turn.

        Args:
            path: of the upload, which is read now: while it waits it may be deleted.

        Returns:
            Its place and, in the end, what was found.

        Raises:
            InputError: the upload is gone, or too many are waiting.
        """
        content = read_path(path)
        return self._turns.queue(lambda: self._check(Path(path).name, content))

    def _check(self, name: str, content: bytes) -> Checked:
        """Evaluate and inspect one image."""
        explanation = self._explain(content)
        digest = hashlib.sha256(content).hexdigest()
        return Checked(name, digest, quality_of(content), explanation, inspect_image(content))


def message(language: str, number: str, sentence: str, *, failed: bool = False) -> str:
    """Set a sentence in the place of a verdict.

    Args:
        language: one of `LANGUAGES`.
        number: which choice it answers.
        sentence: what is to be said.
        failed: there will be no verdict.

    Returns:
        HTML.
    """
    heading = texts(language)["verdict"]["failed"] if failed else ""
    kind = "failed" if failed else "waiting"
    return render("message", language, number=number, sentence=sentence, kind=kind, heading=heading)


def say_waiting(language: str, number: str, ahead: int) -> str:
    """Say how many images are before this one.

    Args:
        language: one of `LANGUAGES`.
        number: which choice waits.
        ahead: how many.

    Returns:
        HTML.
    """
    sentences = texts(language)["waiting"]
    named = {0: "next", 1: "one"}.get(ahead, "many")
    return message(language, number, sentences[named].format(count=ahead))


def check_one(checker: Checker, value: dict | None) -> Generator[tuple[str, Checked | None]]:
    """Check the first upload of a choice.

    Args:
        checker: who does.
        value: the choice.

    Yields:
        What is to be shown, and what was found when it is found.
    """
    chosen = Chosen.read(value)
    language, number = chosen.language, chosen.number
    try:
        if not chosen.paths:
            raise InputError("no image was given; choose one")
        turn = checker.queue(chosen.paths[0])
        for ahead in turn:
            yield say_waiting(language, number, ahead), None
        found = turn.result()
        yield show_card(found, checker.judge, language, number), found
    except InputError as error:
        yield message(language, number, describe_error(error, language), failed=True), None


def show_examples() -> str:
    """Set the examples, whose title the page's language gives.

    Returns:
        HTML; empty where none are.
    """
    files = sorted(EXAMPLES.glob("*.jpg"))
    return render("example_images", LANGUAGES[0], files=[(file.name, inline_file(file)) for file in files])


def add_check(checker: Checker, static: Callable[..., gr.HTML]) -> gr.HTML:
    """Add the tab's content to the Blocks that are being built.

    Args:
        checker: who checks.
        static: makes a part of the page that is fixed, in every language, by the name of its template.

    Returns:
        Where what the file says, and views of its pixels, are shown: for another tab, which places it.
    """
    closer = add_shown("closer", render=False)
    with gr.Row(elem_id="check"):
        with gr.Column(scale=4, min_width=300):
            static("picker", shows="verdict closer", most=1, heading="")
            static("examples")
            gr.HTML(show_examples(), apply_default_css=False)
        with gr.Column(scale=6, min_width=300, elem_classes="results"):
            verdict = add_shown("verdict")
            static("limits")
        with gr.Column(scale=4, min_width=300):
            static("history")
        uploads = add_uploads("check")

    def check(value: dict | None) -> Iterator[tuple[str, str]]:
        chosen = Chosen.read(value)
        for markup, found in check_one(checker, value):
            views = "" if found is None else show_closer(found.inspection, chosen.language, chosen.number)
            yield markup, views

    listen(uploads, check, [verdict, closer], "check")
    return closer


def listen(uploads: gr.HTML, check: Callable[..., Iterator], shown: list[gr.HTML], panel: str) -> None:
    """Check whatever is chosen, and say so where the server fails without a word.

    Args:
        uploads: of the panel.
        check: a generator function of a choice.
        shown: where what it yields is shown.
        panel: id of the column that holds the picker.
    """
    checked = uploads.input(
        check,
        uploads,
        shown,
        trigger_mode="always_last",  # an image that was chosen while another is evaluated is not forgotten
        concurrency_limit=None,
        show_progress="hidden",
        api_visibility="private",
    )
    checked.failure(None, None, None, js=f"() => deepfakePage.failed({panel!r})")
