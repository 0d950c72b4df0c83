import pytest
from hub_client import Client
from hub_server import HubServer
from PIL import Image

from hf_deepfake.metrics.result import evaluate_scores
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint
from hf_deepfake.report.report import CheckpointInfo, Report


@pytest.fixture(scope="session")
def server():
    """The stand-in Hub of all tests here."""
    with HubServer() as server:
        yield server


@pytest.fixture(scope="session")
def client(server, tmp_path_factory):
    """A process of the real clients that talks to the stand-in; started once, because importing takes seconds."""
    with Client(server.endpoint, tmp_path_factory.mktemp("client")) as process:
        yield process


@pytest.fixture
def hub(server):
    """The stand-in without the failures and the record of earlier tests; what they pushed is still there."""
    server.failures.clear()
    server.requests.clear()
    return server


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A whole checkpoint folder of an untrained model, with a file that is not to be pushed."""
    scores, labels = [0.9, 0.8, 0.3, 0.2, 0.6, 0.1, 0.7, 0.4], [1, 1, 1, 0, 0, 0, 1, 0]
    model = build_model("test_resnet", image_size=64, pretrained="off")
    folder = export_checkpoint(model, tmp_path_factory.mktemp("run") / "checkpoint", image_size=64)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    report = Report(
        checkpoint=CheckpointInfo("test_resnet", 64, parameters), splits={"test": evaluate_scores(scores, labels)}
    )
    report.save(folder / "report.json")
    (folder / "README.md").write_text("the local card")
    Image.new("RGB", (40, 30)).save(folder / "roc.png")
    (folder / "notes.txt").write_text("for myself")
    return folder
