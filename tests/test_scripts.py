"""Scripts and benchmarks on drawn images; in this process, unless what they set would stay with other tests."""

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate.state import AcceleratorState
from PIL import Image
from safetensors.torch import load_file

from hf_deepfake.cli.main import main
from hf_deepfake.config import TrainConfig, build
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint
from hf_deepfake.training import finish, run

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script(monkeypatch):
    """Load a script as a module, by its path in the repository."""

    def load(name):
        path = ROOT / name
        monkeypatch.syspath_prepend(path.parent)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def call(monkeypatch, capsys):
    """Call `main` of such a module with words: what it returns and says."""

    def call(module, *words):
        monkeypatch.setattr(sys, "argv", [module.__file__, *map(str, words)])
        AcceleratorState._reset_state(reset_partial_state=True)  # one precision holds for a process
        code = module.main()
        AcceleratorState._reset_state(reset_partial_state=True)
        said = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=said.out, stderr=said.err)

    return call


@pytest.fixture
def recipes(script, monkeypatch):
    """The comparison of recipes, whose runs are of this process and draw no figures."""
    module = script("benchmarks/compare_recipes.py")

    def train(options):
        AcceleratorState._reset_state(reset_partial_state=True)
        run.train(build(TrainConfig, options))

    monkeypatch.setattr(module, "train_apart", train)
    monkeypatch.setattr(finish, "render", lambda folder: None)
    return module


@pytest.mark.slow
def test_benchmark_of_training_runs_all_ways(faces, tmp_path):
    words = ["--data", str(faces), "--model", "test_resnet", "--image_size", "64", "--batch_size", "8"]
    words += ["--steps", "2", "--repeats", "2", "--output", str(tmp_path / "figures.json")]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "train.py", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    speed = figures["images_per_second"]
    for name, ratios in figures["ratios"].items():
        over, under = name.split(" / ")
        assert ratios == pytest.approx([one / other for one, other in zip(speed[over], speed[under], strict=True)])
        assert name in done.stdout
    assert figures["ratios"].keys() >= {
        "ours / transformers", "ours / timm", "ours, degraded / ours", "ours / ours, from memory",
    }  # fmt: skip


@pytest.mark.slow
def test_benchmark_of_serving_runs_all_ways(faces, tmp_path):
    model = build_model("test_resnet", image_size=64, pretrained="off")
    checkpoint = export_checkpoint(model, tmp_path / "checkpoint", image_size=64)
    words = ["--data", str(faces), "--checkpoint", str(checkpoint), "--images", "16", "--repeats", "1"]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "serving.py", *words, "--output", str(tmp_path / "figures.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    ours = {name for name in figures["images_per_second"] if name.startswith("Detector")}
    assert {"Detector as installed", "Detector, onnx fp32, faces off", "Detector, torch fp32, faces off"} <= ours
    assert figures["as_installed"] in {"openvino fp32", "torch fp32"}
    assert figures["map_over_verdict"].keys() == ours
    assert figures["images_per_second"].keys() - ours >= {"pipeline, one at a time", "timm, float32"}
    assert figures["cold_start"].keys() == {"pipeline", "Detector as installed", "Detector, torch, no faces"}
    assert all(name in done.stdout for name in figures["images_per_second"])


@pytest.mark.slow
def test_recipes_are_compared_and_not_trained_twice(recipes, call, faces, tmp_path):
    words = ["--data", faces, "--output_dir", tmp_path / "runs", "--images", "44", "--epochs", "1"]
    words += ["--recipes", "compact-cnn", "simple-cnn"]
    done = call(recipes, *words)
    assert done.returncode == 0, done.stderr
    table = (tmp_path / "runs" / "table.md").read_text()
    assert table in done.stdout
    assert len(table.splitlines()) == 4
    assert "| compact-cnn |" in table
    assert "| 128 | 8.4 | 34 | 32 | 0." in table
    comparison = json.loads((tmp_path / "runs" / "comparison.json").read_text())
    assert {row["recipe"] for row in comparison["recipes"]} == {"compact-cnn", "simple-cnn"}
    weights = tmp_path / "runs" / "simple-cnn" / "checkpoint" / "model.safetensors"
    written = weights.stat().st_mtime_ns
    done = call(recipes, *words)
    assert done.returncode == 0, done.stderr
    assert weights.stat().st_mtime_ns == written
    done = call(recipes, *words, "--recipes", "nosuch")
    assert done.returncode == 2
    assert done.stderr.startswith("error: unknown recipe 'nosuch'")


@pytest.mark.slow
def test_recipes_get_the_same_time_beside_a_run_that_had_another(recipes, call, faces, tmp_path):
    common = ["--data", faces, "--epochs", "1"]
    done = call(recipes, *common, "--output_dir", tmp_path / "one", "--recipes", "simple-cnn", "--images", "32")
    assert done.returncode == 2  # a comparison needs two
    assert "two or more" in done.stderr
    words = ["--output_dir", tmp_path / "two", "--recipes", "compact-cnn", "--minutes", "0.02"]
    done = call(recipes, *common, *words, "--also", tmp_path / "one" / "simple-cnn")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "two" / "table.md").read_text().splitlines()
    assert {line.split(" | ")[0] for line in lines[2:]} == {"| compact-cnn", "| simple-cnn"}
    run = json.loads((tmp_path / "two" / "compact-cnn" / "run.json").read_text())
    assert run["options"]["steps_per_epoch"] >= 1


