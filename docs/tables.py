# SPDX-License-Identifier: Apache-2.0
"""Fill the tables of these pages from the code: options, models, skeletons.

A page holds a pair of comments, ``<!-- table: KIND ARGUMENT -->`` and ``<!-- end -->``; what stands between them is
written by this script. ``python docs/tables.py`` writes, ``python docs/tables.py --check`` only compares.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from pose_ros.core.convert import conversion, converts
from pose_ros.core.options import specs
from pose_ros.core.skeleton import Skeleton
from pose_ros.models.store import Store
from pose_ros.skeletons import catalogue

_BLOCK = re.compile(r"(<!-- table: (\w+) ?(\S*) -->\n).*?(<!-- end -->)", re.DOTALL)


def _cell(text: str) -> str:
    """Return text that neither ends its cell nor reads as HTML."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(_cell(text) for text in line) + " |\n" for line in lines)


def options(where: str) -> str:
    """Return the options of ``module:Class``, or ``prefix=module:Class``, one per row."""
    prefix, _, target = where.rpartition("=")
    module, _, name = target.partition(":")
    rows = []
    for spec in specs(getattr(importlib.import_module(module), name)):
        words = f"[{', '.join(spec.default)}]" if spec.type is tuple else str(spec.default).lower()
        default = f'`"{spec.default}"`' if spec.type is str else f"`{words}`"
        limits = " ".join(filter(None, (spec.range_text(), spec.unit)))
        label = f"`{prefix + '.' if prefix else ''}{spec.name}`"
        rows.append((label, spec.type_name, default, limits, "yes" if spec.live else "", spec.help))
    return _table(("parameter", "type", "default", "range", "live", "meaning"), rows)


def models(_: str) -> str:
    """Return all shipped model cards, one per row."""
    rows = []
    for name in sorted(Store().names()):
        card = Store().card(name)
        accuracy = "; ".join(f"{metric} {value:g}" for metric, value in card.accuracy.items())
        licence = card.licence.weights + (" (not for commercial use)" if card.licence.non_commercial else "")
        rows.append((f"`{name}`", card.kind, f"`{card.plugin}`", card.skeleton, "x".join(map(str, card.input_wh)),
                     accuracy, licence))
    head = ("model", "kind", "plugin", "skeleton", "input", "published accuracy", "licence of the weights")
    return _table(head, rows)


def skeletons(_: str) -> str:
    """Return all shipped skeletons, one per row."""
    found = [catalogue.get(name) for name in catalogue.names()]
    rows = [
        (f"[`{s.name}`](#{s.name})", str(len(s)), s.subject, "yes" if s.sigmas else "",
         ", ".join(f"{block.replace('_', ' ')} ({part})" for block, (part, _) in s.blocks.items()), s.source)
        for s in found
    ]  # fmt: skip
    return _table(("skeleton", "keypoints", "of a", "sigmas", "parts", "source"), rows)


def made(_: str) -> str:
    """Return what skeletons make of other joints, one rule per row."""
    rules: dict[str, list[str]] = {}
    for skeleton in map(catalogue.get, catalogue.names()):
        for joint, ways in skeleton.made.items():
            rule = f"`{joint}` | " + ", else ".join("middle of " * (len(way) > 1) + " and ".join(way) for way in ways)
            rules.setdefault(rule, []).append(skeleton.name)
    rows = [(*rule.split(" | "), ", ".join(names)) for rule, names in sorted(rules.items())]
    return _table(("joint", "is made as", "by"), rows)


def gallery(_: str) -> str:
    """Return the pictures of all shipped skeletons."""
    return "\n".join(f"### {n}\n\n![{n}](skeletons/{n}.svg)\n" for n in catalogue.names())


def conversions(names: str) -> str:
    """Return, for each pair of some skeletons, how many keypoints are known and how many of them are made."""
    found = [catalogue.get(name) for name in names.split(",")]
    rows = [(f"**{a.name}**", *("" if a is b else _known(a, b) for b in found)) for a in found]
    return _table(("from \\ to", *(s.name for s in found)), rows)


def _known(source: Skeleton, target: Skeleton) -> str:
    if not converts(source, target):
        return "-"
    way = conversion(source, target)
    same, others = int((~way.absent).sum()), len(way.made)
    return f"{same}" + f" + {others}" * bool(others) + f" of {len(target)}"


def fill(text: str) -> str:
    """Return a page with its tables written anew."""
    kinds = {"options": options, "models": models, "skeletons": skeletons, "made": made, "gallery": gallery,
             "conversions": conversions}  # fmt: skip
    return _BLOCK.sub(lambda m: f"{m[1]}\n{kinds[m[2]](m[3])}\n{m[4]}", text)


def main() -> int:
    """Write or compare all pages; 1 when a page differs."""
    folder = Path(__file__).resolve().parent
    stale = []
    for page in [folder.parent / "README.md", *sorted(folder.glob("*.md"))]:
        text = page.read_text(encoding="utf-8") if page.exists() else ""
        if fill(text) != text:
            stale.append(page.name)
            if "--check" not in sys.argv:
                page.write_text(fill(text), encoding="utf-8")
    if stale:
        print(("out of date: " if "--check" in sys.argv else "written: ") + ", ".join(stale))
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
