# SPDX-License-Identifier: Apache-2.0
"""What the page on troubleshooting quotes is what the code says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
#: Sections whose tables begin with what is said.
SECTIONS = PAGE.split("## Diagnostics")[0]
QUOTES = re.findall(r"^\| `([^`]+)` \|", SECTIONS, re.MULTILINE)


def _texts() -> list[str]:
    """Return all texts of the package, with ``…`` for what is put into them."""
    found = []
    for path in (ROOT / "pose_ros").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(v.value if isinstance(v, ast.Constant) else "…" for v in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


TEXTS = _texts()


@pytest.mark.parametrize("quote", QUOTES)
def test_the_code_says_so(quote: str) -> None:
    """An ellipsis at the end stands for any rest."""
    pattern = re.escape(quote.removesuffix("…").rstrip()).replace("…", "[^`]*?")
    longest = max(quote.split("…"), key=len).strip()
    assert any(re.search(pattern, text) for text in TEXTS if longest in text), quote


def test_there_are_quotes() -> None:
    assert len(QUOTES) > 25


def test_one_that_nobody_says_is_found() -> None:
    with pytest.raises(AssertionError):
        test_the_code_says_so("nobody publishes … on Sundays")
