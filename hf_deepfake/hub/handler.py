"""What Inference Endpoints load from a repository's handler.py: faces are found, the band is heeded."""

import base64
from typing import Any

from hf_deepfake import Detector


class EndpointHandler:
    """A detector as the Hub's inference toolkit calls it.

    Args:
        path: folder of the repository.
    """

    def __init__(self, path: str = "") -> None:
        self._detector = Detector.from_pretrained(path)

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        """Evaluate an image.

        Args:
            data: "inputs" is the image: a PIL image, as which the toolkit hands on a body of type image/..., or in JSON
                the file in base64, or as a data URL.

        Returns:
            The verdict in JSON's types; see `Verdict.to_dict`.

        Raises:
            ImageError: it is no image; the toolkit answers 400 with the sentence.
        """
        image = data["inputs"]
        if isinstance(image, str):
            image = base64.b64decode(image.rpartition(",")[2])
        return self._detector(image).to_dict()