def test_sheet_of_all_degradations(script, tmp_path, capsys):
    module = script("scripts/degradations.py")
    assert module.main(str(tmp_path / "sheet.jpg")) == 0
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.size == (1218, 1167)  # three families of five in each of eleven rows
    assert module.main("/nowhere/sheet.jpg") == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_demo_trains_and_classifies_without_the_package(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "demo.py"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "runs" / "demo" / "checkpoint" / "report.json").read_text())
    assert 0.8 < report["splits"]["test"]["metrics"]["auc"]["value"] < 0.9995
    lines = done.stdout.partition("with transformers alone")[2].splitlines()[1:3]
    assert all(line.split()[-2] in {"real", "fake"} for line in lines)


@pytest.mark.slow
def test_ways_are_held_against_the_example_s_best(script, call, faces, tmp_path):
    module = script("benchmarks/target.py")
    common = ["--data", faces, "--model", "test_resnet", "--epochs", "1", "--workers", "0"]
    for way, more in (("ours", ["--initial_image_size", "96"]), ("theirs", [])):
        done = call(module, *common, "--way", way, *more, "--out", tmp_path / f"{way}.json")
        assert done.returncode == 0, done.stderr
    words = ["--draw", tmp_path / "ours.json", tmp_path / "theirs.json", "--out", tmp_path / "all.json"]
    done = call(module, *words, "--figure", tmp_path / "all.png")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "all.json").read_text())
    ours, theirs = result["ways"]
    assert ours["name"] == "ours, 96 px growing to 160"
    assert result["target_auc"] == max(value for _, value in theirs["curve"])
    assert 0 <= theirs["seconds_to_target"] <= theirs["curve"][-1][0]
    assert "transformers' example: AUC" in done.stdout
    with Image.open(tmp_path / "all.png") as figure:
        assert figure.width > 600


@pytest.mark.parametrize("value", [0.4, 0.5])
def test_an_example_that_learns_nothing_is_no_measure(script, call, tmp_path, value):
    for name, curve in (("transformers' example", [[5.0, value]]), ("ours", [[3.0, 0.45], [6.0, 0.6]])):
        run = {"name": name, "model": "test_resnet", "steps": 2, "curve": curve}
        (tmp_path / f"{name[:4]}.json").write_text(json.dumps(run))
    words = ["--draw", tmp_path / "tran.json", tmp_path / "ours.json", "--out", tmp_path / "all.json"]
    done = call(script("benchmarks/target.py"), *words)
    assert done.returncode == 0, done.stderr
    assert f"ours: AUC {value:.3f} after 0 s; best 0.600" in done.stdout


@pytest.mark.slow
def test_growth_with_the_number_of_images_is_measured(script, call, tmp_path, monkeypatch, capsys):
    """Two of the commands as new processes, for these take seconds; all of them in this one."""
    module = script("benchmarks/scale.py")
    usual = module.commands
    monkeypatch.setattr(module, "commands", lambda *given: {name: usual(*given)[name] for name in ("index", "predict")})
    words = ["--folder", tmp_path / "trees", "--sizes", "30", "60", "--output", tmp_path / "figures.json"]
    done = call(module, *words, "--figure", tmp_path / "figure.png")
    assert done.returncode == 0, done.stderr
    (tmp_path / "out").mkdir()
    given = usual(tmp_path / "trees" / "30", tmp_path / "trees" / "checkpoint", tmp_path / "out")
    assert given.keys() == {"index", "audit, basic", "audit, full", "predict", "evaluate"}
    assert {name: main(command) for name, command in given.items()} == dict.fromkeys(given, 0)
    figures = json.loads((tmp_path / "figures.json").read_text())["commands"]
    assert set(figures) == {"index", "predict"}
    for name, values in figures.items():
        slope = math.log(values["seconds"][1] / values["seconds"][0]) / math.log(2)
        assert values["seconds_slopes"] == [pytest.approx(slope, abs=0.01)], name
        assert min(values["megabytes"]) > 50
    assert len(list((tmp_path / "trees" / "60").rglob("*.jpg"))) == 60
    with Image.open(tmp_path / "figure.png") as figure:
        assert figure.width > 600


@pytest.mark.slow
def test_a_model_learns_another_s_features_and_goes_on_after_a_stop(script, call, faces, tmp_path):
    torch.manual_seed(0)
    teacher = build_model("test_efficientnet", image_size=32, pretrained="off").eval()
    export_checkpoint(teacher, tmp_path / "teacher", image_size=32)
    module = script("scripts/pretrain.py")
    words = ["--data", faces, "--teacher", tmp_path / "teacher", "--model", "test_resnet", "--image_size", "32"]
    words += ["--batch_size", "16", "--workers", "0", "--lr", "0.01"]

    def pretrain(steps, folder):
        done = call(module, *words, "--steps", steps, "--output_dir", tmp_path / folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = pretrain(300, "start")
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in said.splitlines() if "loss" in line]
    assert len(losses) == 3
    assert losses[2] < losses[0] < 1.2
    assert losses[2] < 0.9
    assert said.splitlines()[-1] == str(tmp_path / "start" / "start.safetensors")
    first = (tmp_path / "start" / "start.safetensors").read_bytes()
    assert len(pretrain(300, "start").splitlines()) == 1  # nothing was left to do
    assert (tmp_path / "start" / "start.safetensors").read_bytes() == first
    model = build_model("test_resnet", image_size=32, pretrained=str(tmp_path / "start" / "start.safetensors"))
    found = load_file(tmp_path / "start" / "start.safetensors")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, found[name]), name
