"""An audit as text, and as a folder: JSON, figures and one HTML page that needs nothing else."""

from pathlib import Path

from hf_deepfake.audits.audit_figures import TITLES, counts_figure, shortcuts_figure, sizes_figure, telling_figure
from hf_deepfake.audits.findings import Audit
from hf_deepfake.config import LABELS, SPLITS
from hf_deepfake.files import local_path, make_folder, replacing, write_json
from hf_deepfake.report.figures import save_figure
from hf_deepfake.report.html import inline, render_page


def summary(audit: Audit) -> str:
    """Lay out an audit as text.

    Args:
        audit: the audit.

    Returns:
        Counts, shortcuts and findings, some tens of lines.
    """
    counts = audit.report["counts"]
    rows = [["", *SPLITS]] + [[label, *(f"{counts[split][label]:,}" for split in SPLITS)] for label in LABELS]
    lines = ["  ".join(f"{cell:>10}" for cell in row) for row in rows]
    lines += [f"{source}: {note}" for source, notes in audit.report["notes"].items() for note in notes]
    if audit.scene_count is not None:
        lines += ["", f"{audit.scene_count:,} groups of duplicates, scenes and given groups; the largest has "]
        lines[-1] += f"{audit.largest_scene:,} images"
    if audit.shortcuts:
        lines += ["", "AUC without a look at the face, with 95 % interval"]
    lines += [f"  {TITLES[name]:34} {shortcut}  (n = {shortcut.n:,})" for name, shortcut in audit.shortcuts.items()]
    for finding in audit.findings:
        lines += ["", f"{finding.severity.upper()}: {finding.what}", f"    {finding.advice}"]
    if not audit.findings:
        lines += ["", "No finding in what was looked at." if audit.unseen else "Nothing was found."]
    if audit.unseen:
        lines += ["", f"NOT LOOKED AT: {', '.join(audit.unseen)}"]
    return "\n".join(lines)


def write_audit(audit: Audit, folder: str | Path) -> None:
    """Write `audit.json`, `audit.html`, figures (PNG) and, where the audit has them, sheets of images (JPEG).

    Sheets show images of the data set, in the page too: share the folder as you may share the data.

    Args:
        audit: from `audit`, or read again (then without sheets).
        folder: made if need be; files of an earlier audit are replaced.

    Raises:
        InputError: the folder cannot be written.
    """
    folder = make_folder(local_path(folder))
    figures = {"counts": counts_figure(audit)}
    if len(audit.files.sides) > 1:
        figures["sizes"] = sizes_figure(audit)
    if audit.shortcuts:
        figures["shortcuts"] = shortcuts_figure(audit)
    figures |= {name: telling_figure(name, shortcut) for name, shortcut in audit.shortcuts.items() if shortcut.telling}
    images = {}
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        save_figure(figure, path)
        images[name] = inline(path.read_bytes(), "png")
    for name, sheet in audit.sheets.items():
        with replacing(folder / f"sheet_{name}.jpg") as temporary:
            temporary.write_bytes(sheet)
    write_json(folder / "audit.json", audit.to_dict())
    with replacing(folder / "audit.html") as temporary:
        temporary.write_text(_page(audit, images), encoding="utf-8")


def _page(audit: Audit, figures: dict[str, str]) -> str:
    """The HTML page."""
    return render_page(
        "audits",
        audit=audit,
        figures=figures,
        sheets={name: inline(sheet, "jpeg") for name, sheet in audit.sheets.items()},
        titles=TITLES,
        splits=SPLITS,
        labels=LABELS,
        tally={kind: sum(one.severity == kind for one in audit.findings) for kind in ("fatal", "warning", "note")},
    )
