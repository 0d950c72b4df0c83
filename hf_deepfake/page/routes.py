"""What the service answers beside the page: whether it lives, whether it is ready, its counts, and a plain `/predict`.

gradio's own API takes an upload, a call and a stream of events for one verdict, and says in the last what went wrong;
balancers and scripts want one request and its status.
"""

from collections.abc import Sequence
from importlib.metadata import version

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hf_deepfake.errors import InputError
from hf_deepfake.page.gate import RETRY, refused
from hf_deepfake.page.service import Service
from hf_deepfake.page.turns import BusyError

SPARE = 8
"""Threads beside those that evaluate or wait."""


def service_routes(service: Service) -> Sequence[Route]:
    """The routes of one service.

    Args:
        service: answers.

    Returns:
        GET /health, /ready and /metrics, and POST /predict.
    """
    # Threads of their own, and some more than there are places: who finds none must be told.
    threads = CapacityLimiter(service.limits.concurrency + service.limits.waiting + SPARE)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(_: Request) -> Response:
        if service.stopping:
            return refused(503, "the service is stopping", RETRY)
        return JSONResponse({"status": "ready", "version": version("hf-deepfake"), **service.facts})

    async def metrics(_: Request) -> Response:
        return Response(service.counters.text(), media_type=CONTENT_TYPE_LATEST)

    async def predict(request: Request) -> Response:
        content = await request.body()
        if len(content) > service.limits.image_bytes:
            return refused(413, f"the image has more than {service.limits.megabytes} MB; save it smaller")
        if not content:
            return refused(422, "no image was given; send the file as the request's body")
        try:
            verdict = await run_sync(service.in_turn, lambda: service.detector(content), limiter=threads)
        except BusyError as error:
            return refused(503, str(error), RETRY)
        except InputError as error:
            return refused(422, str(error))
        return JSONResponse(verdict.to_dict())

    return [
        Route("/health", health, methods=["GET"]),
        Route("/ready", ready, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        Route("/predict", predict, methods=["POST"]),
    ]
