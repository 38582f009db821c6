# SPDX-License-Identifier: Apache-2.0
"""What people see: tables on stdout, notes and progress on stderr.

Results go to stdout and nothing else does, so that a pipe or ``--json`` reads clean. With rich and a terminal there are
colours and moving bars; without, plain lines. NO_COLOR is honoured by rich itself.
"""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

#: Told how far a job is: done, total (0 where unknown).
Progress = Callable[[int, int], None]
#: Seconds between two lines of progress where there is no terminal.
_LINE_EVERY_S = 2.0
#: On a terminal, the last column of a table gets so many characters, or lines of its own.
_LEAST_LAST = 30


@dataclass(frozen=True)
class Table:
    """Rows under column titles; a number is set flush right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""
    #: Lines below.
    caption: str = ""

    def plain(self) -> str:
        """Return the table as aligned text."""
        cells = [list(self.columns), *([cell_text(c) for c in row] for row in self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        lines = [self.title] if self.title else []
        for number, row in enumerate(cells):
            padded = [
                c.rjust(w) if self._right(i) else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(padded).rstrip())
            if number == 0:
                lines.append("  ".join("-" * w for w in widths))
        return "\n".join([*lines, self.caption] if self.caption else lines)

    def narrow(self, width: int) -> str:
        """Return the table as text whose last column stands below the others; empty where it has room beside them.

        Args:
            width: Of the terminal; where it is too small for the others too, the last of them stand below as well.
        """
        cut = len(self.columns) - 1
        sizes = [max(len(cell_text(row[i])) for row in [self.columns, *self.rows]) for i in range(cut + 1)]
        room = width - sum(sizes[:cut]) - 3 * cut - 2
        if not cut or not self.rows or room >= min(sizes[cut], _LEAST_LAST):
            return ""
        while cut > 1 and sum(sizes[:cut]) + 2 * (cut - 1) > width:
            cut -= 1
        lines = Table(self.columns[:cut], [row[:cut] for row in self.rows]).plain().splitlines()
        texts = ("; ".join(cell_text(cell) for cell in row[cut:]) for row in self.rows)
        below = (textwrap.fill(text, width, initial_indent="    ", subsequent_indent="    ") for text in texts)
        rows = [line for pair in zip(lines[2:], below, strict=True) for line in pair]
        return "\n".join([*filter(None, [self.title]), *lines[:2], *rows, *filter(None, [self.caption])])

    def rich(self) -> Any:
        """Return the table for rich."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Group
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(box=SIMPLE_HEAD, pad_edge=False)
        last = len(self.columns) - 1  # takes the rest of the line, and more lines if it has to
        for i, column in enumerate(self.columns):
            table.add_column(column, justify="right" if self._right(i) else "left", overflow="fold", no_wrap=i < last)
        for row in self.rows:
            table.add_row(*(Text(cell_text(c)) for c in row))
        around = Text(self.title, "bold"), table, Text(self.caption, "dim")
        return Group(*(part for part in around if part is table or part))

    def _right(self, column: int) -> bool:
        present = [row[column] for row in self.rows if row[column] is not None]
        return bool(present) and all(isinstance(c, (int, float)) and not isinstance(c, bool) for c in present)


def cell_text(cell: object) -> str:
    """Return one cell as text; what is not known is a dash."""
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return f"{cell:.1f}" if isinstance(cell, float) else str(cell)


def fancy(stream: TextIO) -> bool:
    """Return whether rich may draw on a stream."""
    return stream.isatty() and importlib.util.find_spec("rich") is not None


def show(*parts: Table | str) -> None:
    """Print tables and text to stdout."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        parts = tuple(part.narrow(width) or part if isinstance(part, Table) else part for part in parts)
    if fancy(sys.stdout):
        from rich.console import Console

        console = Console()
        for part in parts:
            console.print(part.rich() if isinstance(part, Table) else part, markup=False, highlight=False)
    else:
        print("\n\n".join(part.plain() if isinstance(part, Table) else part for part in parts))


def show_json(data: object) -> None:
    """Print one JSON document to stdout; NaN becomes null, which JSON has a word for."""
    print(json.dumps(jsonable(data), indent=2, ensure_ascii=False, allow_nan=False))


def jsonable(data: Any) -> Any:
    """Return ``data`` with NaN as None and numbers of NumPy as Python's."""
    if isinstance(data, Mapping):
        return {str(k): jsonable(v) for k, v in data.items()}
    if isinstance(data, (list, tuple, set, frozenset)):
        return [jsonable(v) for v in data]
    if hasattr(data, "tolist"):
        return jsonable(data.tolist())
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    return data if data is None or isinstance(data, (bool, int, str)) else str(data)


def note(text: str) -> None:
    """Print a remark to stderr."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(label: str, *, size: bool = False) -> Iterator[Progress]:
    """Show how far a job is: a bar on a terminal, a line every two seconds elsewhere.

    Args:
        label: What is being done.
        size: Whether the numbers are bytes.
    """
    if not fancy(sys.stderr):
        yield _lines(label, 1e6 if size else 1.0, " MB" if size else "")
        return
    from rich import progress as bars
    from rich.console import Console

    amount = bars.DownloadColumn() if size else bars.MofNCompleteColumn()
    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), amount, bars.TimeRemainingColumn())
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


def _lines(label: str, unit: float, word: str) -> Progress:
    shown = time.monotonic()

    def update(done: int, total: int) -> None:
        nonlocal shown
        if time.monotonic() - shown < _LINE_EVERY_S:
            return
        shown = time.monotonic()
        of = f" of {total / unit:.0f}" if total else ""
        note(f"{label}: {done / unit:.0f}{of}{word}")

    return update
