# SPDX-License-Identifier: Apache-2.0
"""Options, topics, models and skeletons in the pages are those of the code, and links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
INDEX = ROOT / "docs" / "index.md"
CODE = re.compile(r"^( *)```.*?^\1```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)



def test_tables_are_those_of_the_code():
    """Run ``python docs/tables.py`` after an option, a topic, a card or a skeleton has changed.

    Topics are those of nodes that run; the last column of their tables is written by hand.
    """
    pytest.importorskip("rclpy", reason="topics and options are read from the nodes, which need ROS 2")
    pytest.importorskip("hri_msgs", reason="one of the nodes needs hri_msgs")
    check = [sys.executable, str(ROOT / "docs" / "tables.py"), "--check"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(check, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("script", ["pictures.py", "frames.py", "gait.py"])
def test_pictures_are_those_of_the_code(script):
    """Run ``python docs/pictures.py`` after a skeleton has changed; ``docs/layout.yaml`` says where joints are.

    ``python docs/frames.py`` draws what frames and angles mean, ``python docs/gait.py`` a walk.
    """
    check = [sys.executable, str(ROOT / "docs" / script), "--check"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(check, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@cache
def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    found: dict[str, int] = {}
    text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    result = set()
    for heading in re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        result.add(f"{slug}-{found[slug]}" if found.get(slug) else slug)
        found[slug] = found.get(slug, 0) + 1
    return result


def links(page: Path) -> list[str]:
    """Return where the links and pictures of a page lead, those to other hosts left out."""
    found = re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", page.read_text(encoding="utf-8")))
    return [unquote(target) for target in found if "://" not in target and not target.startswith("mailto:")]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    """Every relative link and picture of a page exists, and every heading that one leads to."""
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_every_page_is_in_the_index_and_the_index_in_the_readme():
    """A page that nobody links to is a page that nobody reads; the site's navigation is made of the index."""
    listed = {(INDEX.parent / target.partition("#")[0]).resolve() for target in links(INDEX)}
    assert not [page.name for page in PAGES if page.is_relative_to(INDEX.parent) and page not in {*listed, INDEX}]
    assert "docs/index.md" in links(ROOT / "README.md")


def test_every_message_is_in_the_pages():
    """The definitions themselves, of which ``docs/tables.py`` makes blocks."""
    text = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")
    files = [file for kind in ("msg", "srv") for file in (ROOT / kind).iterdir()]
    assert not [file.name for file in files if f"<!-- table: file {file.parent.name}/{file.name} -->" not in text]


def test_the_site_is_made_without_a_warning(tmp_path):
    """``make docs`` does the same; it needs no network, and neither do the pages."""
    pytest.importorskip("sphinx", reason="Sphinx is not installed (requirements/docs.txt)")
    make = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", str(tmp_path / "trees"),
            str(ROOT / "docs"), str(tmp_path / "site")]
    result = subprocess.run(make, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for page in PAGES:
        if page.is_relative_to(INDEX.parent):
            made = (tmp_path / "site" / page.relative_to(INDEX.parent)).with_suffix(".html")
            html = made.read_text(encoding="utf-8")
            assert not re.findall(r'<(?:script|img|link)[^>]* (?:src|href)="(?:https?:)?//', html), made
