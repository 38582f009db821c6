# SPDX-License-Identifier: Apache-2.0
"""``pose-ros list``: what there is to choose from."""

from __future__ import annotations

import argparse
import re
from typing import Any

from pose_ros.cli import console

_EPILOG = """\
examples:
  pose-ros list                    everything
  pose-ros list skeletons          which keypoints each skeleton has
  pose-ros list models --json      for scripts

"""
#: Names in docstrings, as Sphinx reads them; people read the last word.
_MARKUP = re.compile(r":\w+:`~?(?:\w+\.)*(\w+)`")


def add(commands: Any, common: argparse.ArgumentParser, exit_codes: str) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "list",
        parents=[common],
        help="plugins, models, skeletons and architectures that exist here",
        description="Show the plugins, models, skeletons and architectures (of checkpoints) that exist here, those of "
        "other packages included.",
        epilog=_EPILOG + exit_codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="?", choices=tuple(_LISTS), help="only these; everything when left out")
    parser.set_defaults(handler=handle)


def handle(args: argparse.Namespace) -> int:
    """Run the command."""
    wanted = [args.what] if args.what else list(_LISTS)
    found = {what: _LISTS[what]() for what in wanted}
    if args.json:
        console.show_json(found)
    else:
        console.show(*(_table(what, rows) for what, rows in found.items()))
        if args.what == "skeletons":
            console.show(*(f"{row['name']}: {', '.join(row['keypoints'])}" for row in found["skeletons"]))
    return 0


def _table(what: str, rows: list[dict[str, Any]]) -> console.Table:
    if what == "models":
        from pose_ros.cli.models import table

        return table(rows, title=what)
    columns = [c for c in rows[0] if not isinstance(rows[0][c], list)] if rows else ["name"]
    return console.Table(columns, [[row[c] for c in columns] for row in rows], title=what)


def _plugins() -> list[dict[str, Any]]:
    from pose_ros import registry
    from pose_ros.errors import PluginError

    rows = []
    for kind in registry.BUILTIN:
        for name, target in sorted(registry.targets(kind).items()):
            try:
                plugin = registry.load_rule(name) if kind == "rules" else registry.load(kind, name)
                first = (plugin.__doc__ or "").strip().splitlines()[0]
                summary = _MARKUP.sub(r"\1", first).replace("``", "")
            except PluginError as error:
                summary = f"not usable: {error}"
            origin = "built in" if name in registry.BUILTIN[kind] else target.partition(":")[0]
            rows.append({"kind": kind, "name": name, "origin": origin, "summary": summary})
    return rows


def _models() -> list[dict[str, Any]]:
    from pose_ros.cli.models import rows
    from pose_ros.models.store import Store

    return rows(Store())


def _skeletons() -> list[dict[str, Any]]:
    from pose_ros.skeletons import catalogue

    return [
        {
            "name": skeleton.name,
            "points": len(skeleton),
            "edges": len(skeleton.edges),
            "of a": skeleton.subject,
            "source": skeleton.source,
            "converts to": catalogue.targets(skeleton),
            "keypoints": list(skeleton.keypoints),
        }
        for skeleton in map(catalogue.get, catalogue.names())
    ]


def _architectures() -> list[dict[str, Any]]:
    from pose_ros.networks import catalogue

    return [{"name": name, "where": where} for name, where in sorted(catalogue.known().items())]


_LISTS = {"plugins": _plugins, "models": _models, "skeletons": _skeletons, "architectures": _architectures}
