import json
import logging
import subprocess
import sys

from hf_deepfake.page.json_lines import JsonLines

CODE = """
import logging
from hf_deepfake.page.json_lines import LOG, log, log_as_json
log_as_json()
log("request", route="predict", status=200)
logging.getLogger("uvicorn.error").warning("odd")
logging.getLogger("other").info("noise")
try:
    raise ValueError("/tmp/a secret name.jpg")
except ValueError as error:
    LOG.error("evaluation failed", exc_info=error)
"""


def test_every_line_is_json_and_no_message_of_an_error_is_in_it():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    request, odd, failed = map(json.loads, done.stderr.splitlines())
    assert request.pop("time").endswith("+00:00")
    assert request == {"level": "info", "event": "request", "route": "predict", "status": 200}
    assert (odd["level"], odd["event"]) == ("warning", "odd")
    assert (failed["event"], failed["error"], failed["at"]) == ("evaluation failed", "ValueError", ["<string>:9"])
    assert "secret" not in done.stderr


def test_time_is_that_of_the_record():
    record = logging.makeLogRecord({"msg": "x", "levelname": "INFO", "created": 1.5})
    assert json.loads(JsonLines().format(record))["time"] == "1970-01-01T00:00:01.500+00:00"
