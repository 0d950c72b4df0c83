"""The entry point: help, version, exit codes, and which process speaks."""

import ast
import io
import subprocess
import sys
from importlib import metadata

import pytest

import hf_deepfake
from hf_deepfake.cli.main import _parser, main

HEAVY = {"torch", "transformers", "datasets", "timm", "accelerate", "pandas", "matplotlib", "scipy", "sklearn", "PIL"}


def commands() -> list[str]:
    (actions,) = (action.choices for action in _parser()._actions if isinstance(action.choices, dict))
    return list(actions)


@pytest.mark.parametrize("words", [["--help"], *([command, "--help"] for command in commands())])
def test_help_reads_and_exits_with_0(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 0
    assert "usage: hf-deepfake" in capsys.readouterr().out


def test_help_imports_nothing_heavy():
    code = """
import sys
from hf_deepfake.cli.main import main
for command in sys.argv[1:]:
    try:
        main([command, "--help"])
    except SystemExit:
        pass
print(sorted(name for name in sys.modules if "." not in name), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code, *commands()], capture_output=True, text=True, check=True)
    assert done.stdout.count("usage: hf-deepfake") == len(commands()) > 15
    assert not HEAVY & set(ast.literal_eval(done.stderr))


def test_the_version_and_the_package_as_a_program(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"hf-deepfake {metadata.version('hf-deepfake')}\n"
    assert hf_deepfake.__version__ == metadata.version("hf-deepfake")
    words = [sys.executable, "-m", "hf_deepfake"]
    done = subprocess.run([*words, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"hf-deepfake {hf_deepfake.__version__}\n"
    refused = subprocess.run([*words, "trian"], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_an_unknown_command_is_named(capsys):
    assert main(["trian"]) == 2
    assert "'trian'" in capsys.readouterr().err


def test_only_the_main_process_speaks(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    assert main(["data", "nosuch"]) == 2
    assert capsys.readouterr().err == ""


def test_a_run_without_images_is_one_sentence(tmp_path, capsys):
    assert main(["train", "--data", str(tmp_path), "--output_dir", str(tmp_path / "o")]) == 2
    assert capsys.readouterr().err.count("error: ") == 1
    assert not (tmp_path / "o").exists()


def test_a_reader_that_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m hf_deepfake.cli.main recipes | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() in {"0", "141"}


def test_an_interrupted_command_ends_without_a_traceback(monkeypatch, capsys):
    class Interrupted(io.StringIO):
        def write(self, _):
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdout", Interrupted())
    assert main(["recipes"]) == 130
    assert capsys.readouterr().err == ""
