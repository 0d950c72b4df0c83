"""What goes wrong between here and the Hugging Face Hub, in one sentence that says what to do."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager

from datasets.exceptions import DatasetsError
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,  # that of httpx or httpx2, whichever this version of huggingface_hub stands on
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from hf_deepfake.errors import InputError

# Connections fail as HTTPError, uploads as RuntimeError, and the client's own checks as ValueError.
HUB_ERRORS = (DatasetsError, HTTPError, OSError, RuntimeError, ValueError)


@contextmanager
def hub_errors(what: str) -> Generator[None]:
    """Turn the errors of huggingface_hub and datasets into `InputError`.

    Args:
        what: what failed if the block fails, such as "me/detector cannot be fetched"; the reason follows it.

    Yields:
        Nothing.

    Raises:
        InputError: the Hub cannot be reached or refuses.
    """
    try:
        yield
    except InputError:
        raise
    except HUB_ERRORS as error:
        raise InputError(f"{what}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """What happened and what to do; the client often wraps the error that says it."""
    causes = list(_causes(error))
    # `datasets` hides the cause and names it in its text.
    if any(isinstance(cause, OfflineModeIsEnabled) or OfflineModeIsEnabled.__name__ in str(cause) for cause in causes):
        return "HF_HUB_OFFLINE keeps the Hub out of reach; unset it, or use what lies on this machine"
    refusal = next((cause for cause in causes if isinstance(cause, HfHubHTTPError)), None)
    if refusal is not None:
        return _refusal(refusal, _text(error))
    if any(isinstance(cause, HTTPError) for cause in causes):
        return f"the Hub cannot be reached or hung up ({_text(error)}); check the network and try again"
    return f"the client stopped ({type(error).__name__}: {_text(error)}); mend that and try again"


def _refusal(error: HfHubHTTPError, text: str) -> str:
    """What an error status of the Hub means."""
    status = error.response.status_code
    if isinstance(error, GatedRepoError):
        return "it is gated; ask for access on its page, then run `hf auth login`"
    if isinstance(error, RepositoryNotFoundError):
        return "there is no such repository, or it is private; check the name, and run `hf auth login` if it is private"
    if isinstance(error, RevisionNotFoundError):
        return "it has no such branch, tag or commit; check the revision"
    if status == 401:
        return "the token is missing or not valid; run `hf auth login` or set HF_TOKEN anew"
    if status == 403:
        return "the token does not allow it; use one with the right to do so, or another repository"
    if status == 429:
        return "there were too many requests; wait some minutes and try again"
    if status >= 500:
        return f"the Hub has trouble of its own (status {status}); try again later"
    return f"the Hub refused with status {status} ({text}); mend that and try again"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those behind it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _text(error: BaseException) -> str:
    """An error's text on one line, cut where it is long."""
    return " ".join(str(error).split())[:200]
