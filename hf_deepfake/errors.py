"""The one error that a user meets: a sentence that says what is wrong, with what, and what to do."""


class InputError(ValueError):
    """Something the user gave cannot be used; the command line prints the sentence and exits with 2."""


class Interrupted(BaseException):
    """A signal asks that work end here; no error, so that nothing that catches errors keeps it."""


class ImageError(InputError):
    """An image cannot be opened: not an image, broken, too large or too small."""


class VideoError(ImageError):
    """A video cannot be read: no video, without picture, broken, or beyond the limits."""
