"""Evaluate images with an exported checkpoint."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import torch
from PIL.Image import Image

from hf_deepfake.detect.answers import answer_regions, explain_regions
from hf_deepfake.detect.backends import BackendName
from hf_deepfake.detect.choice import choose
from hf_deepfake.detect.decide import decide
from hf_deepfake.detect.face_crops import Prepared, prepare
from hf_deepfake.detect.verdict import Explanation, Verdict
from hf_deepfake.detect.video_verdict import FRAMES, VideoVerdict
from hf_deepfake.errors import ImageError, InputError
from hf_deepfake.explain.overlay import compose
from hf_deepfake.images.open import open_image
from hf_deepfake.images.source import TAKEN, ImageInput, as_it_is_now, is_several
from hf_deepfake.images.video import LIMITS, VideoInput, VideoLimits
from hf_deepfake.machine import best_device, submit, usable_cores
from hf_deepfake.models.checkpoint import LoadedCheckpoint, load_checkpoint
from hf_deepfake.runtimes.variants import Variant

if TYPE_CHECKING:
    from hf_deepfake.explain.cam import Method
    from hf_deepfake.hub.upload import PushResult

BATCH_SIZE = 32
"""Images evaluated at once: enough to keep a GPU busy, little enough for a laptop's memory at 224 px."""


