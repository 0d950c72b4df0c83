"""Code run by the real clients (huggingface_hub and what stands on it) in a process of its own.

They read HF_ENDPOINT when they are imported, so the test's own process cannot be pointed at the stand-in.
"""

import json
import os
import subprocess
import sys

SETTINGS = {
    "HF_HUB_DISABLE_XET": "1",  # the stand-in speaks LFS only
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "0",
    "OMP_NUM_THREADS": "1",
}

# Reads one request a line, runs its code with its names, and answers with `result` or the error.
WORKER = """
import json, os, sys, time
answers, sys.stdout = sys.stdout, sys.stderr
time.sleep = lambda seconds: None  # the client waits 23 s in all before it gives a request up
for line in sys.stdin:
    request = json.loads(line)
    os.environ.pop("HF_TOKEN", None)
    os.environ.update(request["settings"])
    names = dict(request["names"], result=None)
    try:
        exec(request["code"], names)
        answer = {"result": names["result"]}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), file=answers, flush=True)
"""


class ClientError(Exception):
    """The code raised; the message is `TypeName: text`."""


class Client:
    """A Python process that talks to one Hub, ended with the `with` block.

    Args:
        endpoint: address of the Hub.
        home: folder for what the clients cache.
        prelude: code to run first.
    """

    def __init__(self, endpoint, home, prelude=""):
        settings = {**SETTINGS, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_DEEPFAKE_CACHE": str(home / "ours")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", prelude + WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **settings},
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def __call__(self, code, token="hf_me", **names):
        """What `code` assigns to `result`; `names` are its variables, and both must be JSON."""
        settings = {"HF_TOKEN": token} if token else {}
        self.process.stdin.write(json.dumps({"code": code, "names": names, "settings": settings}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise ClientError(answer["error"])
        return answer["result"]
