"""Logs as JSON lines, which collectors read without a pattern. They hold no name and no content of a file."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

LOG = logging.getLogger("hf_deepfake.page")


class JsonLines(logging.Formatter):
    """One JSON object a record: when, how serious, what, and what came in `extra={"facts": {...}}`.

    Of an exception there are its type and where it arose, but not its message, which may quote what was uploaded.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
            line["at"] = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(record.exc_info[2])]
        return json.dumps(line)


def log_as_json() -> None:
    """From now on write whatever is logged in this process to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    LOG.setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def log(event: str, **facts: object) -> None:
    """Write a line.

    Args:
        event: what happened.
        **facts: what else to say, as JSON can hold it.
    """
    LOG.info(event, extra={"facts": facts})
