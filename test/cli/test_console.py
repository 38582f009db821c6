# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
import re
import sys

import numpy as np

from pose_ros.cli import console


class Terminal(io.StringIO):
    def isatty(self):
        return True


TABLE = console.Table(["name", "count", "part"], [["ab", 1, 0.25], ["c", 20, float("nan")], ["[red]", None, 3.0]])


def test_plain_table_aligns_numbers_right_and_words_left():
    assert TABLE.plain().splitlines() == [
        "name   count  part",
        "-----  -----  ----",
        "ab         1   0.2",
        "c         20     -",
        "[red]      -   3.0",
    ]


def test_rich_table_on_a_terminal_keeps_brackets(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    console.show(TABLE, "and [bold]")
    assert "[red]" in terminal.getvalue()
    assert "and [bold]" in terminal.getvalue()


def test_on_a_narrow_terminal_the_last_column_stands_below(monkeypatch):
    table = console.Table(["name", "summary"], [["a" * 50, "word " * 14], ["b", "short"]], "Title", "Caption")
    assert table.narrow(80).splitlines() == [
        "Title", "name", "-" * 50,
        "a" * 50, "    " + " ".join(["word"] * 14),
        "b", "    short",
        "Caption",
    ]  # fmt: skip
    assert max(map(len, table.narrow(60).splitlines())) <= 60
    rows = [["a" * 50, 1, "MIT " * 6, "word"], ["b", 20, "-", "c"]]
    wide = console.Table(["name", "size", "licence", "summary"], rows)
    assert wide.narrow(70).splitlines()[2:] == [
        "a" * 50 + "     1", "    " + "MIT " * 6 + "; word", "b" + " " * 53 + "20", "    -; c",
    ]  # fmt: skip
    assert table.narrow(120) == ""
    assert console.Table(["name"], [["a" * 90]]).narrow(80) == ""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    console.show(table)
    assert terminal.getvalue() == table.narrow(80) + "\n"


def test_no_color_is_honoured(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stderr", coloured := Terminal())
    with console.progress("net") as update:
        update(1, 2)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", plain := Terminal())
    with console.progress("net") as update:
        update(1, 2)
    colour = re.compile(r"\x1b\[(\d+;)*(3[0-8]|9[0-7])[;m]")
    assert colour.search(coloured.getvalue())
    assert not colour.search(plain.getvalue())


def test_json_has_null_for_nan_and_numbers_of_numpy(capsys):
    console.show_json({"a": np.float32(1.5), "b": float("nan"), "c": np.array([[1, np.inf]]), 4: ("x", True, None)})
    assert json.loads(capsys.readouterr().out) == {"a": 1.5, "b": None, "c": [[1, None]], "4": ["x", True, None]}


def test_progress_without_a_terminal_is_a_line_every_two_seconds(capsys, monkeypatch):
    now = iter([0.0, 1.0, 2.5, 2.5, 3.0, 5.0, 5.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(now))
    with console.progress("clip") as update:
        for done in (1, 2, 3, 4):
            update(done, 10)
    assert capsys.readouterr().err.splitlines() == ["clip: 2 of 10", "clip: 4 of 10"]


def test_progress_on_a_terminal_is_a_bar_that_goes_away(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with console.progress("net", size=True) as update:
        update(5_000_000, 10_000_000)
    assert "net" in terminal.getvalue()
