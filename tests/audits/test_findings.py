"""The result of an audit: what follows from it, and its JSON."""

import json
from dataclasses import replace

import pytest

from hf_deepfake.audits.audit_page import write_audit
from hf_deepfake.audits.findings import Audit
from hf_deepfake.errors import InputError


def test_one_fatal_finding_makes_an_audit_fatal(made):
    assert made.fatal
    assert not replace(made, findings=made.findings[1:]).fatal


def test_what_was_not_looked_at(made):
    assert made.unseen == []
    assert replace(made, shortcuts={"facts": made.shortcuts["facts"]}).unseen == [
        "low-level statistics", "content outside the face's looks",
    ]  # fmt: skip
    assert replace(made, level="basic").unseen == ["near duplicates", "images of one scene"]


def test_what_a_report_keeps(made):
    kept = made.for_report()
    assert kept.keys() == {"level", "unseen", "findings", "shortcuts"}
    assert kept["findings"][1] == {
        "severity": "warning", "what": "Only 40 of 1,240 training images are real.", "advice": "add some",
    }  # fmt: skip
    assert kept["shortcuts"]["statistics"] == {"auc": 0.81, "low": 0.74, "high": 0.88, "n": 1288}


def test_json_makes_the_same_audit_again(made, tmp_path):
    write_audit(made, tmp_path / "new" / "folder")
    again = Audit.load(tmp_path / "new" / "folder" / "audit.json")
    assert again == made
    assert (again.sheets, again.created) == ({}, made.created)


def test_what_is_no_audit_is_refused(made, tmp_path):
    path = tmp_path / "audit.json"
    with pytest.raises(InputError, match="cannot read"):
        Audit.load(path)
    path.write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        Audit.load(path)
    path.write_text("{}")
    with pytest.raises(InputError, match="this version reads 1"):
        Audit.load(path)
    values = made.to_dict()
    del values["files"]
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match="not whole"):
        Audit.load(path)
    with pytest.raises(InputError, match="cannot be made"):
        write_audit(made, path)
