# SPDX-License-Identifier: Apache-2.0
"""How a run of ``pose-ros up`` looks while it goes: a table that moves on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pose_ros.cli import console

if TYPE_CHECKING:
    from pose_ros.cli.monitor import Watched

#: Time between two tables and between two plain lines.
_DRAW_EVERY_S, _LINE_EVERY_S = 0.25, 2.0
#: Newest arrays over which the live latency is taken.
_LATENCY_OVER = 100
#: Words of ROS log lines that are worth interrupting for.
_LOUD = ("[WARN]", "[ERROR]", "[FATAL]")
#: Key of a row -> title of its column.
_COLUMNS = {
    "node": "node", "state": "state", "restarts": "restarts", "frames": "frames", "dropped": "dropped",
    "rate_hz": "rate Hz", "latency_p50_ms": "p50 ms", "latency_p95_ms": "p95 ms", "subjects": "subjects",
    "hands": "hands", "faces": "faces",
}


def row(watched: Watched, total: bool) -> dict[str, Any]:
    """Return what is known about one node, at this moment or over the whole run."""
    poses = watched.spec.plugin in ("pose_node", "multiview_node")
    p50, p95 = watched.latency_ms(0 if total else _LATENCY_OVER) if poses else (None, None)
    subjects = watched.most_subjects if total else watched.subjects
    return {
        "node": watched.spec.path,
        "plugin": watched.spec.plugin,
        "state": None if total else watched.state,
        "restarts": watched.restarts or None,
        "model": watched.values.get("model"),
        "device": watched.values.get("device"),
        "frames": watched.received if watched.received else None,
        "dropped": watched.count("dropped"),
        "rate_hz": watched.mean_rate() if total else watched.rate(),
        "latency_p50_ms": p50,
        "latency_p95_ms": p95,
        "subjects": subjects if poses and watched.received else None,
        **{name: watched.most_parts.get(name) if total else watched.count(name) for name in ("hands", "faces")},
    }


def table(rows: Sequence[Mapping[str, Any]]) -> console.Table:
    """Return rows as a table of what at least one node says."""
    used = [c for c in _COLUMNS if c == "node" or any(r[c] is not None for r in rows)]
    running = [f"{r['node']}: {r['model']} by {r['device']}" for r in rows if r["model"]]
    return console.Table([_COLUMNS[c] for c in used], [[r[c] for c in used] for r in rows], caption="\n".join(running))


class Display:
    """The moving table or the plain lines; loud lines of the nodes' logs in both."""

    def __init__(self, live: bool, as_json: bool = False) -> None:
        """Choose.

        Args:
            live: Whether the table is wanted where there is a terminal.
            as_json: Whether every line is to be a JSON object; the nodes write such.
        """
        self._live: Any = None
        self._json = as_json
        if live and not as_json and console.fancy(sys.stderr):
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
        self._drawn = 0.0

    def __enter__(self) -> Display:
        """Begin to draw."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the table away."""
        if self._live is not None:
            self._live.stop()

    def line(self, name: str, text: str) -> None:
        """Show a line of a node's log if it is loud, or JSON is asked for; may be called from any thread."""
        if self._json:
            # What comes before a node has set up its log is no JSON.
            plain = {"severity": "UNKNOWN", "node": name, "event": "output", "message": text}
            console.note(text if text.startswith("{") else json.dumps(plain))
            return
        if not any(word in text for word in _LOUD):
            return
        if self._live is not None:
            self._live.console.print(f"{name}: {text}", markup=False, highlight=False)
        else:
            console.note(f"{name}: {text}")

    def draw(self, nodes: Iterable[Watched]) -> None:
        """Show how the nodes do, if it is time."""
        now = time.monotonic()
        if now - self._drawn < (_LINE_EVERY_S if self._live is None else _DRAW_EVERY_S):
            return
        self._drawn = now
        if self._json:
            for watched in nodes:
                said = {"stamp": time.time(), "severity": "INFO", "node": watched.spec.path, "event": "status"}
                values = console.jsonable(row(watched, total=False))
                console.note(json.dumps({**said, **{k: v for k, v in values.items() if k != "node" and v is not None}}))
            return
        made = table([row(watched, total=False) for watched in nodes])
        if self._live is not None:
            self._live.update(made.rich(), refresh=True)
            return
        for cells in made.rows:
            known = zip(made.columns, cells, strict=True)
            words = [f"{c} {console.cell_text(v)}" for c, v in known if v is not None and c != "node"]
            if words:
                console.note(f"{cells[0]}: {', '.join(words)}")
