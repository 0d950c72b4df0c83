"""A report as one HTML file that needs nothing else: figures inside, no script, no request."""

import base64
from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from hf_deepfake.metrics.conditions import worst_mild
from hf_deepfake.metrics.error_groups import ATTRIBUTES, worst_groups
from hf_deepfake.metrics.result import UNSURE_METRICS
from hf_deepfake.metrics.subgroups import FACETS
from hf_deepfake.report.foreign_table import IN_SOURCE_ONLY, foreign_rows
from hf_deepfake.report.report import MAIN_METRICS, Report
from hf_deepfake.report.video_table import video_note, video_rows

PAGE_FILE = "report.html"


def build_page(report: Report, figures: Mapping[str, bytes]) -> str:
    """Render the page of a report; a section that the report has no data for is left out.

    Args:
        report: with at least one split.
        figures: PNG files by name.

    Returns:
        HTML.
    """
    return render_page(
        "report",
        report=report,
        checkpoint=report.checkpoint,
        judged=report.splits[report.evaluated_split],
        figures={name: inline(content, "png") for name, content in figures.items()},
        metric_names=MAIN_METRICS,
        unsure_names=UNSURE_METRICS,
        facets=FACETS,
        foreign=foreign_rows(report.foreign) if report.foreign else [],
        video_rows=video_rows(report.videos, MAIN_METRICS) if report.videos else [],
        foreign_videos=foreign_rows(report.videos.foreign, "Videos") if report.videos and report.videos.foreign else [],
        video_note=video_note(report.videos, report.checkpoint.operating_point) if report.videos else "",
        crossed=foreign_rows(report.cross_calibrated) if report.cross_calibrated else [],
        in_source_only=IN_SOURCE_ONLY,
        worst_mild=worst_mild(report.robustness),
        attributes=ATTRIBUTES,
        worst_groups=worst_groups(report.errors),
    )


def render_page(room: str, **values: Any) -> str:
    """Render a room's `page.html` in the common style.

    Args:
        room: folder in the package.
        **values: what the template names; text in it is escaped, for a page must not run what a zip's author wrote.

    Returns:
        HTML.
    """
    package = resources.files("hf_deepfake")
    style = Markup((package / "report" / "style.css").read_text(encoding="utf-8"))
    template = (package / room / "page.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(style=style, **values)


def inline(content: bytes, kind: str) -> str:
    """An image as an address that a page can hold.

    Args:
        content: the file.
        kind: "png" or "jpeg".

    Returns:
        A data URL.
    """
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
