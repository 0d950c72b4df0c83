import ast
import subprocess
import sys
from importlib import metadata

import pytest
from PIL import Image

import hf_deepfake
from hf_deepfake.cli.main import _parser, main
from hf_deepfake.data.sample import draw_sample
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint

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


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "--modell", "x"], "error: unknown argument --modell; did you mean --model?\n"),
        (["data", "sample", "--split_sed=3"], "error: unknown argument --split_sed=3; did you mean --split_seed?\n"),
        (["data", "sample", "--xyzzy"], "error: unknown argument --xyzzy; see --help for what there is\n"),
        (["train", "--data", "sample"], "error: no output folder given; add --output_dir runs/NAME\n"),
        (["train", "--lr"], "error: argument --lr: expected one argument; see hf-deepfake train --help\n"),
        (["train", "--lr", "fast"], "error: lr is 'fast'; it must be a number\n"),
        (["data", "nosuch/folder.zip"], "error: no such path"),
        (["crop", "nosuch", "target"], "error: nosuch is neither a folder nor a zip"),
        (["serve"], "error: no checkpoint given; add --checkpoint"),
        (["serve", "--checkpoint", "nosuch", "--port", "x"], "error: argument --port: invalid int value: 'x'; see"),
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


def test_what_a_data_set_holds(faces, capsys):
    assert main(["data", str(faces)]) == 0
    said = capsys.readouterr().out
    assert "train" in said
    assert "real" in said


def test_names_of_classes_do_not_swallow_what_comes_after_them(tmp_path, capsys):
    draw_sample(tmp_path / "sample", count=30, size=64, seed=0)
    for name, new in (("real", "0"), ("fake", "1")):
        (tmp_path / "sample" / "images" / name).rename(tmp_path / "sample" / "images" / new)
    source = str(tmp_path / "sample" / "images")
    named = ["--real_names", "0", "--fake_names", "1", "--fake_names", "generated"]
    for words in (["data", *named, source], ["data", source, *named], ["data", source, *named, "--split_seed", "1"]):
        assert main(words) == 0
        assert "train" in capsys.readouterr().out


def test_a_process_exits_with_2(tmp_path):
    words = [
        sys.executable,
        "-m",
        "hf_deepfake.cli.main",
        "train",
        "--data",
        str(tmp_path),
        "--output_dir",
        str(tmp_path / "o"),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o").exists()


def test_serve_says_what_to_install_where_gradio_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["serve", "--checkpoint", "nosuch"]) == 2
    said = capsys.readouterr().err
    assert said == 'error: the page needs gradio, which is not installed; run pip install "hf-deepfake[space]"\n'


def test_crops_of_a_data_set(tmp_path, capsys):
    draw_sample(tmp_path / "sample", count=3, size=128, seed=0)
    assert main(["crop", str(tmp_path / "sample" / "images"), str(tmp_path / "crops")]) == 0
    said = capsys.readouterr().out.split()
    written = len(list((tmp_path / "crops").rglob("*.jpg")))
    assert written >= 4  # of six drawn faces the finder may miss one or two
    assert said[:2] == [str(written), "written"]


def test_inspect_prints_facts_and_writes_views(tmp_path, capsys):
    image, out = tmp_path / "face.jpg", tmp_path / "views.png"
    Image.new("RGB", (96, 64), (200, 150, 120)).save(image, quality=80)
    assert main(["inspect", str(image), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "quality about 80 of 100" in printed
    assert "Content Credentials\n  none\n" in printed
    with Image.open(out) as views:
        plain = views.size
    checkpoint = export_checkpoint(
        build_model("test_resnet", image_size=64, pretrained="off"), tmp_path / "model", image_size=64
    )
    assert main(["inspect", str(image), "--checkpoint", str(checkpoint)]) == 2
    assert "add --out" in capsys.readouterr().err
    assert main(["inspect", str(image), "--checkpoint", str(checkpoint), "--out", str(out)]) == 0
    with Image.open(out) as views:
        assert views.height > plain[1]
    assert main(["inspect", str(tmp_path / "nothing.jpg")]) == 2
    assert "no such file" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m hf_deepfake.cli.main recipes | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() in {"0", "141"}
