"""From an image to what the model is given: the faces found, cropped as the training images were."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL.Image import Image
from torch import Tensor

from hf_deepfake.images.crop import MIN_FACE, SURELY, Margin, crop_region, is_crop
from hf_deepfake.images.faces import GLANCE, Face, find_faces, glance

NO_FACE = "No face was found, so the whole image was evaluated; the model was trained on face crops."
TOO_SMALL = f"Every face is smaller than {MIN_FACE} px, too small to evaluate."
SOME_TOO_SMALL = f"Faces smaller than {MIN_FACE} px were left out."
ANIMATED = "The image is animated; only its first frame was evaluated."


@dataclass(frozen=True)
class Prepared:
    """One image, ready for the model.

    Attributes:
        regions: what is evaluated: (left, top, right, bottom) in whole px of the image, one or more.
        boxes: of the face in each region; empty where no face was looked for or found.
        pixels: of each region, float32 (3, side, side), normalised.
        doubtful: no score of this image can be relied upon, whatever it is.
        reasons: what is to be said about the image.
    """

    regions: tuple[tuple[int, int, int, int], ...]
    boxes: tuple[tuple[float, float, float, float], ...]
    pixels: tuple[Tensor, ...]
    doubtful: bool
    reasons: tuple[str, ...]


def prepare(image: Image, transform: Callable[[Image], Tensor], margin: Margin | None) -> Prepared:
    """Find what is to be evaluated in an image and bring it to the model's form.

    An image that is itself a face crop, as a first look often shows, is taken whole, pixel for pixel. Of any other,
    each face is cropped with the margin that the training images have. Without a face, or with none large enough, what
    there is gets evaluated all the same, and marked doubtful.

    Args:
        image: as `open_image` gives it.
        transform: from RGB to a normalised tensor (3, side, side).
        margin: of the training images; None takes the image whole without looking for faces.

    Returns:
        Regions, tensors and what is to be said.
    """
    whole = (0, 0, image.width, image.height)
    reasons = [ANIMATED] if image.info.get("animated") else []
    doubtful = False
    regions: list[tuple[int, int, int, int]] = [whole]
    faces: list[Face] = []
    if margin is not None:
        if max(image.size) > GLANCE:  # of smaller images the whole search is no more work
            faces = glance(image)
        if not is_crop(faces, margin, image.size, SURELY):
            faces = find_faces(image)
        large = [face for face in faces if face.shortest_side >= MIN_FACE]
        if not large:
            doubtful = True
            reasons.append(TOO_SMALL if faces else NO_FACE)
        elif len(large) < len(faces):
            reasons.append(SOME_TOO_SMALL)
        faces = large or faces
        if faces and not is_crop(faces, margin, image.size):
            regions = [crop_region(face, margin, image.size) for face in faces]
        else:
            faces = faces[:1]
    pixels = tuple(transform(image if region == whole else image.crop(region)) for region in regions)
    return Prepared(tuple(regions), tuple(face.box for face in faces), pixels, doubtful, tuple(reasons))
