"""Checkpoints, models of others and functions in one comparison."""

import pytest
from other_models import save_vit

from hf_deepfake import compare
from hf_deepfake.cli.main import main
from hf_deepfake.config import DataConfig
from hf_deepfake.report.report import Report


@pytest.fixture
def config(faces, cache):
    return DataConfig(data=(str(faces),))


@pytest.mark.slow
def test_three_kinds_in_one_comparison(checkpoint, faces, config, tmp_path, capsys, monkeypatch):
    vit = save_vit(tmp_path / "vit", ("Realism", "Deepfake"))
    (tmp_path / "a_third_detector.py").write_text("def score(images):\n    return [.25] * len(images)\n")
    monkeypatch.chdir(tmp_path)
    models = [str(checkpoint), str(vit), "a_third_detector:score"]
    assert main(["compare", *models, "--data", str(faces), "--out", "found"]) == 0
    assert "12 images" in capsys.readouterr().out
    names = ["model", "vit", "a_third_detector:score"]
    assert {path.name for path in (tmp_path / "found").iterdir()} == {
        "comparison.json", "comparison.png", "model", "vit", "a_third_detector-score",
    }  # fmt: skip
    found = compare(models, "vit", config=config)
    assert list(found.results) == names
    assert {(one.first, one.second) for one in found.differences} == {("model", "vit"), ("vit", names[2])}
    assert found.results["vit"] == Report.load(tmp_path / "found" / "vit" / "report.json").splits["test"]
    assert "states no decision" in (tmp_path / "found" / "vit" / "report.html").read_text()
    assert main(["compare", *models[1:]]) == 2
    assert "give images to evaluate it on, by --data" in capsys.readouterr().err
    assert main(["evaluate", str(vit), str(faces), "--out", str(vit)]) == 2
    assert "holds a model of others" in capsys.readouterr().err
    assert main(["evaluate", str(vit), str(faces), "--errors", "--out", "errors"]) == 0