class Detector:
    """A checkpoint on a device, called with images.

    Args:
        checkpoint: what `load_checkpoint` returned.
        device: torch device, such as "cuda:1"; by default the accelerator that torch has, else the CPU.
        faces: "auto" finds the faces of an image and evaluates each, cropped as the checkpoint's training images
            were; "off" takes every image for a face crop, as transformers' pipeline does. A checkpoint that was
            not trained on face crops, or does not say how they were cropped, has images evaluated whole either way.
        backend: what computes: "torch", "openvino", "onnx", or "auto" for the fastest on this machine that is known to
            agree with torch (see `choice.choose`).
    """

    def __init__(
        self,
        checkpoint: LoadedCheckpoint,
        device: str | torch.device | None = None,
        faces: Literal["auto", "off"] = "auto",
        backend: BackendName | Variant = "auto",
    ) -> None:
        if faces not in ("auto", "off"):
            raise InputError(f"faces is {faces!r}; it must be auto or off")
        self.checkpoint = checkpoint
        self._margin = checkpoint.face_margin if faces == "auto" else None
        self._wanted = backend
        self.to(device or best_device())
        _guard_forks()

    @classmethod
    def from_pretrained(
        cls,
        folder_or_repo: str | Path,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        base: str | Path | None = None,
        device: str | torch.device | None = None,
        faces: Literal["auto", "off"] = "auto",
        backend: BackendName | Variant = "auto",
    ) -> Self:
        """Load a detector.

        Args:
            folder_or_repo: folder of a checkpoint or an adapter, or the Hub's "owner/name".
            revision: branch, tag or commit on the Hub.
            token: of the Hub; see `load_checkpoint`.
            cache_dir: where what comes from the Hub is kept; see there.
            base: weights of an adapter's base; see there.
            device: torch device; see the class.
            faces: see the class.
            backend: see the class.

        Returns:
            The detector.

        Raises:
            InputError: there is no such checkpoint or device, the checkpoint is damaged, or it has no such backend.
        """
        loaded = load_checkpoint(folder_or_repo, revision=revision, token=token, cache_dir=cache_dir, base=base)
        return cls(loaded, device, faces, backend)

    def to(self, device: str | torch.device) -> Self:
        """Compute on another device from now on, with the backend chosen anew.

        Args:
            device: torch device, such as "cuda:1".

        Returns:
            This detector.

        Raises:
            InputError: there is no such device, or the backend that was asked for does not compute there.
        """
        try:
            target = torch.device(device)
            torch.empty(0, device=target)
        except (AssertionError, NotImplementedError, RuntimeError) as error:
            reason = str(error).partition("\n")[0].rstrip(".")
            raise InputError(f"there is no device {device} here ({reason}); leave it out, or give another") from error
        self._backend = choose(self._wanted, self.checkpoint, target.type)
        self.device = target
        if self._backend.variant.runtime == "torch":
            self._build()  # moved now, not at the first image
        self._process = os.getpid()
        return self

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write the checkpoint to a folder, as it was loaded, with exports for other runtimes that agree with torch.

        Args:
            folder: new, empty, or of a checkpoint that is then replaced.

        Returns:
            The folder, which every reader of checkpoints loads.

        Raises:
            InputError: the folder holds something else, or cannot be written; nothing is half-written.
        """
        from hf_deepfake.hub.push import copy_checkpoint  # a verdict needs nothing of what it imports

        return copy_checkpoint(self.checkpoint.folder, folder)

    def push_to_hub(self, repo_id: str, *, license: str, **options: Any) -> "PushResult":
        """Publish the checkpoint, as it was loaded, in one commit; see `hf_deepfake.push_to_hub`.

        Args:
            repo_id: `owner/name`; the repository is made if need be.
            license: the Hub's name of the weights' licence, such as "apache-2.0".
            **options: private, revision, create_pr, token or dry_run.

        Returns:
            What was pushed, and where.

        Raises:
            InputError: the checkpoint has no report, there is no token, or the Hub cannot be reached or refuses.
        """
        from hf_deepfake.hub.push import push_to_hub

        return push_to_hub(self.checkpoint.folder, repo_id, license=license, **options)

    def _build(self) -> torch.nn.Module:
        """The model on the device; other runtimes than torch need it for some maps only."""
        return self.checkpoint.model.to(self.device).to(memory_format=torch.channels_last)

    @property
    def backend(self) -> Variant:
        """What computes the scores."""
        return self._backend.variant

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of the weights: which checkpoint a stored verdict is from."""
        digest = hashlib.sha256()
        for name, tensor in self._build().state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.contiguous().cpu().numpy().tobytes())
        return digest.hexdigest()[:12]

    @overload
    def __call__(self, images: ImageInput) -> Verdict: ...
    @overload
    def __call__(self, images: Iterable[ImageInput]) -> list[Verdict | ImageError]: ...
    def __call__(self, images: ImageInput | Iterable[ImageInput]) -> Verdict | list[Verdict | ImageError]:
        """Evaluate an image, or each of several.

        Args:
            images: what `open_image` takes: a path, encoded bytes, an open binary file, a dict of bytes and path, a
                PIL image, a uint8 array (H, W, 3) or tensor (3, H, W); or a list, a generator or the like of such.

        Returns:
            One verdict; or a list in the order of the images, with the error in the place of each image that
            cannot be opened.

        Raises:
            ImageError: the one image cannot be opened, or is nothing that can be taken.
        """
        if is_several(images):
            return list(self.stream(images))
        (result,) = self.stream([images])  # ty: ignore[invalid-argument-type]
        if isinstance(result, ImageError):
            raise result
        return result

    def stream(self, images: Iterable[ImageInput]) -> Iterator[Verdict | ImageError]:
        """Evaluate any number of images, a batch at a time; the next ones are decoded while the model works.

        Args:
            images: as for calling the detector; taken two batches ahead, so a generator is never exhausted early.

        Yields:
            For each image in order its verdict, or the error that says why it cannot be opened.

        Raises:
            ImageError: this is one image, or nothing that holds images.
            InputError: the detector computes on a GPU and was made before a fork, or the stream was begun before one.
        """
        if not is_several(images):
            raise ImageError(f"stream takes a list, a generator or the like of images, each of them {TAKEN}")
        self._revive()
        process = os.getpid()
        waiting: deque[Future[Prepared | ImageError]] = deque()
        source = iter(images)
        decoders = ThreadPoolExecutor(usable_cores())
        try:
            while True:
                if os.getpid() != process:
                    raise InputError("the process forked while this stream ran; begin a stream in the child")
                ahead = 2 * BATCH_SIZE - len(waiting)
                waiting.extend(submit(decoders, self._prepare, as_it_is_now(one)) for one in islice(source, ahead))
                if not waiting:
                    return
                yield from self._judge([waiting.popleft().result() for _ in range(min(BATCH_SIZE, len(waiting)))])
        finally:  # a caller that stops early must not wait for images that nobody wants
            decoders.shutdown(wait=False, cancel_futures=True)

    def explain(self, image: ImageInput, method: "Method" = "gradcam", fine: bool = False) -> Explanation:
        """Evaluate an image and show what speaks for the verdict.

        Args:
            image: as for calling the detector.
            method: see `hf_deepfake.explain.cam.explain`.
            fine: see there.

        Returns:
            The verdict and its map. With several faces, each one's map is for the whole image's label.

        Raises:
            ImageError: the image cannot be opened.
            InputError: there is no such map of this model.
        """
        self._revive()
        opened = open_image(image)
        prepared = self._prepare_opened(opened)
        batches = [
            self._batch(prepared.pixels[start : start + BATCH_SIZE])
            for start in range(0, len(prepared.pixels), BATCH_SIZE)
        ]
        logits, values = explain_regions(batches, self._backend, self._build, method, fine)
        verdict = decide(prepared, logits.softmax(dim=1).tolist(), self.checkpoint)
        return Explanation(verdict, opened, compose(values, prepared.regions, opened.size))

    def video(
        self,
        source: VideoInput,
        *,
        frames: int = FRAMES,
        every: float | None = None,
        explain: bool = False,
        limits: VideoLimits = LIMITS,
        progress: Callable[[int, int], object] = lambda done, number: None,
    ) -> VideoVerdict:
        """Evaluate a video by the faces in frames of it, linked to tracks, of which the most fake one decides.

        Args:
            source: path, encoded bytes, or an open binary file.
            frames: how many are evaluated, evenly in time; more see shorter appearances.
            every: seconds between frames, in place of their number.
            explain: make a map of each face, for `SampledFrame.overlay`.
            limits: beyond which a video is refused.
            progress: called with how many frames were looked at, and how many will be, as often as that changes.

        Returns:
            The verdict, with tracks, timeline and frames.

        Raises:
            VideoError: the video cannot be read, or is beyond the limits.
            InputError: frames or every makes no sense, or there is no map of this model.
        """
        from hf_deepfake.detect.video_detector import evaluate_video  # an image needs no tracks and no intervals

        self._revive()
        return evaluate_video(
            source,
            self._prepare_opened,
            lambda pixels: answer_regions(self._batch(pixels), self._backend, self._build, explain),
            self.checkpoint,
            {"count": frames} if every is None else {"every": every},
            limits,
            progress,
        )

    def _revive(self) -> None:
        """In the child of a fork, start what did not come along: no thread of the parent did."""
        if os.getpid() == self._process:
            return
        if self.device.type != "cpu":
            raise InputError(
                f"this detector was made before a fork, which {self.device.type} does not survive; make it in the child"
            )
        self._backend = self._backend.again()
        self._process = os.getpid()

    def _prepare(self, image: ImageInput | ImageError) -> Prepared | ImageError:
        """An image made ready for the model, or why it cannot be."""
        try:
            return image if isinstance(image, ImageError) else self._prepare_opened(open_image(image))
        except ImageError as error:
            return error

    def _prepare_opened(self, image: Image) -> Prepared:
        """An opened image made ready for the model."""
        return prepare(image, self.checkpoint.transform, self._margin)

    def _judge(self, batch: Sequence[Prepared | ImageError]) -> Iterator[Verdict | ImageError]:
        """Verdicts on one batch, of which each image may have several faces."""
        pixels = [region for item in batch if isinstance(item, Prepared) for region in item.pixels]
        probabilities: list[list[float]] = []
        with torch.inference_mode():
            for start in range(0, len(pixels), BATCH_SIZE):
                logits, _ = self._backend(self._batch(pixels[start : start + BATCH_SIZE]))
                probabilities += logits.softmax(dim=1).tolist()
        remaining = iter(probabilities)
        for item in batch:
            if isinstance(item, ImageError):
                yield item
            else:
                yield decide(item, list(islice(remaining, len(item.pixels))), self.checkpoint)

    def _batch(self, pixels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Regions as one batch on the device, in the layout that the backend works in."""
        layout = torch.channels_last if self._backend.variant.runtime == "torch" else torch.contiguous_format
        return torch.stack(list(pixels)).to(self.device, memory_format=layout)


@cache
def _guard_forks() -> None:
    """Let torch compute on one thread in children of a fork: on more it waits for ever for those of the parent."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
