"""What every request passes: it is let in or refused, counted, and logged without names."""

import math
import time
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hf_deepfake.page.json_lines import log
from hf_deepfake.page.limits import MEGABYTE, VIDEO_MEGABYTES, Rate
from hf_deepfake.page.service import Service

ROUTES = {
    "/predict": "predict",
    "/gradio_api/call/": "call",
    "/gradio_api/run/": "run",
    "/gradio_api/api/": "run",
    "/gradio_api/queue/join": "join",
    "/gradio_api/queue/data": "result",
    "/gradio_api/mcp": "mcp",
    "/gradio_api/upload": "upload",
    "/gradio_api/file": "file",
    "/health": "probe",
    "/ready": "probe",
    "/metrics": "probe",
}
"""Names of routes by how their paths begin: a path itself may hold a file's name. All others are the page's."""

EVALUATES = {"predict", "call", "run", "join", "mcp"}
"""Routes of which a POST asks for an evaluation."""

TELLS_STATUS = {"predict", "call", "mcp"}
"""Those that are refused by a status when it is full; the page's own calls get a sentence in the place of a verdict."""

RETRY = 5
"""Seconds after which to come again: some images have been evaluated by then."""


def refused(status: int, reason: str, retry: float | None = None) -> JSONResponse:
    """An answer that says why not.

    Args:
        status: of the answer.
        reason: in lower case without a full stop, as errors have it.
        retry: seconds after which to come again; None where that would not help.

    Returns:
        The answer; its body is {"error": sentence}.
    """
    headers = {} if retry is None else {"Retry-After": str(math.ceil(retry))}
    return JSONResponse({"error": f"{reason[0].upper()}{reason[1:]}."}, status, headers)


class Gate:
    """Lets requests in or refuses them: 503 when it is full or ends, 429 by client, 413 by size.

    Args:
        app: what is behind it.
        service: what the requests are for.
    """

    def __init__(self, app: ASGIApp, service: Service):
        self._app = app
        self._service = service
        self._rate = Rate(service.limits.rate) if service.limits.rate else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500  # which is what a failure becomes further out
        route = _route(scope)
        is_call = scope["method"] == "POST" and route in EVALUATES
        waited_for = is_call or route == "result"

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._service.call(+waited_for)
        try:
            refusal = self._refusal(scope, route, is_call)
            if refusal is not None:
                await refusal(scope, receive, watched)
            else:
                await self._app(scope, _limited(receive, self._most(route)), watched)
        finally:
            self._service.call(-waited_for)
            seconds = time.perf_counter() - began
            self._service.counters.answered(route, status, seconds)
            if (route not in ("page", "probe") and scope["method"] == "POST") or status >= 500:
                facts: dict[str, Any] = {"route": route, "status": status, "seconds": round(seconds, 3)}
                log("request", **facts)

    def _refusal(self, scope: Scope, route: str, is_call: bool) -> JSONResponse | None:
        """Why a request is not let in; None where it is."""
        service = self._service
        if scope["method"] != "POST":
            return None
        if service.stopping:
            return refused(503, "the service is stopping; try again in a minute", RETRY)
        if int(Headers(scope=scope).get("content-length", "0")) > self._most(route):
            what = f"video has more than {VIDEO_MEGABYTES}"
            if route != "upload":
                what = f"image has more than {service.limits.megabytes}"
            return refused(413, f"the {what} MB; save it smaller")
        if is_call and self._rate and (wait := self._rate.take((scope.get("client") or ("",))[0])):
            return refused(429, f"this is more than {service.limits.rate} calls a minute; wait and try again", wait)
        if route in TELLS_STATUS and service.turns.full:
            return refused(503, str(service.turns.busy), RETRY)
        return None

    def _most(self, route: str) -> int:
        """Bytes of the largest body; an upload goes to the disk in pieces, all else to memory."""
        limits = self._service.limits
        return limits.upload_bytes + MEGABYTE if route == "upload" else limits.body_bytes


def _route(scope: Scope) -> str:
    """Which of a few names a path has."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    name = next((name for start, name in ROUTES.items() if path.startswith(start)), "page")
    return "result" if name == "call" and scope["method"] == "GET" else name


def _limited(receive: Receive, most: int) -> Receive:
    """What is received, up to a number of bytes; a body that does not say its length is broken off there."""
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        return message if received <= most else {"type": "http.disconnect"}

    return limited
