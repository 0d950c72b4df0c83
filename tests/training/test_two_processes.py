"""Runs of two processes, which learn and measure as one, and stop and go on together."""

import json

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import config, launch, options, record, state, words

from hf_deepfake.report.report import Report
from hf_deepfake.training.run import train

pytestmark = [pytest.mark.slow, pytest.mark.alone]

ADAPTED = {"model": "test_vit", "image_size": 160, "batch_size": 8, "epochs": 1, "seed": 3, "head_epochs": 1}
ADAPTED |= {"ema": 0.9, "gradient_checkpointing": True}
ALIKE = {
    "paired": {"sampling": "paired"},
    "layernorm": ADAPTED | {"adapter": "layernorm"},
    "lora": ADAPTED | {"adapter": "lora"},
}
"""Runs without BatchNorm, whose statistics would be those of a process's own images."""

STOPPED = {"model": "test_resnet", "workers": 1, "epochs": 1, "head_epochs": 1, "steps_per_epoch": 8, "batch_size": 4}
STOPPED |= {"explained": 2, "audit": "basic"}

RUNS = """\
import json, os
from accelerate import Accelerator
from hf_deepfake.cli.main import main
from hf_deepfake.training import finish
finish.render = lambda folder: None
Accelerator.end_training = lambda self: None  # the two processes have more to do together
for words in json.loads(os.environ["RUNS"]):
    assert main(["train", *words]) == 0, words
"""


@pytest.fixture(scope="module")
def two(faces, tmp_path_factory):
    """A folder of runs of two processes that nothing disturbed, all of one launch, for that takes seconds."""
    folder = tmp_path_factory.mktemp("two")
    script = folder / "runs.py"
    script.write_text(RUNS)
    given = [options(faces, folder / name, workers=1) | changes for name, changes in ALIKE.items()]
    given.append(options(faces, folder / "stopped", **STOPPED))
    done = launch(script, RUNS=json.dumps([words(one) for one in given]))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", ALIKE)
def test_two_processes_learn_and_measure_as_one(two, faces, tmp_path, name):
    one = train(config(faces, tmp_path / "one", **ALIKE[name]))
    records = [record(folder) for folder in (one.folder, two / name)]
    assert [found["machine"]["processes"] for found in records] == [1, 2]
    for mine, theirs in zip(*(found["epochs"] for found in records), strict=True):
        assert mine["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-4)
        assert mine["log_loss"] == pytest.approx(theirs["log_loss"], rel=1e-3)
    scores = [pd.read_parquet(folder / "checkpoint" / "scores.parquet") for folder in (one.folder, two / name)]
    assert scores[0]["file"].tolist() == scores[1]["file"].tolist()
    assert scores[0]["score"].tolist() == pytest.approx(scores[1]["score"].tolist(), abs=1e-3)
    assert one.report.splits["test"].n == len(scores[1][scores[1]["split"] == "test"])
    if "adapter" in ALIKE[name]:
        kept = [load_file(folder / "adapter" / "adapter_model.safetensors") for folder in (one.folder, two / name)]
        assert kept[0].keys() == kept[1].keys()
        for tensor, mine in kept[0].items():
            torch.testing.assert_close(kept[1][tensor], mine, rtol=1e-3, atol=1e-4)


SIGNALLING = """\
import os, signal, sys, time
from accelerate import Accelerator
from hf_deepfake.audits import audit_page
from hf_deepfake.cli.main import main
from hf_deepfake.training import finish, loop
from hf_deepfake.training.run_progress import RunProgress
finish.render = lambda folder: None
whom, module, name, call = os.environ["INTERRUPTED"].split() if os.environ["INTERRUPTED"] else ("", "", "", 0)
modules = {"audit_page": audit_page, "loop": loop, "finish": finish, "steps": RunProgress, "accelerator": Accelerator}
module = modules.get(module)
calls = []
if module:
    usual = getattr(module, name)
    def interrupted(*given, **named):
        calls.append(name)
        if len(calls) == int(call) and (whom == "each" or os.environ["RANK"] == "0"):
            if whom == "all":
                signals = signal.getsignal(signal.SIGTERM).__self__
                os.killpg(os.getpgid(os.getppid()), signal.SIGTERM)
                while not signals.received:  # the launcher passes it on when it comes to it
                    time.sleep(0.01)
            else:
                os.kill(os.getpid(), signal.SIGTERM)
        return usual(*given, **named)
    setattr(module, name, interrupted)
sys.exit(main(["train", *sys.argv[1:]]))
"""

STOPS = {
    "all audit_page write_audit 1": None,
    "all steps step 3": (0, 3),
    "each accelerator gather 3": (0, 5),  # what they tell each other was read before, so that a step more is done
    "one steps step 2": (0, 7),
    "all loop predict_logits 1": (0, 8),
    "all finish predict_logits 2": (2, 0),
    "all finish draw_sheet 1": (2, 0),
}
"""Who gets a signal and when: at which call of what, after the stop before it. And the epoch and step that are saved.

All get it from the launcher; one, and each, from itself. What is gathered third is whether to stop after a step.
"""


def test_signals_to_two_processes_again_and_again(two, faces, tmp_path):
    script, folder = tmp_path / "signalling.py", tmp_path / "parts"
    script.write_text(SIGNALLING)
    given = words(options(faces, folder, **STOPPED))
    for number, (stop, saved) in enumerate(STOPS.items()):
        stopped = launch(script, *given, *["--resume"] * (number > 0), INTERRUPTED=stop)
        assert stopped.returncode != 0, stop
        assert stopped.stderr.count("stopped and saved; go on with --resume") == 1, (stop, stopped.stderr)
        assert "KeyboardInterrupt" not in stopped.stderr, stop
        assert "DataLoader worker" not in stopped.stderr, stop
        assert record(folder)["status"] == "stopped", stop
        if saved is not None:
            position = state(folder)["position"]
            assert (position["epoch"], position["step"]) == saved, stop
    resumed = launch(script, *given, "--resume", INTERRUPTED="")
    assert resumed.returncode == 0, resumed.stderr
    states = [state(one)["model"] for one in (two / "stopped", folder)]
    assert all(torch.equal(states[0][tensor], states[1][tensor]) for tensor in states[0])
    reports = [Report.load(one / "checkpoint" / "report.json") for one in (two / "stopped", folder)]
    assert reports[0].splits == reports[1].splits
