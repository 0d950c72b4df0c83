import hashlib
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from hf_deepfake.config import DataConfig, DecisionConfig
from hf_deepfake.data.load import prepare
from hf_deepfake.data.sample import draw_sample
from hf_deepfake.detect.detector import Detector
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.evaluate import evaluate
from hf_deepfake.evaluation.recalibrate import recalibrate
from hf_deepfake.images.open import open_image
from hf_deepfake.metrics.calibration import fit_temperature
from hf_deepfake.metrics.decision import abstention_band, choose_operating_point
from hf_deepfake.metrics.score_table import load_scores
from hf_deepfake.metrics.videos import decide_videos
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint
from hf_deepfake.models.fold import unfold
from hf_deepfake.report.report import CheckpointInfo, Combination, Part, Report


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def decided(faces, **options):
    return DecisionConfig(data=(str(faces),), **options)


@pytest.fixture(scope="module")
def renewed(checkpoint, faces, cache, tmp_path_factory):
    """The checkpoint, recalibrated on all drawn images for few false alarms; its digests before; and the report."""
    before = digests(checkpoint)
    out = tmp_path_factory.mktemp("renewed") / "model"
    report = recalibrate(str(checkpoint), decided(faces, criterion="fpr<=0.05", confident_error=0.2), out, split="all")
    return out, report, before


@pytest.mark.slow
def test_the_old_checkpoint_stays_as_it_was(renewed, checkpoint):
    assert digests(checkpoint) == renewed[2]


@pytest.mark.slow
def test_videos_are_decided_by_videos_and_evaluated_by_that(checkpoint, faces, cache, tmp_path):
    clips = tmp_path / "clips"
    shutil.copytree(faces, clips)
    rows = [line.split(",") for line in (clips / "groups.csv").read_text().splitlines()[1:]]
    lines = [f"{file},{group},{group}" for file, group, _ in rows]
    (clips / "groups.csv").write_text("\n".join(["file,group,video", *lines]) + "\n")
    config = decided(clips)
    recalibrate(str(checkpoint), config, tmp_path / "out", split="all")
    report, table = Report.load(tmp_path / "out/report.json"), load_scores(tmp_path / "out/scores.parquet")
    # A scene names a real and a fake clip, of a frame each: 120 videos.
    assert report.videos.splits["calibration"].n == 120
    assert report.videos.decision == decide_videos(table, config)
    (tmp_path / "more").mkdir()
    draw_sample(tmp_path / "more", count=10, size=64, seed=5)
    (tmp_path / "more/images/attributes.csv").write_text("file,video\nreal/0000.jpg,one\nreal/0001.jpg,one\n")
    found, _ = evaluate(str(tmp_path / "out"), DataConfig(data=(str(tmp_path / "more/images"),)), split="all")
    assert found.videos.decision == report.videos.decision
    assert (found.videos.splits["all"].n, found.videos.frames) == (1, 2)
    assert found.videos.splits["all"].threshold == report.videos.decision.operating_point


def test_what_is_decided_is_what_the_bare_model_s_logits_say(renewed, model, faces):
    out, report, _ = renewed
    table = load_scores(out / "scores.parquet")
    assert set(table["split"]) == {"calibration"}
    detector = Detector.from_pretrained(out, faces="off")
    images = [faces / file for file in table["file"]]
    pixels = torch.stack([detector.checkpoint.transform(open_image(file)) for file in images])
    with torch.inference_mode():
        logits = model(pixels).double().numpy()
    info = report.checkpoint
    assert info.temperature == pytest.approx(fit_temperature(logits, table["label"]), rel=1e-3)
    assert info.operating_point == choose_operating_point(table["score"], table["label"], "fpr<=0.05")
    assert info.abstention_band == abstention_band(table["score"], table["label"], info.operating_point, 0.2)
    assert (info.criterion, info.confident_error, info.decided_on) == ("fpr<=0.05", 0.2, "all images of images")
    assert report.splits["calibration"].metrics["recall_real"].value >= 0.95


def test_the_verdicts_move_with_it(renewed, checkpoint, faces):
    out, report, _ = renewed
    table = load_scores(out / "scores.parquet")
    images = [faces / file for file in table["file"]]
    new, old = (Detector.from_pretrained(one, faces="off")(images) for one in (out, checkpoint))
    called_fake = np.array([verdict.fake_probability >= 0.5 for verdict in new])
    np.testing.assert_array_equal(called_fake, table["score"] >= report.checkpoint.operating_point)
    assert called_fake.sum() < sum(verdict.fake_probability >= 0.5 for verdict in old)


