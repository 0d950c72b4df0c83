import numpy as np
import pytest
from datasets import Dataset, Image

from hf_deepfake.audits import measurements as module
from hf_deepfake.audits.facts import FACTS, file_facts
from hf_deepfake.audits.fingerprint import fingerprint
from hf_deepfake.audits.measurements import Wanted, measure
from hf_deepfake.audits.statistics import STATISTICS, statistics
from hf_deepfake.images.open import open_image

NOTHING, PRINT, DEEP = Wanted(False, False, False), Wanted(True, False, False), Wanted(True, True, True)


@pytest.fixture(scope="module")
def paths(faces):
    return sorted(faces.glob("real/*.jpg"))[:7]


@pytest.fixture(scope="module")
def images(paths):
    """Files and embedded images by turns."""
    images = [
        str(path) if place % 2 else {"bytes": path.read_bytes(), "path": None} for place, path in enumerate(paths)
    ]
    images = [{"path": one, "bytes": None} if isinstance(one, str) else one for one in images]
    return Dataset.from_dict({"image": images}).cast_column("image", Image())


@pytest.mark.parametrize("alone", [True, False])
def test_each_row_gets_what_was_asked_of_it(monkeypatch, images, paths, alone):
    monkeypatch.setattr(module, "_ALONE", 100 if alone else 1)
    monkeypatch.setattr(module, "_CHUNK", 2)
    wanted = [NOTHING, PRINT, DEEP, PRINT, NOTHING, DEEP, PRINT]
    measured = measure(images, wanted)
    assert len(measured.table) == 7
    for row, (path, asked) in enumerate(zip(paths, wanted, strict=True)):
        values = measured.table.loc[row]
        image = open_image(path)
        codes, colours = fingerprint(image) if asked.fingerprint else (0, 0)
        np.testing.assert_array_equal(measured.codes[row], codes)
        np.testing.assert_array_equal(measured.colours[row], colours)
        np.testing.assert_array_equal(values[list(FACTS)], list(file_facts(path.read_bytes()).values()))
        expected = list(statistics(image).values()) if asked.statistics else np.full(len(STATISTICS), np.nan)
        np.testing.assert_array_equal(values[list(STATISTICS)], expected)
        assert np.isnan(values["outside"]) != asked.content
