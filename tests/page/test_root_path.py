"""Behind a proxy that shows the page under a path and takes that path off what it passes on."""

from threading import Thread

import gradio as gr
import httpx
import pytest
import uvicorn
from gradio_client import Client, handle_file
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from hf_deepfake.page.blocks import build_page, serve
from hf_deepfake.page.limits import Limits


class Proxy:
    """A reverse proxy of one service, at /faces/."""

    def __init__(self, behind):
        async def passed_on(request):
            url = f"{behind}/{request.path_params['path']}"
            headers = {name: value for name, value in request.headers.items() if name != "content-length"}
            async with httpx.AsyncClient(timeout=60) as client:
                body = await request.body()
                answer = await client.request(
                    request.method, url, params=request.query_params, headers=headers, content=body
                )
            kept = {name: answer.headers[name] for name in ("content-type", "retry-after") if name in answer.headers}
            return Response(answer.content, answer.status_code, kept)

        routes = [Route("/faces/{path:path}", passed_on, methods=["GET", "HEAD", "POST"])]
        self.server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, log_level="warning"))
        self.thread = Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive()
        self.url = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}/faces"

    def close(self):
        self.server.should_exit = True
        self.thread.join(60)


@pytest.fixture
def proxied(tiny):
    page = build_page(tiny, Limits())
    serve(page, root_path="/faces", prevent_thread_lock=True, quiet=True)
    proxy = Proxy(page.local_url.rstrip("/"))
    yield proxy.url
    proxy.close()
    gr.close_all()


def test_page_and_apis_are_under_the_path(proxied, face):
    page = httpx.get(f"{proxied}/").raise_for_status().text
    assert "/faces" in page
    assert httpx.get(f"{proxied}/ready").json()["status"] == "ready"
    plain = httpx.post(f"{proxied}/predict", content=face.read_bytes()).raise_for_status().json()
    client = Client(f"{proxied}/", verbose=False, analytics_enabled=False, download_files=False)
    verdict, _ = client.predict(handle_file(face), api_name="/predict")
    assert verdict["fake_probability"] == pytest.approx(plain["fake_probability"], abs=1e-5)
