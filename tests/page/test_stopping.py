"""The command as a container runs it: it starts, is asked, and ends when it is told to."""

import json
import os
import re
import signal
import subprocess
import sys

import httpx
import pytest


@pytest.mark.slow
def test_serve_ends_with_0_and_its_logs_are_json_lines(tiny, face, tmp_path):
    words = [sys.executable, "-m", "hf_deepfake", "serve", "--checkpoint", tiny, "--root_path", "/faces"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "GRADIO_TEMP_DIR": str(tmp_path / "uploads")}
    command = subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    url = next(found[0] for line in command.stdout if (found := re.search(r"http://\S+", line)))
    assert httpx.post(f"{url}/predict", content=face.read_bytes()).status_code == 200
    assert httpx.post(f"{url}/predict", content=b"none").status_code == 422
    assert "/faces/" in httpx.get(url).text
    command.send_signal(signal.SIGTERM)
    _, logged = command.communicate(timeout=60)
    assert command.returncode == 0
    lines = [json.loads(line) for line in logged.splitlines()]
    events = [line["event"] for line in lines]
    assert "started" in events
    assert events[-2:] == ["stopping", "stopped"]
    assert [line["status"] for line in lines if line["event"] == "request"] == [200, 422]
    assert lines[-1]["finished"] is True
    assert list((tmp_path / "uploads").iterdir()) == []


# What `serve` does until it is there ends as well: a model is loaded, or gradio asks whether its own server answers.
TOLD_BEFORE = """
import os, signal, sys
from hf_deepfake.cli.main import main
from hf_deepfake.page import blocks
def build_page(*_):
    os.kill(os.getpid(), signal.SIGTERM)
blocks.build_page = build_page
sys.exit(main(["serve", "--checkpoint", sys.argv[1]]))
"""


@pytest.mark.slow
def test_serve_ends_with_0_before_it_has_begun(tiny, tmp_path):
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(tmp_path)}
    words = [sys.executable, "-c", TOLD_BEFORE, tiny]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
