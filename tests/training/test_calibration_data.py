import json
import shutil

import PIL.Image
import pytest

from hf_deepfake.cli.main import main
from hf_deepfake.config import TrainConfig
from hf_deepfake.data.load import prepare
from hf_deepfake.data.sample import draw_sample
from hf_deepfake.errors import InputError
from hf_deepfake.hub.render_checkpoint import render
from hf_deepfake.metrics.decision import abstention_band
from hf_deepfake.metrics.score_table import load_scores
from hf_deepfake.models.checkpoint import load_checkpoint
from hf_deepfake.report.report import Report
from hf_deepfake.training import finish
from hf_deepfake.training.calibration_data import load_calibration


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Two foreign sources of 20 drawn pairs each."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for seed, name in enumerate(("street", "studio"), 5):
        draw_sample(folder / str(seed), count=20, size=64, seed=seed)
        shutil.move(folder / str(seed) / "images", folder / name)
    return folder


def config(faces, *foreign, **options):
    return TrainConfig(
        data=(str(faces),), output_dir="x", calibration_data=tuple(map(str, foreign)), audit="off", **options
    )


def loaded(given):
    return load_calibration(given, *prepare(given))


def test_all_images_of_all_origins(faces, elsewhere, cache):
    images, facts = loaded(config(faces, elsewhere / "street", elsewhere / "studio"))
    assert len(images) == 80
    assert facts["origins"] == facts["sources"] == ["street", "studio"]
    assert set(facts["left_out"].values()) == {0}


def test_an_origin_in_two_roles_is_a_leak(faces, elsewhere, cache):
    with pytest.raises(InputError, match="images is in data and in calibration_data"):
        loaded(config(faces, elsewhere / "street", origins=("street=images",)))
    with pytest.raises(InputError, match=r"origins names nowhere, .* sources are images, street"):
        loaded(config(faces, elsewhere / "street", origins=("nowhere=images",)))


def test_shared_images_near_duplicates_and_their_groups_are_left_out_and_named(
    faces, elsewhere, tmp_path, cache, caplog
):

    copied = tmp_path / "copied"
    shutil.copytree(elsewhere / "street", copied)
    (copied / "groups.csv").unlink()
    own = sorted((faces / "real").iterdir())
    shutil.copy(own[0], copied / "real" / "same.png")
    with PIL.Image.open(own[1]) as opened:
        opened.convert("RGB").save(copied / "real" / "near.jpg", quality=80)
    names = sorted(file.name for file in (copied / "fake").iterdir())[:2]
    (copied / "groups.csv").write_text(f"file,group\nreal/same.png,a\nfake/{names[0]},a\nfake/{names[1]},b\n")
    images, facts = loaded(config(faces, copied))
    assert facts["left_out"] == {"images": 1, "near duplicates": 0, "images of their groups": 1}
    assert len(images) == 40
    full = TrainConfig(data=(str(faces),), output_dir="x", calibration_data=(str(copied),), audit="full")
    images, facts = loaded(full)
    assert facts["left_out"] == {"images": 1, "near duplicates": 1, "images of their groups": 1}
    assert "1 images, 1 near duplicates, 1 images of their groups; left out" in caplog.text
    with pytest.raises(InputError, match="share 1 images, 1 images of their groups with the training data"):
        loaded(config(faces, copied, on_leak="error"))


def test_both_classes_must_be_there_though_not_in_one_source(faces, elsewhere, tmp_path, cache):
    for label in ("real", "fake"):
        shutil.copytree(elsewhere / "street" / label, tmp_path / f"only_{label}" / label)
    reals, fakes = tmp_path / "only_real", tmp_path / "only_fake"
    assert len(loaded(config(faces, reals, fakes))[0]) == 40
    with pytest.raises(InputError, match="no fake images left"):
        loaded(config(faces, reals))
    with pytest.raises(InputError, match="foreign_auc needs an origin of both classes"):
        loaded(config(faces, reals, fakes, monitor="foreign_auc"))
    paired = config(faces, reals, fakes, monitor="foreign_auc", origins=("only_real=street", "only_fake=street"))
    assert loaded(paired)[1]["origins"] == ["street"]


@pytest.mark.slow
def test_a_run_is_decided_by_foreign_images(faces, elsewhere, tmp_path, cache, capsys, monkeypatch):
    monkeypatch.setattr(finish, "render", render)
    words = ["train", "--data", faces, "--calibration_data", elsewhere / "street", elsewhere / "studio"]
    words += ["--output_dir", tmp_path / "run", "--model", "test_resnet", "--pretrained", "off", "--image_size", "64"]
    words += ["--epochs", "2", "--steps_per_epoch", "2", "--batch_size", "8", "--monitor", "foreign_auc"]
    words += ["--confident_error", ".2", "--explained", "0", "--audit", "off", "--workers", "0", "--lr", "1e-3"]
    words += ["--mixed_precision", "no"]
    assert main(list(map(str, words))) == 0
    checkpoint = tmp_path / "run" / "checkpoint"
    record, report = json.loads((tmp_path / "run" / "run.json").read_text()), Report.load(checkpoint / "report.json")
    values = [epoch["foreign_auc"] for epoch in record["epochs"]]
    assert record["best_epoch"] == 1 + values.index(max(values))
    assert report.roles == {"training": ["images"], "calibration": ["street", "studio"]}
    assert list(report.splits) == ["validation", "test", "calibration"]
    assert report.checkpoint.decided_on == (
        "calibration data (street, studio) (abstention band: the widest that any of 2 origins needs)"
    )
    table = load_scores(checkpoint / "scores.parquet")
    decided = table[table["split"] == "calibration"]
    info = report.checkpoint
    bands = [
        abstention_band(part["score"], part["label"], info.operating_point, 0.2)
        for _, part in decided.groupby("origin")
    ]
    assert info.abstention_band == pytest.approx(
        (min(low for low, _ in bands), max(high for _, high in bands)), abs=1e-4
    )
    seen = load_checkpoint(checkpoint).seen
    assert len(seen.decided) == 80 + len(table[table["split"] == "validation"])
    card = (checkpoint / "README.md").read_text()
    assert "what it does there when **the other origins alone** decide" in card
    assert list(report.cross_calibrated.origins) == ["street", "studio"]
    assert str(elsewhere) not in card + (checkpoint / "report.json").read_text()
    capsys.readouterr()
    for data in (faces, elsewhere / "studio"):
        assert main(["evaluate", str(checkpoint), str(data), "--foreign"]) == 2
    said = capsys.readouterr().err
    assert "images has the role training" in said
    assert "studio has the role calibration" in said
