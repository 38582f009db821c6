# SPDX-License-Identifier: Apache-2.0
"""Documents of figures: what was measured, on which machine, by which command, and what is inside each number.

::

    {"schema": "pose_ros.bench/1", "kind": "stages", "command": "pose-ros bench stages ...", "began": "2026-...",
     "machine": {...}, "versions": {...}, "options": {...}, "workload": {...},
     "means": {"wall_ms": {"is": "what is inside, in words", "unit": "ms", "better": "less"}, ...},
     "rows": [{"case": "detect", "numbers": {"wall_ms": {"count": 300, "mean": ..., "p50": ..., ...}, "images": 300}}],
     "remarks": ["busy machine: ..."]}

``workload`` is what two documents have to share to be compared; ``options`` are what one may want to compare.
"""

from __future__ import annotations

import datetime
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.core import json_text
from pose_ros.errors import ConfigError

SCHEMA = "pose_ros.bench/1"
PERCENTILES = (50, 95, 99)
_DECIMALS = 4
_PARTS: Mapping[str, type] = {
    "kind": str, "command": str, "began": str, "machine": dict, "versions": dict, "options": dict, "workload": dict,
    "means": dict, "rows": list, "remarks": list,
}  # fmt: skip


@dataclass(frozen=True)
class Meaning:
    """What a number is."""

    #: What is inside, and what is not.
    inside: str
    unit: str = "ms"
    #: ``less``, ``more``, or neither where it is no merit.
    better: str = "less"


def spread(values: Sequence[float] | np.ndarray) -> dict[str, float | int]:
    """Return raw samples reduced to count, mean, least, greatest and percentiles; the count alone of none.

    Percentiles are interpolated linearly between the samples beside them (method 7 of Hyndman and Fan, 1996).
    """
    found = np.asarray(values, float)
    if not len(found):
        return {"count": 0}
    numbers = {"mean": found.mean(), "min": found.min(), "max": found.max()}
    numbers |= {f"p{p}": np.percentile(found, p) for p in PERCENTILES}
    return {"count": len(found), **{name: round(float(value), _DECIMALS) for name, value in numbers.items()}}


def row(case: str, **numbers: Any) -> dict[str, Any]:
    """Return the figures of one case; what is not known is left out."""
    kept = {name: value for name, value in numbers.items() if value is not None}
    return {"case": case, "numbers": {n: round(v, _DECIMALS) if isinstance(v, float) else v for n, v in kept.items()}}


def document(
    kind: str, argv: Sequence[str], means: Mapping[str, Meaning], rows: Sequence[Mapping[str, Any]], **parts: Any
) -> dict[str, Any]:
    """Return a document.

    Args:
        kind: What was measured: only documents of one kind are compared.
        argv: Of the program, without its name.
        means: What the numbers are.
        rows: Of :func:`row`.
        parts: ``machine``, ``versions``, ``options``, ``workload`` and ``remarks``.
    """
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    used = {name for entry in rows for name in entry["numbers"]}
    return {
        "schema": SCHEMA, "kind": kind, "command": shlex.join(["pose-ros", *argv]), "began": now, **parts,
        "means": {n: {"is": m.inside, "unit": m.unit, "better": m.better} for n, m in means.items() if n in used},
        "rows": list(rows),
    }  # fmt: skip


def write(path: Path, data: Mapping[str, Any]) -> None:
    """Write a document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Return what a file of figures says.

    Raises:
        ConfigError: It cannot be read, or is no such document.
    """
    try:
        data: dict[str, Any] = json_text.read(path)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(str(path), f"expected JSON that `pose-ros bench --output` wrote: {error}") from error
    if data.get("schema") != SCHEMA:
        raise ConfigError(str(path), f"expected the schema '{SCHEMA}', got {data.get('schema')!r}; write it again with "
                                     "`pose-ros bench ... --output FILE`")
    for name, kind in _PARTS.items():
        if not isinstance(data.get(name), kind):
            raise ConfigError(str(path), f"expected '{name}' to be a {kind.__name__}, got {data.get(name)!r:.60}")
    for number, entry in enumerate(data["rows"]):
        if not (isinstance(entry, dict) and isinstance(entry.get("case"), str)
                and isinstance(entry.get("numbers"), dict)):  # fmt: skip
            raise ConfigError(str(path), f"expected a case and its numbers in row {number}, got {entry!r:.60}")
    return data
