# SPDX-License-Identifier: Apache-2.0
"""Compare two documents of figures: ratios of what both measured, and what else differs between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pose_ros.benching.document import PERCENTILES
from pose_ros.benching.machine import differences
from pose_ros.errors import ConfigError

#: Parts of documents that may differ, and then have to be told.
_TOLD = ("machine", "versions", "options", "workload")


@dataclass(frozen=True)
class Ratio:
    """One number in two documents."""

    case: str
    #: Of a row, with the percentile where it has any.
    number: str
    a: float
    b: float
    unit: str
    #: ``less``, ``more``, or neither.
    better: str

    @property
    def ratio(self) -> float | None:
        """B over A; None where A is 0."""
        return self.b / self.a if self.a else None

    @property
    def worse(self) -> float | None:
        """How many times worse B is; None where neither is a merit or one of them is 0."""
        if not self.better or not self.a or not self.b:
            return None
        return self.b / self.a if self.better == "less" else self.a / self.b


def compare(
    a: Mapping[str, Any], b: Mapping[str, Any], anyway: bool = False
) -> tuple[list[Ratio], list[tuple[str, str, Any, Any]], list[str]]:
    """Compare two documents.

    Args:
        a: Of :func:`pose_ros.benching.document.read`.
        b: Likewise.
        anyway: Also where they worked on different things.

    Returns:
        All numbers of cases that both have; (part, key, A, B) of what differs; cases that only one has.

    Raises:
        ConfigError: They are of different kinds or work, or have no case in common.
    """
    if a["kind"] != b["kind"]:
        raise ConfigError("compare", f"expected two documents of one kind, got '{a['kind']}' and '{b['kind']}'")
    other = differences(a["workload"], b["workload"])
    if other and not anyway:
        text = ", ".join(f"{key} {one!r} and {two!r}" for key, one, two in other)
        raise ConfigError("compare", f"expected the same work in both, got {text}; measure one again, or compare all "
                                     "the same with --anyway")
    rows_a, rows_b = ({row["case"]: row["numbers"] for row in side["rows"]} for side in (a, b))
    shared = [case for case in rows_a if case in rows_b]
    if not shared:
        raise ConfigError("compare", f"expected a case that both have, got {', '.join(rows_a) or 'none'} and "
                                     f"{', '.join(rows_b) or 'none'}")
    means = {**b["means"], **a["means"]}
    ratios = [ratio for case in shared for ratio in _ratios(case, rows_a[case], rows_b[case], means)]
    told = [(part, *entry) for part in _TOLD for entry in differences(a[part], b[part])]
    return ratios, told, [case for case in {**rows_a, **rows_b} if case not in shared]


def _ratios(case: str, a: Mapping[str, Any], b: Mapping[str, Any], means: Mapping[str, Any]) -> Iterator[Ratio]:
    for name in a:
        meaning = means.get(name, {})
        words = meaning.get("unit", ""), meaning.get("better", "")
        if isinstance(a[name], Mapping) and isinstance(b.get(name), Mapping):
            for key in (f"p{p}" for p in PERCENTILES):
                if _number(a[name].get(key)) and _number(b[name].get(key)):
                    yield Ratio(case, f"{name} {key}", a[name][key], b[name][key], *words)
        elif _number(a[name]) and _number(b.get(name)):
            yield Ratio(case, name, a[name], b[name], *words)


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
