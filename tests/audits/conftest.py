import io

import pytest
from PIL import Image

from hf_deepfake.audits.findings import Audit, Files, Finding, Shared
from hf_deepfake.audits.shortcut import Shortcut, Telling
from hf_deepfake.data.data_report import DataReport

COUNTS = {
    "train": {"real": 40, "fake": 1200},
    "validation": {"real": 0, "fake": 0},
    "test": {"real": 20, "fake": 28},
}


@pytest.fixture
def made() -> Audit:
    """An audit by hand, with everything that an audit can have."""
    facts = [
        Telling("format is PNG", 0.0, 1.0, 0.0, [-0.5, 0.5, 1.5], [0.0, 1.0], [1.0, 0.0]),
        Telling("bytes a pixel", 0.25, 2.5, 0.5, [0.0, 1.0, 2.0, 3.0], [0.0, 0.25, 0.75], [0.5, 0.5, 0.0]),
    ]
    content = [Telling("mean of red", 0.6, 0.4, 0.5, [0.0, 0.5, 1.0], [0.6, 0.4], [0.4, 0.6])]
    sheet = io.BytesIO()
    Image.effect_noise((896, 560), 60).save(sheet, "JPEG")
    return Audit(
        data=["faces"],
        against=None,
        level="full",
        report=DataReport(origins=("faces",),
            counts=COUNTS, sources={"faces": COUNTS}, listed=1289, bad_files=(("a.jpg", "it is empty"),),
            leaked_groups=(), leaked_images=0, dropped=0, duplicates=0, label_conflicts=(), unmatched_rows=0,
            made={}, fingerprint="f",
        ).to_dict(),
        files=Files(
            n=1288, sizes=[[64, 64, 60, 1200], [48, 48, 0, 28]], size_count=2,
            sides=[[48, 56, 0, 28], [56, 64, 60, 1200]], tiny=4, grey=0, long=0,
        ),
        shared=[Shared("near", "test", "train", 8, 48, [["test/fake/a.jpg", "train/fake/b.jpg"]])],
        scene_count=1234,
        largest_scene=7,
        shortcuts={
            "facts": Shortcut(1.0, 1.0, 1.0, 1288, facts),
            "statistics": Shortcut(0.81, 0.74, 0.88, 1288, []),
            "content": Shortcut(0.55, 0.45, 0.65, 1288, content),
        },
        findings=[
            Finding("fatal", "8 of 48 test images are near duplicates of train images.", "split by scene"),
            Finding("warning", "Only 40 of 1,240 training images are real.", "add some"),
        ],
        sheets={"real": sheet.getvalue(), "fake": sheet.getvalue()},
    )  # fmt: skip