@pytest.mark.slow
def test_the_band_of_the_worst_origin(checkpoint, faces, cache, tmp_path):
    for label in ("real", "fake"):
        for number, file in enumerate(sorted((faces / label).iterdir())):
            place = tmp_path / ("even", "odd")[number % 2] / label
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
    sources = (str(tmp_path / "even"), str(tmp_path / "odd"))
    config = DecisionConfig(data=sources, confident_error=0.2, groups="given")
    info = recalibrate(str(checkpoint), config, tmp_path / "new", split="all").checkpoint
    table = load_scores(tmp_path / "new" / "scores.parquet")
    assert set(table["source"]) == {"even", "odd"}
    bands = [
        abstention_band(part["score"], part["label"], info.operating_point, 0.2) for _, part in table.groupby("source")
    ]
    assert info.abstention_band == (min(low for low, _ in bands), max(high for _, high in bands))
    assert info.decided_on == "all images of even, odd (abstention band: the widest that any of 2 origins needs)"


@pytest.mark.slow
def test_a_model_decided_as_before_is_the_same_model(checkpoint, faces, cache, tmp_path):
    first = recalibrate(str(checkpoint), decided(faces), tmp_path / "first", split="all").checkpoint
    second = recalibrate(str(tmp_path / "first"), decided(faces), tmp_path / "second", split="all").checkpoint
    assert second.temperature == pytest.approx(first.temperature, rel=1e-4)
    one, two = (load_checkpoint(tmp_path / name).model.state_dict() for name in ("first", "second"))
    torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_what_is_known_of_the_model_is_kept_and_old_results_are_not(model, faces, cache, tmp_path):
    folder = export_checkpoint(model, tmp_path / "model", image_size=64, data_fingerprint="f00d")
    info = recalibrate(str(folder), decided(faces), tmp_path / "with").checkpoint
    known = {
        "data": {"fingerprint": "f00d"}, "training": {"best_epoch": 1}, "audit": {"level": "basic"},
        "notes": "For research alone.", "combination": Combination("weights", False, [Part("a", "resnet18", 1.0)]),
    }  # fmt: skip
    Report(checkpoint=info, splits={}, **known).save(folder / "report.json")
    new = recalibrate(str(folder), decided(faces), tmp_path / "new")
    assert {name: getattr(new, name) for name in known} == known
    assert list(new.splits) == ["calibration"]
    assert new.checkpoint.decided_on == "validation split of images"
    assert Report.load(tmp_path / "new" / "report.json") == new
    assert load_checkpoint(tmp_path / "new").config["hf_deepfake"]["data_fingerprint"] == "f00d"


def test_what_is_known_of_other_weights_is_dropped(model, faces, cache, tmp_path):
    folder = export_checkpoint(model, tmp_path / "model", image_size=64, temperature=3.0, operating_point=0.9)
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: one + 1 if name == "fc.bias" else one for name, one in weights.items()}, folder / "model.safetensors"
    )
    Report(checkpoint=CheckpointInfo("model", 64, 1), splits={}, training={"best_epoch": 1}).save(
        folder / "report.json"
    )
    new = recalibrate(str(folder), decided(faces), tmp_path / "new")
    assert new.training == {}
    loaded = load_checkpoint(tmp_path / "new")
    assert loaded.trusted
    assert loaded.temperature == new.checkpoint.temperature
    # what is recalibrated is decided from the logits that the weights now give, with nothing taken out of them
    unfold(loaded.model, loaded.temperature, loaded.operating_point)
    torch.testing.assert_close(loaded.model.fc.bias, weights["fc.bias"] + 1, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("save_fp16", [False, True])
def test_weights_stay_in_half_precision(model, faces, cache, tmp_path, save_fp16):
    folder = export_checkpoint(model, tmp_path / "before", image_size=64, save_fp16=save_fp16)
    recalibrate(str(folder), decided(faces), tmp_path / "after", split="all")
    kinds = {tensor.dtype for tensor in load_file(tmp_path / "after" / "model.safetensors").values()}
    assert kinds - {torch.int64} == {torch.float16 if save_fp16 else torch.float32}


def test_nothing_is_overwritten(checkpoint, faces, tmp_path):
    with pytest.raises(InputError, match="exists; give a new folder"):
        recalibrate(str(checkpoint), decided(faces), tmp_path)


def test_images_of_the_training_do_not_decide(model, faces, cache, tmp_path):
    fingerprint = prepare(decided(faces))[1].fingerprint
    folder = export_checkpoint(model, tmp_path / "model", image_size=64, data_fingerprint=fingerprint)
    with pytest.raises(InputError, match="was trained on these images"):
        recalibrate(str(folder), decided(faces), tmp_path / "new", split="all")
    assert not (tmp_path / "new").exists()
