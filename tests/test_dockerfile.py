"""The Dockerfile, of which no image can be built here: it is linted, and its commands are run outside a container."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import httpx
import pytest
import yaml

from hf_deepfake.hub.wheel import pack_wheel
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint

ROOT = Path(__file__).parents[1]
SPACE, DOCKERFILE = ROOT / "space", ROOT / "hf_deepfake" / "hub" / "Dockerfile"
LINES = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text(encoding="utf-8")).splitlines()
STAGES = ("base", "cuda", "cpu")


def said(word, stage):
    """What follows an instruction in a stage, and in the stage that it begins from."""
    found, current = [], ""
    for line in LINES:
        if line.startswith("FROM "):
            current = line.split()[-1]
        elif line.startswith(f"{word} ") and current in ("base", stage):
            found.append(line.removeprefix(f"{word} "))
    return found


def test_hadolint_has_nothing_to_say():
    tool = shutil.which("hadolint") or str(Path(sys.executable).with_name("hadolint"))
    done = subprocess.run([tool, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("stage", ["cuda", "cpu"])
def test_a_stage_runs_as_nobody_special_and_is_watched(stage):
    assert said("USER", stage) == ["1000"]
    assert said("COPY", stage) == ["*.whl /app/", "checkpoint /app/checkpoint"]
    assert len(said("HEALTHCHECK", stage)) == 1
    assert len(said("CMD", stage)) == 1


def test_the_last_stage_is_for_cpus():
    assert [line.split()[-1] for line in LINES if line.startswith("FROM ")] == list(STAGES)


def test_compose_lets_it_write_nothing_but_its_temporary_files():
    (service,) = yaml.safe_load((SPACE / "compose.yaml").read_text(encoding="utf-8"))["services"].values()
    build = service["build"]
    assert (build["context"], build["target"]) == (".", "cpu")
    assert (SPACE / build["dockerfile"]).resolve() == DOCKERFILE
    assert (service["read_only"], service["tmpfs"], service["cap_drop"]) == (True, ["/tmp"], ["ALL"])
    assert service["restart"] == "unless-stopped"
    assert service["ports"] == ["127.0.0.1:7860:7860"]


def fill(path):
    """What COPY puts there."""
    name, content = pack_wheel()
    path.mkdir()
    (path / name).write_bytes(content)
    export_checkpoint(build_model("test_resnet", image_size=64, pretrained="off"), path / "checkpoint", image_size=64)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["cpu"])
def test_its_commands_run(stage, tmp_path):
    """With its folders moved, on a free port; libraries come by path: fetching them anew takes minutes."""

    def moved(text):
        return text.replace("/opt/venv", str(tmp_path / "venv")).replace("/app", str(tmp_path / "app"))

    fill(tmp_path / "app")
    (tmp_path / "home").mkdir()
    pairs = re.findall(r"(\w+)=(\S+)", " ".join(said("ENV", stage)))
    given = {name: moved(value).replace("$PATH", os.environ["PATH"]) for name, value in pairs}
    assert set(given) >= {"HOME", "GRADIO_SERVER_NAME", "HF_DEEPFAKE_CHECKPOINT", "PATH"}
    given |= {"HOME": str(tmp_path / "home"), "GRADIO_SERVER_NAME": "127.0.0.1"}
    given.pop("GRADIO_SERVER_PORT")
    environment = {**os.environ, **given, "TORCH_INDEX": ""}
    for command in said("RUN", stage):
        words = moved(command).replace("pip install --no-cache-dir", "pip install --quiet --no-deps")
        if "torch>=" in command:  # already there, by path
            words = words.replace("pip install", "pip install --dry-run --no-index")
        subprocess.run(["sh", "-euc", words], check=True, env=environment, cwd=tmp_path / "app")
        site = next((tmp_path / "venv").glob("lib/python*/site-packages"))
        here = {sysconfig.get_path("purelib"), str(Path(httpx.__file__).parents[1])}
        (site / "libraries.pth").write_text("\n".join(here))
    (command,) = said("CMD", stage)
    server = subprocess.Popen(
        json.loads(command),
        env=environment,
        cwd=tmp_path / "app",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url = next(found[0] for line in server.stdout if (found := re.search(r"http://\S+", line)))
        assert httpx.get(f"{url}/ready").json()["status"] == "ready"
        (check,) = said("HEALTHCHECK", stage)
        *program, probe = json.loads(check.partition("CMD ")[2])
        at = "http://127.0.0.1:7860"
        subprocess.run([*program, probe.replace(at, url)], check=True, env=environment)
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    assert server.returncode == 0
    # The server's own port may be another test's by now; one that is held here is answered by nobody.
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{silent.getsockname()[1]}"
        words = [*program, probe.replace(at, nobody)]
        broken = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert broken.returncode != 0
    assert "Connection refused" in broken.stderr
