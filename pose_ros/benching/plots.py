# SPDX-License-Identifier: Apache-2.0
"""Plots of figures: percentiles of every case, of one document or of two beside one another."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.benching.document import PERCENTILES
from pose_ros.errors import ConfigError

_INCHES_WIDE, _INCHES_ROW, _INCHES_AROUND = 9.0, 0.32, 1.1
#: Longer names of cases go on in the next line.
_LETTERS = 44


def plot(documents: Sequence[Mapping[str, Any]], names: Sequence[str], path: Path) -> None:
    """Draw the spreads of all cases into an image file: a bar to the median, lines to the other percentiles.

    Args:
        documents: One, or several that share cases.
        names: What to call them.
        path: File to write; its ending names the format.

    Raises:
        ConfigError: matplotlib is not installed or does not know the format, or there is nothing to draw.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("--plot", "needs the package matplotlib: pip install matplotlib") from error
    means = {name: meaning for document in reversed(documents) for name, meaning in document["means"].items()}
    panels = {name: cases for name in means if (cases := _cases(documents, name))}
    if not panels:
        raise ConfigError("--plot", "expected at least one number with percentiles, got none")
    rows = [len(cases) * len(documents) + 2 for cases in panels.values()]
    figure = Figure(figsize=(_INCHES_WIDE, sum(rows) * _INCHES_ROW + _INCHES_AROUND * len(rows)), layout="constrained")
    if path.suffix.lstrip(".").lower() not in FigureCanvasAgg(figure).get_supported_filetypes():
        raise ConfigError("--plot", f"expected the ending of a picture, such as .png or .svg, got '{path.name}'")
    for axes, (name, cases) in zip(figure.subplots(len(panels), squeeze=False, height_ratios=rows)[:, 0],
                                   panels.items(), strict=True):  # fmt: skip
        for side, document in enumerate(documents):
            _bars(axes, document, name, cases, side, len(documents), names[side])
        axes.set_yticks(np.arange(len(cases)), ["\n".join(textwrap.wrap(case, _LETTERS)) for case in cases])
        axes.set_ylim(len(cases) - 0.4, -0.6)
        axes.set(xlabel=f"{name} [{means[name]['unit']}]" if means[name]["unit"] else name, xlim=(0, None))
        axes.grid(axis="x", alpha=0.3)
    if len(documents) > 1:
        figure.axes[0].legend(frameon=False)
    figure.suptitle(f"{documents[0]['kind']}: bar p50, line to p95, dot p99", fontsize="medium")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _cases(documents: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    """Return the cases that have percentiles of a number in any document."""
    rows = [row for document in documents for row in document["rows"]]
    found = (row["case"] for row in rows if isinstance(row["numbers"].get(name), Mapping)
             and "p50" in row["numbers"][name])  # fmt: skip
    return list(dict.fromkeys(found))


def _bars(axes: Any, document: Mapping[str, Any], name: str, cases: list[str], side: int, of: int, label: str) -> None:
    spreads = {row["case"]: row["numbers"].get(name, {}) for row in document["rows"]}
    low, middle, high = (np.array([spreads.get(case, {}).get(f"p{p}", np.nan) for case in cases], float)
                         for p in PERCENTILES)  # fmt: skip
    places = np.arange(len(cases)) + (side - (of - 1) / 2) * 0.8 / of
    axes.barh(places, low, 0.7 / of, color=f"C{side}", alpha=0.6, label=label)
    axes.hlines(places, low, middle, color=f"C{side}", lw=2)
    axes.plot(high, places, ".", color=f"C{side}")
