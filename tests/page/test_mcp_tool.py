"""The MCP tool, called by the protocol's own client."""

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor

import pytest
from clips import encode, numbered
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from hf_deepfake import Detector


@pytest.fixture
def ask(served):
    """Run something with a session."""

    def run(work):
        async def inside():
            url = f"{served.local_url}/gradio_api/mcp/"
            async with streamable_http_client(url) as (read, write, _), ClientSession(read, write) as session:
                await session.initialize()
                return await work(session)

        # On a thread of its own: the browser of other tests leaves an event loop on this one.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, inside()).result()

    return run


def test_its_schema_says_data_url_and_nothing_of_links(ask):
    tools = ask(lambda session: session.list_tools()).tools
    assert [tool.name for tool in tools] == ["predict", "predict_video"]
    for tool, name in zip(tools, ("image", "video"), strict=True):
        assert tool.inputSchema["required"] == [name]
        file = tool.inputSchema["properties"][name]
        assert (file["type"], file["format"], file["pattern"]) == ("string", "data-url", "^data:")
        assert file["description"].startswith(f"the {name} as a data URL: data:{name}/")
        said = tool.model_dump_json().lower()
        assert "http" not in said
        assert "upload_file" not in said


def test_it_takes_a_data_url(ask, tiny, face):
    url = "data:image/png;base64," + base64.b64encode(face.read_bytes()).decode()
    answer = ask(lambda session: session.call_tool("predict", {"image": url}))
    assert not answer.isError
    verdict, overlay = answer.content[:2]
    assert str(Detector.from_pretrained(tiny)(face).to_dict()["fake_probability"])[:8] in verdict.text
    assert overlay.mimeType == "image/webp"


def test_it_takes_a_video_as_a_data_url(ask, tiny):
    clip = encode([numbered(number) for number in range(20)])
    url = "data:video/mp4;base64," + base64.b64encode(clip).decode()
    answer = ask(lambda session: session.call_tool("predict_video", {"video": url}))
    assert not answer.isError
    assert str(Detector.from_pretrained(tiny).video(clip).fake_probability)[:8] in answer.content[0].text
    answer = ask(lambda session: session.call_tool("predict_video", {"video": "https://example.com/clip.mp4"}))
    assert answer.isError
    assert "does not match '^data:'" in answer.content[0].text


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("https://example.com/a.jpg", "does not match '^data:'"),
        ("/etc/passwd", "does not match '^data:'"),
        ("data:image/png;base64,AAAA", "The image is not an image in any of"),
    ],
)
def test_it_refuses_all_else_in_words(ask, image, said):
    answer = ask(lambda session: session.call_tool("predict", {"image": image}))
    assert answer.isError
    assert said in answer.content[0].text
