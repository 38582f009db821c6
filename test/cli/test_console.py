# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest

from pose_ros.cli import console


class Terminal(io.StringIO):
    def isatty(self):
        return True


TABLE = console.Table(["name", "count", "part"], [["ab", 1, 0.25], ["c", 20, float("nan")], ["[x]", None, 3.0]])


def test_plain_table_aligns_numbers_right_and_words_left():
    assert TABLE.plain().splitlines() == [
        "name  count  part",
        "----  -----  ----",
        "ab        1   0.2",
        "c        20     -",
        "[x]       -   3.0",
    ]


def test_rich_table_on_a_terminal_keeps_brackets(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    console.show(TABLE, "and [text]")
    assert "[x]" in terminal.getvalue()
    assert "and [text]" in terminal.getvalue()


@pytest.mark.parametrize("wanted", [True, False])
def test_no_color_is_honoured(monkeypatch, wanted):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "" if wanted else "1")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    console.show(console.Table(["a"], [[1]], title="t"))
    colours = [code for code in ("\x1b[3", "\x1b[9") if code + "1m" in terminal.getvalue()]
    assert not colours


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
