import numpy as np
import pytest

from hf_deepfake.config import DataConfig
from hf_deepfake.data.load import prepare
from hf_deepfake.detect.detector import Detector
from hf_deepfake.evaluation.scorers import CheckpointScorer, describe
from hf_deepfake.models.checkpoint import export_checkpoint, load_checkpoint


def test_a_checkpoint_scores_before_its_operating_point(model, faces, cache, tmp_path):
    folder = export_checkpoint(model, tmp_path / "model", image_size=64, temperature=2.0, operating_point=0.3)
    loaded = load_checkpoint(folder)
    images = prepare(DataConfig(data=(str(faces),)))[0]["test"]
    scores = CheckpointScorer("mine", loaded).score(images)
    verdicts = Detector.from_pretrained(folder, faces="off")([image.filename for image in images["image"]])
    folded = np.array([verdict.fake_probability for verdict in verdicts])
    odds = folded / (1 - folded) * (0.3 / 0.7)  # at the operating point, folded scores are .5
    assert scores == pytest.approx(odds / (1 + odds), abs=1e-5)


def test_what_is_said_of_a_checkpoint(model, tmp_path):
    folder = export_checkpoint(
        model, tmp_path / "model", image_size=64, temperature=2.0, operating_point=0.3, abstention_band=(0.2, 0.6)
    )
    info = describe(load_checkpoint(folder))
    assert (info.image_size, info.temperature, info.operating_point) == (64, 2.0, 0.3)
    assert info.abstention_band == (0.2, 0.6)
    assert info.parameters == sum(parameter.numel() for parameter in model.parameters())
