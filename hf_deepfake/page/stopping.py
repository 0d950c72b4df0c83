"""How the service ends: what runs is finished, what is new is refused, and then it closes."""

from threading import Event

from hf_deepfake.page.json_lines import log, log_as_json
from hf_deepfake.page.uploads import UploadsOnly


def run_until_stopped(page: UploadsOnly) -> None:
    """Serve until `KeyboardInterrupt`, as which `keep.end_on_signals` lets SIGTERM come; then end in good order.

    Args:
        page: launched.
    """
    log_as_json()  # uvicorn, which has just started, brings a handler of its own
    log("started", **page.service.facts)
    try:
        Event().wait()
    except KeyboardInterrupt:
        log("stopping")
        ended = page.service.stop()
        page.close(verbose=False)
        log("stopped", finished=ended)
