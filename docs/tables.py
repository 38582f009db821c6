# SPDX-License-Identifier: Apache-2.0
"""Fill the tables of these pages from the code: options, topics, models, skeletons, extras, examples.

A page holds a pair of comments, ``<!-- table: KIND ARGUMENT -->`` and ``<!-- end -->``; what stands between them is
written by this script. ``python docs/tables.py`` writes, ``python docs/tables.py --check`` only compares.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import topics as graph

from pose_ros import datasets as labelled
from pose_ros.core.convert import conversion, converts
from pose_ros.core.options import specs
from pose_ros.core.skeleton import Skeleton
from pose_ros.models.accuracy import told
from pose_ros.models.store import Store
from pose_ros.skeletons import catalogue

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_BLOCK = re.compile(r"(<!-- table: (\w+) ?(\S*) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_ROW = re.compile(r"^\| (\S+) \| (.*) \| (.*) \|$", re.MULTILINE)
#: What users of the package have no need of.
_FOR_DEVELOPERS = ("dev", "docs")
#: Beginning of a message of this package -> the page that explains it.
_TOLD_IN = {
    "pose_ros/Action": "actions.md#the-message", "pose_ros/Handover": "manipulation.md#handovers",
    "pose_ros/Separation": "manipulation.md#separations", "pose_ros/": "messages.md",
}
#: Ending of a file -> language of its block.
_LANGUAGES = {"msg": "text", "py": "python", "srv": "text", "toml": "toml", "yaml": "yaml"}
#: Topics of which a page does not say what they are for.
_unsaid: list[str] = []


def _cell(text: str) -> str:
    """Return text that neither ends its cell nor reads as HTML."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]], *, raw: bool = False) -> str:
    """Return a table; cells of ``raw`` ones are Markdown already."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(text if raw else _cell(text) for text in line) + " |\n" for line in lines)


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
        accuracy = "; ".join(told(card.accuracy))
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


def _project() -> dict[str, Any]:
    text = (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    project: dict[str, Any] = tomllib.loads(text)["project"]
    return project


def _commented() -> dict[str, str]:
    """Return extra -> the comment above it in pyproject.toml; those below one comment share it."""
    text = (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    comment, found = "", {}
    for line in text.partition("[project.optional-dependencies]\n")[2].partition("\n[")[0].splitlines():
        if line.startswith("#"):
            comment = line.removeprefix("# ").removeprefix("What ")
        elif "=" in line:
            found[line.partition(" =")[0]] = comment
    return found


def topics(node: str, before: str) -> str:
    """Return what a node hears, says and serves.

    What each is for stands in the page alone: the last column is taken from ``before``, what is there now.
    """
    ends, result = graph.of_all(_in_the_pages())[node], []
    for head, rows in (("subscribes", ends.subscribes), ("publishes", ends.publishes), ("service", ends.serves)):
        table = next((part for part in before.split("\n\n") if part.lstrip().startswith(f"| {head} ")), "")
        meaning = {name: what for name, _, what in _ROW.findall(table)}
        if rows:
            lines = [(f"`{name}`", *_told(row), meaning.get(f"`{name}`", "")) for name, row in _in_order(rows)]
            _unsaid.extend(f"{node} {head} {name}" for name, *_, what in lines if not what)
            columns = (head, "type") if head == "service" else (head, "type", "quality of service")
            result.append(_table((*columns, "what"), lines, raw=True))
    return "\n".join(result)


@cache
def _in_the_pages() -> frozenset[tuple[str, str]]:
    """Return node and name of all topics and services that the pages have."""
    pages = (page.read_text(encoding="utf-8") for page in sorted(Path(__file__).resolve().parent.glob("*.md")))
    return frozenset((node, row[0].strip("`")) for text in pages for _, kind, node, before, _ in _BLOCK.findall(text)
                     if kind == "topics" for row in _ROW.findall(before) if row[0].startswith("`"))


def _in_order(rows: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return a node's own names first, and last those that are the same everywhere."""
    return sorted(rows.items(), key=lambda row: ({"~": 0, "/": 2}.get(row[0][0], 1), row[0]))


def _told(row: str | tuple[str, str]) -> tuple[str, ...]:
    kind, *quality = (row,) if isinstance(row, str) else row
    page = next((page for word, page in _TOLD_IN.items() if word in kind), "")
    named = f"[`{kind}`]({page})" if page else f"`{kind}`"
    return named, *quality


def datasets(_: str) -> str:
    """Return all data sets that can be read, one per row."""
    rows = []
    for card in map(labelled.get, labelled.names()):
        skeleton = f"[`{card.skeleton}`](skeletons.md#{card.skeleton})" if card.skeleton else "its own"
        readers = ", ".join(dict.fromkeys(layout.reader for layout in card.layouts))
        rows.append((f"`{card.name}`", f"[{card.title}]({card.url})", skeleton, ", ".join(card.metrics), card.licence,
                     "excluded" if card.research_only else "", readers, card.seen))
    return _table(("name", "data set", "skeleton", "judged by", "licence", "commercial use", "readers", "tested with"),
                  rows)


def extras(_: str) -> str:
    """Return the optional parts of the package, one per row."""
    comments = _commented()
    rows = [(f"`{name}`", comments[name], ", ".join(f"`{one}`" for one in needs))
            for name, needs in _project()["optional-dependencies"].items() if name not in _FOR_DEVELOPERS]
    return _table(("extra", "what it is", "what it installs"), rows)


def file(path: str) -> str:
    """Return a file of the repository, less its licence, as a block."""
    text = (Path(__file__).resolve().parent.parent / path).read_text(encoding="utf-8")
    language = _LANGUAGES[path.rpartition(".")[2]]
    return f"```{language}\n{text.removeprefix('# SPDX-License-Identifier: Apache-2.0').lstrip()}```\n"


def versions(_: str) -> str:
    """Return what the package itself needs, one per row."""
    project = _project()
    rows = [("Python", project["requires-python"])]
    rows += [(name, wanted) for name, wanted in (
        re.fullmatch(r"([\w-]+)([^;]*).*", one).groups() for one in project["dependencies"] if ";" not in one)]
    return _table(("package", "version"), ((name, f"`{wanted}`") for name, wanted in rows))


def fill(text: str) -> str:
    """Return a page with its tables written anew."""
    kinds = {"options": options, "models": models, "skeletons": skeletons, "made": made, "gallery": gallery,
             "conversions": conversions, "datasets": datasets, "extras": extras, "versions": versions,
             "file": file}  # fmt: skip


    def written(m: re.Match[str]) -> str:
        return topics(m[3], m[4]) if m[2] == "topics" else kinds[m[2]](m[3])

    return _BLOCK.sub(lambda m: f"{m[1]}\n{written(m)}\n{m[5]}", text)


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
    if _unsaid:
        print("say in the last column what it is for: " + ", ".join(_unsaid))
    return int(bool(_unsaid or (stale and "--check" in sys.argv)))


if __name__ == "__main__":
    sys.exit(main())
