"""From what was counted and measured to what matters: every limit, with its reason."""

from typing import Any

from hf_deepfake.audits.findings import Files, Finding, Severity, Shared
from hf_deepfake.audits.shortcut import Shortcut, Telling
from hf_deepfake.config import LABELS, SPLITS
from hf_deepfake.data.walk import describe_left_out, hints

LEAK_FATAL = 0.02
"""Share of a split from which a leak is fatal: it may move an accuracy by as much, which is half the 95 % interval of
an accuracy of .85 on 1,200 images; less is lost in that interval."""

SHORTCUT_FATAL = 0.75
"""AUC that published detectors reach on unseen data (.70 to .77). Who reaches it without looking at the face shows
nothing with a good score on this set. Held against the lower end of the interval."""

SHORTCUT_WARNING = 0.65
"""AUC from which a model has much to gain from a shortcut."""

SHORTCUT_NOTE = 0.55
"""AUC below which a shortcut is not worth a line, even where the interval excludes chance."""

RARE_CLASS = 0.2
"""Share of train below which a class is called rare."""

ONE_CLASS_SOURCE = 0.05
"""Share of a source below which it counts as having but the other class."""

_TABLES = {
    "facts": (
        "facts of the files",
        "give both classes the same encoder, and a size below their own, with hf-deepfake normalise, and audit the "
        "result: bytes per pixel may stay apart, for they also follow from how smooth an image is",
    ),
    "statistics": (
        "low-level statistics",
        "blending and generators leave such traces, but so do cameras and encoders: test on another set, with "
        "images blurred, resized and re-saved, before you believe the score",
    ),
    "content": (
        "content outside the face's looks",
        "crop faces alike in both classes, and test on another set before you believe the score",
    ),
}
"""What the tables of features are called, and what to do where they tell the class."""


def evaluate_report(report: dict[str, Any], group_count: int) -> list[Finding]:
    """Evaluate counts, broken files and exact leaks.

    Args:
        report: `DataReport.to_dict()`.
        group_count: number of different given groups.

    Returns:
        Findings.
    """
    findings = []
    sizes = {split: sum(classes.values()) for split, classes in report["counts"].items()}
    held_out = min(size for split, size in sizes.items() if size and split != "train") if any(sizes.values()) else 0
    remedy = "make new splits with hf-deepfake split, or leave out the earlier copy with --on_leak drop"
    if report["leaked_images"]:
        found = f"{report['leaked_images']:,} images are, pixel for pixel, in more than one split."
        findings.append(Finding(_leak(report["leaked_images"], held_out), found, remedy))
    if report["leaked_groups"]:
        number = len(report["leaked_groups"])
        found = (
            f"{number:,} of {group_count:,} groups are in more than one split, such as {report['leaked_groups'][0]}."
        )
        findings.append(Finding(_leak(number, group_count), found, remedy))
    if report["label_conflicts"]:
        number = len(report["label_conflicts"])
        found = f"{number:,} images are in both classes: {' = '.join(report['label_conflicts'][0])}."
        findings.append(Finding(_leak(number, sum(sizes.values())), found, "find out which label is right"))
    if report["bad_files"]:
        found = f"{len(report['bad_files']):,} of {report['listed']:,} files do not open."
        findings.append(Finding("warning", found, "get these files anew; they are left out meanwhile"))
    if report["left_out"]:
        advice = "; ".join(hints(report["left_out"])) or "see that no image is among them"
        findings.append(Finding("note", f"{describe_left_out(report['left_out']).partition('; ')[0]}.", advice))
    if report["duplicates"]:
        found = f"{report['duplicates']:,} images repeat another one of their split."
        findings.append(Finding("note", found, "they count more than others; leave them out if that is not meant"))
    train = report["counts"]["train"]
    rare = min(LABELS, key=lambda label: train[label])
    if train[rare] < RARE_CLASS * sum(train.values()):
        found = f"Only {train[rare]:,} of {sum(train.values()):,} training images are {rare}."
        findings.append(Finding("note", found, "train with --sampling balanced, and evaluate by AUC, not by accuracy"))
    for source, counts in report["sources"].items():
        totals = {label: sum(counts[split][label] for split in SPLITS) for label in LABELS}
        rare = min(LABELS, key=lambda label: totals[label])
        if len(report["sources"]) > 1 and totals[rare] < ONE_CLASS_SOURCE * sum(totals.values()):
            found = f"{source} has {totals[rare]:,} {rare} among {sum(totals.values()):,} images."
            advice = "whatever marks this source marks a class: add images of the other class from the same source"
            findings.append(Finding("warning", found, advice))
    return findings


def evaluate_files(files: Files) -> list[Finding]:
    """Evaluate what was found of the files.

    Args:
        files: the counts.

    Returns:
        Findings.
    """
    texts = {
        "tiny": ("have a side below 64 px", "a face has little texture left there; leave them out"),
        "grey": ("are stored as grey", "see that both classes have them, or train on grey images"),
        "long": ("are more than twice as long as wide, or as wide as long", "crop faces, for squashing distorts them"),
    }
    found = {name: getattr(files, name) for name in texts}
    return [
        Finding("note", f"{found[name]:,} of {files.n:,} images {what}.", advice)
        for name, (what, advice) in texts.items()
        if found[name]
    ]


def evaluate_shared(shared: Shared, against: str | None) -> Finding:
    """Evaluate what two sides share.

    Args:
        shared: the counts.
        against: name of the set audited against.

    Returns:
        A finding.
    """
    like = "are near duplicates of" if shared.kind == "near" else "show the scene of"
    what = f"{shared.images:,} of {shared.of:,} {shared.later} images {like} {shared.earlier} images."
    if shared.later == "fake":
        return Finding("note", what, "fakes were made from these reals: keep such pairs in one split")
    if shared.later == f"{against}'s":
        advice = "leave these images out of one of the two sets, or the second tells little that the first did not"
    else:
        advice = "make new splits with hf-deepfake split, which keeps duplicates, scenes and given groups whole"
    # Scenes are found with some error, and a shared scene gives away less than a shared image.
    return Finding("warning" if shared.kind == "scene" else _leak(shared.images, shared.of), what, advice)


def evaluate_shortcut(table: str, shortcut: Shortcut) -> Finding | None:
    """Evaluate what a table of features tells of the class.

    Only facts of files can be fatal: nothing in them comes from a forgery, and they can be taken out. Statistics and
    content may be the forger's own traces.

    Args:
        table: facts, statistics or content.
        shortcut: what it tells.

    Returns:
        A finding; None if it tells next to nothing.
    """
    name, advice = _TABLES[table]
    if shortcut.low < SHORTCUT_NOTE:
        return None
    severity: Severity = "warning" if shortcut.low >= SHORTCUT_WARNING else "note"
    if table == "facts" and shortcut.low >= SHORTCUT_FATAL:
        severity = "fatal"
    telling = "; ".join(describe(one) for one in shortcut.telling[:3])
    return Finding(severity, f"From {name} alone the class can be told with an AUC of {shortcut}: {telling}.", advice)


def describe(telling: Telling) -> str:
    """A feature with both classes' values."""
    real, fake = ("none" if value is None else f"{value:.3g}" for value in (telling.real, telling.fake))
    return f"{telling.name} (real {real}, fake {fake})"


def _leak(found: int, of: int) -> Severity:
    """How bad it is that so many are shared."""
    return "fatal" if found >= LEAK_FATAL * of else "warning"
