"""An audit as text, as a folder and as a page."""

from dataclasses import replace

import numpy as np
from PIL import Image

from hf_deepfake.audits.audit_page import summary, write_audit
from hf_deepfake.audits.findings import Audit


def test_text(made):
    text = summary(made)
    assert text.splitlines()[:3] == [
        "                 train  validation        test",
        "      real          40           0          20",
        "      fake       1,200           0          28",
    ]
    assert "1,234 groups of duplicates, scenes and given groups; the largest has 7 images" in text
    assert "Facts of the files                 1.000 [1.000, 1.000]  (n = 1,288)" in text
    assert "FATAL: 8 of 48 test images are near duplicates of train images." in text


def test_the_folder_and_its_page(made, tmp_path):
    write_audit(made, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "audit.html",
        "audit.json",
        "content.png",
        "counts.png",
        "facts.png",
        "sheet_fake.jpg",
        "sheet_real.jpg",
        "shortcuts.png",
        "sizes.png",
    ]
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "✖ Fatal" in page
    assert "http" not in page
    assert page.count("data:image/jpeg;base64,") == 2
    assert page.count("data:image/png;base64,") == 4  # no feature of the statistics tells
    with Image.open(tmp_path / "sheet_real.jpg") as sheet:
        assert sheet.size == (8 * 112, 5 * 112)
        assert np.asarray(sheet).std() > 10


def test_the_page_shows_names_as_text(made, tmp_path):
    values = made.to_dict()
    values["report"]["sources"] = {"<script>alert(1)</script>": values["report"]["counts"]}
    write_audit(Audit.from_dict(values), tmp_path)
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_what_was_not_looked_into_is_said(made):
    values = made.to_dict()
    values["report"]["notes"] = {"faces": ["val is a link to test, so it lists no image again"]}
    assert "faces: val is a link to test, so" in summary(Audit.from_dict(values))


def test_no_finding_is_not_nothing_found(made):
    assert "Nothing was found." in summary(replace(made, findings=[]))
    assert "NOT LOOKED AT" not in summary(made)
    basic = replace(made, level="basic", findings=[], shortcuts={}, scene_count=None)
    assert "No finding in what was looked at." in summary(basic)
    assert "NOT LOOKED AT: near duplicates, images of one scene, facts of the files" in summary(basic)


def test_what_was_not_measured_has_no_figure(made, tmp_path):
    files = replace(made.files, sides=made.files.sides[:1])
    write_audit(replace(made, shortcuts={}, files=files, sheets={}), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"audit.html", "audit.json", "counts.png"}
