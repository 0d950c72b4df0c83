import json

import pytest
from hub_client import ClientError
from huggingface_hub import ModelCard

from hf_deepfake.config import TrainConfig
from hf_deepfake.errors import InputError

TRAIN = """
from hf_deepfake.config import TrainConfig
from hf_deepfake.training.run import train
result = train(TrainConfig(**options)).url
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def train(client, faces, tmp_path):
    """Trains a tiny model by the real client and pushes it."""

    def call(repo, token="hf_me", code=TRAIN, **changes):
        options = {
            "data": [str(faces)], "output_dir": str(tmp_path / "run"), "model": "test_resnet", "pretrained": "off",
            "image_size": 64, "batch_size": 16, "workers": 0, "mixed_precision": "no", "explained": 0, "audit": "off",
            "epochs": 3, "steps_per_epoch": 1, "push_to_hub": repo, "hub_license": "apache-2.0",
        }  # fmt: skip
        return client(code, token=token, options=options | changes)

    return call


def test_a_run_pushes_epochs_to_a_branch_and_its_end_to_main(hub, train, tmp_path):
    assert train("me/trained", push_every=2) == f"{hub.endpoint}/me/trained"
    repo = hub.repos["model", "me/trained"]
    unfinished, finished = repo.files("training"), repo.files()
    assert set(unfinished) - {".gitattributes"} == {"README.md", "config.json", "model.safetensors"}
    assert b"neither calibrated nor tested" in unfinished["README.md"]
    assert {"README.md", "config.json", "model.safetensors", "report.json", "roc.png"} <= set(finished)
    assert "scores.parquet" not in finished
    assert ModelCard(finished["README.md"].decode()).data.license == "apache-2.0"
    # Nobody but the run's own folder needs to know where it was pushed.
    options = json.loads(finished["report.json"])["training"]["options"]
    assert not {"push_to_hub", "hub_license", "hub_private", "push_every", "data"} & set(options)
    assert (tmp_path / "run" / "checkpoint" / "model.safetensors").read_bytes() == finished["model.safetensors"]


def test_without_a_token_nothing_is_computed(hub, train, tmp_path):
    with pytest.raises(ClientError, match=r"InputError: .*the token is missing or not valid"):
        train("me/x", token="hf_wrong")
    assert not (tmp_path / "run").exists()


def test_a_push_that_fails_does_not_stop_the_run(hub, train, tmp_path):
    hub.fail("commit", 500, times=99)
    code = TRAIN.replace(".url", "\nresult = [str(result.folder), result.url, result.not_pushed]")
    folder, url, reason = train("me/unlucky", code=code, push_every=1, hub_private=True)
    assert (folder, url) == (str(tmp_path / "run"), None)
    # Later too it must be as private as it was to be.
    again = f"hf-deepfake push {tmp_path / 'run' / 'checkpoint'} me/unlucky --license apache-2.0 --private"
    assert reason.endswith(f"the run is finished, so push it later with: {again}")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["status"], len(record["epochs"])) == ("finished", 3)
    hub.failures.clear()
    assert train("me/unlucky", push_every=1, resume=True) is None  # finished before; pushing is another command


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"push_to_hub": "me/x"}, "needs a licence; add --hub_license"),
        ({"hub_license": "mit"}, "add --push_to_hub OWNER/NAME"),
        ({"push_every": 2}, "add --push_to_hub OWNER/NAME"),
    ],
)
def test_half_of_the_options(options, message):
    with pytest.raises(InputError, match=message):
        TrainConfig(data=("x",), output_dir="y", **options)
