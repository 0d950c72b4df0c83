import numpy as np
import pytest
import torch
from PIL import Image

from hf_deepfake.config import DataConfig
from hf_deepfake.evaluation.evaluate import evaluate, load_split
from hf_deepfake.explain.error_sheets import SHOWN, TILE, add_errors, analyse_errors, draw_sheet, save_sheets
from hf_deepfake.models.build import build_model
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint
from hf_deepfake.models.fold import final_layer


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """An untrained model, the data, its report and scores."""
    torch.manual_seed(0)
    model = build_model("test_resnet", image_size=64, pretrained="off")
    final_layer(model)[0].data *= 20  # so that its maps are strong enough to show
    folder = export_checkpoint(model, tmp_path_factory.mktemp("errors") / "model", image_size=64)
    config = DataConfig(data=("sample",))
    return str(folder), config, *evaluate(str(folder), config)


@pytest.mark.slow
def test_sheets_show_the_worst_first(evaluated, monkeypatch):
    folder, config, _, table = evaluated
    drawn = []
    monkeypatch.setattr(
        "hf_deepfake.explain.error_sheets.draw_sheet",
        lambda loaded, images, part: drawn.append((images["label"], part)) or Image.new("RGB", (8, 8)),
    )
    table = table.assign(score=np.where(np.arange(len(table)) % 2, 0.2 + 0.001 * np.arange(len(table)), 0.9))
    loaded = load_checkpoint(folder)
    images = load_split(config, "test")[0]["test"]
    groups, sheets = analyse_errors(loaded, images, table, loaded.operating_point)
    assert sheets.keys() == {"false_alarms", "misses"}
    assert groups
    for (labels, part), label in zip(drawn, (0, 1), strict=True):
        assert set(labels) == set(part["label"]) == {label}
        assert list(labels) == part["label"].tolist()
        distance = np.abs(part["score"] - 0.5).to_numpy()
        assert (np.diff(distance) <= 0).all()
        assert ((part["score"] >= 0.5) == (label == 0)).all()
        everywhere = table[(table["label"] == label) & ((table["score"] >= 0.5) == (label == 0))]
        assert len(part) == min(SHOWN, len(everywhere))
        assert distance[0] == (everywhere["score"] - 0.5).abs().max()


def test_sheet_holds_image_and_map(evaluated):
    folder, config, _, table = evaluated
    images = load_split(config, "test")[0]["test"].select(range(4))
    sheet = np.asarray(draw_sheet(load_checkpoint(folder), images, table.iloc[:4]))
    assert sheet.shape[0] > 2 * TILE
    assert sheet.shape[1] > 6 * TILE
    left, right = (sheet[16 : 16 + TILE, start : start + TILE].astype(int) for start in (16, 16 + TILE + 6))
    expected = np.asarray(images[0]["image"].convert("RGB").resize((TILE, TILE), Image.Resampling.BICUBIC), int)
    assert np.abs(left - expected).mean() < 3
    assert np.abs(left - right).mean() > 1


def test_report_with_errors_and_stale_sheets(evaluated, tmp_path):
    folder, config, report, table = evaluated
    (tmp_path / "errors_misses.jpg").write_bytes(b"of before")
    new, files = add_errors(report, table, folder, config, tmp_path)
    assert new.errors
    assert not report.errors
    assert all(Image.open(file).format == "JPEG" for file in files)
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in files}
    new.save(tmp_path / "report.json")
    assert type(new).load(tmp_path / "report.json").errors == new.errors
    assert save_sheets(tmp_path, {}) == []
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]
