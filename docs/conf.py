# SPDX-License-Identifier: Apache-2.0
"""How Sphinx makes a site of these pages; ``make docs`` writes it to ``out/docs``.

The pages are plain Markdown, to be read in the repository as well. So the site's navigation is what ``index.md`` shows:
its headings, and the pages linked below each.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from sphinx.application import Sphinx

_PACKAGE = ElementTree.parse(Path(__file__).parent.parent / "package.xml").getroot()

project = _PACKAGE.findtext("name", "")
version = release = _PACKAGE.findtext("version", "")
copyright = "pose_ros maintainers, Apache-2.0"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4
html_theme = "furo"
html_title = f"{project} {release}"
# Nothing that a reader's browser would fetch from elsewhere, and no copy of the sources.
html_copy_source = False
html_show_sphinx = False

_SECTION = re.compile(r"^## (.+)\n((?:(?!## ).*\n)*)", re.MULTILINE)
_PAGE = re.compile(r"\]\(((?!\.\.|\w+:)[^)#\s]+\.md)\)")
#: Links to files of the repository that are no pages, such as examples: they are copied into the site.
_FILE = re.compile(r"\[([^\]]+)\]\((\.\./[^)#\s]*)\)")


def _read(app: Sphinx, page: str, source: list[str]) -> None:
    text = _FILE.sub(lambda link: f"{{download}}`{link[1].replace('`', '')} <{link[2]}>`", source[0])
    if page == "index":
        for caption, section in _SECTION.findall(text):
            pages = "\n".join(dict.fromkeys(_PAGE.findall(section)))
            text += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"
    source[0] = text


def setup(app: Sphinx) -> dict[str, bool]:
    """Let pages be read as above."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
