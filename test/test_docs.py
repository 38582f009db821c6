# SPDX-License-Identifier: Apache-2.0
"""What the pages say about options, models and skeletons is what the code says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_tables_are_those_of_the_code():
    """Run ``python docs/tables.py`` after an option, a card or a skeleton has changed."""
    pytest.importorskip("rclpy", reason="the nodes' options are read from the nodes, which need ROS 2")
    check = [sys.executable, str(ROOT / "docs" / "tables.py"), "--check"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(check, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    """Every relative link and picture of a page exists."""
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


def test_every_page_is_reached_from_the_readme():
    """A page that nobody links to is a page that nobody reads."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [page.name for page in PAGES if page.parent.name == "docs" and f"docs/{page.name}" not in readme]
