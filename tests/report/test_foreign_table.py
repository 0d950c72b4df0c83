import pandas as pd

from hf_deepfake.metrics.foreign import measure_foreign
from hf_deepfake.report.foreign_table import FOREIGN_TITLES, foreign_looks, foreign_rows

TABLE = pd.DataFrame(
    {
        "origin": ["a"] * 4 + ["b"] * 2,
        "score": [0.1, 0.3, 0.7, 0.9, 0.2, 0.8],
        "label": [0, 0, 1, 1, 0, 0],
        "group": None,
    }
)


def test_mean_worst_and_each_origin_have_a_row():
    rows = foreign_rows(measure_foreign(TABLE, 0.5, (0.4, 0.6), resamples=20))
    assert rows[0] == ["Foreign sources", "Images", *FOREIGN_TITLES.values()]
    assert foreign_rows(measure_foreign(TABLE, 0.5, None, resamples=20), "Videos")[0][1] == "Videos"
    assert [row[0] for row in rows[1:]] == ["mean of 2", "worst", "a", "b"]
    assert len({len(row) for row in rows}) == 1
    assert rows[2][6].startswith("0.500 ")  # of b's two reals one is confidently called fake
    assert rows[2][6].endswith("(b)")
    assert rows[4][1:3] == ["2 real, 0 fake", "undefined (no fake images)"]


def test_looks_in_words():
    found = measure_foreign(TABLE, 0.5, None, resamples=20)
    assert foreign_looks(None) == foreign_looks(found) == ""
    once = found.counting(None, {"a", "b"})
    assert foreign_looks(once) == "once"
    assert foreign_looks(found.counting(once, {"a"})) == "1 to 2 times"
    assert foreign_looks(found.counting(once, {"a", "b"})) == "2 times"
