import json
import os
import shutil
import subprocess
import sys

import pytest

from hf_deepfake.cli.main import main
from hf_deepfake.data.sample import draw_sample
from hf_deepfake.metrics.score_table import load_scores
from hf_deepfake.report.report import Report

TINY = ["--model", "test_resnet", "--pretrained", "off", "--image_size", "64", "--epochs", "1", "--explained", "0"]
TINY += ["--steps_per_epoch", "2", "--batch_size", "8", "--audit", "off", "--workers", "0", "--lr", "1e-3"]
TINY += ["--mixed_precision", "no"]
TINY += ["--confident_error", ".2"]


@pytest.fixture
def in_this_process(monkeypatch):
    """Processes of their own cost seconds of imports each; the test of a launch below starts real ones."""

    real = subprocess.run

    def run(command, **options):
        if command[1:3] != ["-m", "hf_deepfake.cli.main"]:
            return real(command, **options)
        return subprocess.CompletedProcess(command, main(command[3:]))

    monkeypatch.setattr(subprocess, "run", run)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Three sources of 20 drawn pairs, two of one origin."""
    folder = tmp_path_factory.mktemp("three")
    for seed, name in enumerate(("street", "studio", "attic"), 5):
        draw_sample(folder / str(seed), count=20, size=64, seed=seed)
        shutil.move(folder / str(seed) / "images", folder / name)
    return [str(folder / name) for name in ("street", "studio", "attic")]


@pytest.mark.slow
def test_each_origin_is_left_out_once_and_a_second_time_nothing_is_trained(
    three, tmp_path, cache, capsys, in_this_process
):
    words = ["crossval", *three, "--output_dir", str(tmp_path / "cv"), "--origins", "attic=studio", *TINY]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert {path.name for path in (tmp_path / "cv").iterdir() if path.is_dir()} == {"street", "studio"}
    for origin, count in (("street", 40), ("studio", 80)):
        folder = tmp_path / "cv" / origin
        report = Report.load(folder / "checkpoint" / "report.json")
        assert report.roles == {"training": [{"street": "studio", "studio": "street"}[origin]]}
        left = load_scores(folder / "left_out" / "scores.parquet")
        assert (set(left["origin"]), len(left)) == ({origin}, count)
    found = json.loads((tmp_path / "cv" / "crossval.json").read_text())
    assert list(found["own_band"]["origins"]) == list(found["cross_band"]["origins"]) == ["street", "studio"]
    assert found["own_band"]["mean"]["auc"]["n"] == 2
    assert "decided by what the other folds left out" in said
    assert "What it adds to the AUC of" in said
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cv").rglob("run.json")}
    assert main(words) == 0
    assert capsys.readouterr().out == said[said.index("decided by its own sources") :]
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.slow
def test_folds_of_groups_side_by_side(faces, tmp_path, cache):
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--cpu"]
    launch += ["-m", "hf_deepfake.cli.main", "crossval", str(faces), "--leave_out", "group", "--folds", "2"]
    done = subprocess.run(
        [*launch, "--output_dir", str(tmp_path / "cv"), *TINY],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    tables = [load_scores(tmp_path / "cv" / name / "checkpoint" / "scores.parquet") for name in ("fold_1", "fold_2")]
    tested = [set(table[table["split"] == "test"]["file"]) for table in tables]
    assert len(tested[0] | tested[1]) == len(tested[0]) + len(tested[1]) == 120
    found = json.loads((tmp_path / "cv" / "crossval.json").read_text())
    assert (found["cross_band"], found["helps"]) == (None, {})
    assert list(found["own_band"]["origins"]) == ["fold 1", "fold 2"]
    assert done.stdout.count("mean of 2") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--fold", "1/2"], "crossval chooses folds"),
        (["--calibration_data", "sample"], "crossval chooses folds"),
        ([], "all images are of the origin images, so that none can be left out"),
    ],
)
def test_what_cannot_be_cross_validated_is_said(faces, tmp_path, cache, capsys, words, says):
    assert main(["crossval", str(faces), "--output_dir", str(tmp_path / "cv"), *TINY, *words]) == 2
    assert says in capsys.readouterr().err
