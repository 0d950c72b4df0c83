"""What MkDocs calls: links out of `docs/` work on the site as they do on GitHub, and all options have a page.

MkDocs knows files in `docs/` only. Every other file that a page links to is added to the site under `repository/`
(Markdown as a page, anything else as it is), and the links of every page are written for the places on the site. A link
to a file that is not there stays as it is, and MkDocs refuses it. `mkdocs.yml` names this file under `hooks`.
"""

import posixpath
import re
from dataclasses import fields
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from hf_deepfake.cli.parser import GROUPS
from hf_deepfake.config import TrainConfig

ROOT = Path(__file__).parents[1]
ADDED = "repository/"
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")


def place_in_repository(uri: str) -> str:
    """Where the file of a page lies, from the root of the repository, given where it lies on the site."""
    return uri.removeprefix(ADDED) if uri.startswith(ADDED) else f"docs/{uri}"


def place_on_site(path: str) -> str:
    """The reverse of `place_in_repository`."""
    return path.removeprefix("docs/") if path.startswith("docs/") else ADDED + path


def target(link: str, uri: str) -> str | None:
    """The file that a link on a page leads to, from the root of the repository; None if there is none."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(place_in_repository(uri)), link))
    return path if not path.startswith("..") and (ROOT / path).is_file() else None


def options_page() -> str:
    """A table of the options of training for each of their groups, from the configuration."""
    lines = ["# Options of training", "", "For `hf-deepfake train`, recipes and `TrainConfig`."]
    for item in fields(TrainConfig):
        if item.name in GROUPS:
            lines += [
                "",
                f"## {GROUPS[item.name].capitalize()}",
                "",
                "| option | default | what it is |",
                "|---|---|---|",
            ]
        text = item.metadata["help"].replace("%%", "%").replace("|", "\\|").replace("<", "&lt;")
        lines.append(f"| `{item.name}` | `{item.default!r}` | {text} |")
    return "\n".join(lines)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page of options, the files that pages link to, and those that these link to."""
    files.append(File.generated(config, "api/options.md", content=options_page()))
    waiting = [file for file in files if file.is_documentation_page()]
    while waiting:
        file = waiting.pop()
        for link in LINK.findall(file.content_string):
            path = target(link, file.src_uri)
            if path is None or files.get_file_from_path(place_on_site(path)):
                continue
            added = File.generated(config, place_on_site(path), abs_src_path=str(ROOT / path))
            files.append(added)
            if added.is_documentation_page():
                waiting.append(added)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Write the links of a page for the places on the site."""
    uri = page.file.src_uri

    def rewrite(found: re.Match[str]) -> str:
        path = target(found[1], uri)
        return found[1] if path is None else posixpath.relpath(place_on_site(path), posixpath.dirname(uri) or ".")

    return LINK.sub(rewrite, markdown)
