"""`export`, `merge`, `push`, `push-space` and `push-data` as commands; what they call has tests of its own."""

import pytest

from hf_deepfake.cli.main import main
from hf_deepfake.detect import agreement
from hf_deepfake.hub import push, push_adapter, push_data, push_space, render_checkpoint


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["push", "runs/x", "me/x"], "error: the following arguments are required: --license; see hf-deepfake push"),
        (["push", "nosuch", "me/x", "--license", "mit", "--dry_run"], "error: no checkpoint folder nosuch"),
        (["push-data", "nosuch", "me", "--license", "mit", "--dry_run"], "error: me names no owner"),
    ],
)
def test_errors_are_one_sentence_and_exit_with_2(words, sentence, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith(sentence)
    assert said.count("\n") == 1


class Pushed:
    """What a push answers, as far as the command needs it."""

    def summary(self):
        return "what was pushed"


@pytest.fixture
def asked(monkeypatch):
    """Calls of what the commands call: names with what was given by place and by name."""
    calls = {}

    def record(module, name, answer):
        def call(*given, **named):
            calls[name] = (given, named)
            return answer

        monkeypatch.setattr(module, name, call)

    record(push, "push_to_hub", Pushed())
    record(push_space, "push_space", Pushed())
    record(push_data, "push_data", Pushed())
    record(push_adapter, "merge_adapter", "made/here")
    record(agreement, "export", [])
    record(agreement, "summary", "how far they agree")
    record(render_checkpoint, "render", None)
    return calls


def test_push(asked, capsys):
    assert main(["push", "runs/x", "me/x", "--license", "mit", "--revision", "new", "--create_pr", "--handler"]) == 0
    expected = {"license": "mit", "private": False, "dry_run": False, "revision": "new"}
    expected |= {"create_pr": True, "handler": True}
    assert asked == {"push_to_hub": (("runs/x", "me/x"), expected)}
    assert capsys.readouterr().out == "what was pushed\n"


def test_push_space_has_neither_licence_nor_private(asked, capsys):
    assert main(["push-space", "runs/x", "me/space", "--dry_run", "--sdk", "docker"]) == 0
    assert asked == {"push_space": (("runs/x", "me/space"), {"dry_run": True, "sdk": "docker"})}
    assert main(["push-space", "runs/x", "me/space", "--private"]) == 2
    assert "unknown argument --private" in capsys.readouterr().err


def test_push_data_takes_the_options_of_data(asked, capsys):
    words = ["push-data", "faces.zip", "me/faces", "--license", "mit", "--private", "--split_seed", "3"]
    assert main(words) == 0
    ((config,), target) = asked["push_data"]
    assert (config.data, config.split_seed) == (("faces.zip",), 3)
    assert target == {"repo_id": "me/faces", "license": "mit", "private": True, "dry_run": False}
    assert capsys.readouterr().out == "what was pushed\n"


def test_merge(asked, capsys, tmp_path):
    assert main(["merge", "me/adapter", "--base", str(tmp_path / "clip.safetensors")]) == 0
    assert asked == {"merge_adapter": (("me/adapter",), {"base": tmp_path / "clip.safetensors", "out": None})}
    assert capsys.readouterr().out == "checkpoint  made/here\n"


def test_export_renders_the_card_anew(asked, capsys):
    assert main(["export", "runs/x", "--data", "faces.zip", "--format", "onnx", "--int8"]) == 0
    (folder, config, form), options = asked["export"]
    assert (folder, config.data, form, options) == ("runs/x", ("faces.zip",), "onnx", {"int8": True})
    assert asked["render"] == (("runs/x",), {})
    assert capsys.readouterr().out == "how far they agree\n"
    assert main(["export", "runs/x", "--data", "faces.zip", "--format", "tensorrt"]) == 2
    assert "invalid choice: 'tensorrt'" in capsys.readouterr().err
