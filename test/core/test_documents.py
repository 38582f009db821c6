# SPDX-License-Identifier: Apache-2.0
"""YAML of unknown origin is data, and neither grows nor nests without end."""

from __future__ import annotations

import pytest
import yaml

from pose_ros.core import documents


def laughs(join: str) -> str:
    """Nine times the part before, nine times over: 9 ** 9 values in ten lines."""
    lines = ["a0: &a0 {k: 1}"]
    return "\n".join(lines + [f"a{i}: &a{i} {join % ', '.join([f'*a{i - 1}'] * 9)}" for i in range(1, 10)])


def test_plain_data_with_parts_named_and_merged() -> None:
    text = "base: &base {sizes: &sizes [1, 2], name: a}\nown: {<<: *base, name: b, again: *sizes}\n"
    assert documents.load(text)["own"] == {"sizes": [1, 2], "name": "b", "again": [1, 2]}
    assert documents.load("") is None


@pytest.mark.parametrize(("text", "said"), [
    (laughs("[%s]"), "1000000 values"), (laughs("{<<: [%s]}"), "1000000 values"),
    ("[" * 200_000, "nested up to 64"), ("[" * 200_000 + "]" * 200_000, "nested up to 64"),
    ("- " * 100_000 + "a", "nested up to 64"), ("{a: " * 1000, "nested up to 64"),
    ("&a [1, *a]", r"whole, got the alias '\*a'"), ("[*nobody]", r"alias '\*nobody'"),
], ids=["aliases", "merges", "open", "deep", "block", "mappings", "itself", "unknown"])  # fmt: skip
def test_what_grows_or_nests_without_end_is_refused(text: str, said: str) -> None:
    with pytest.raises(yaml.YAMLError, match=said):
        documents.load(text)


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system ''"])
def test_nothing_is_made_or_run(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match="could not determine a constructor"):
        documents.load(text)
