"""The one error that a user meets: a sentence that says what is wrong, with what, and what to do."""


class InputError(ValueError):
    """Something the user gave cannot be used; the command line prints the sentence and exits with 2."""


class PictureError(InputError):
    """A picture cannot be opened: not a picture, broken, too large or too small."""
