# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from pose_ros.cli import supervise
from pose_ros.cli.supervise import Child, describe, environment, stop


@pytest.fixture
def start(tmp_path):
    """Start a child that runs Python code; its lines land in ``start.lines``."""
    children, lines = [], []

    def run(code: str, ready: str = "") -> Child:
        command = [sys.executable, "-u", "-c", code]
        child = Child("c", command, tmp_path / "c.log", lambda _, text: lines.append(text), os.environ)
        children.append(child)
        until = time.monotonic() + 10
        while ready and ready not in lines and time.monotonic() < until:
            time.sleep(0.01)
        return child

    run.lines = lines
    yield run
    for child in children:
        child.send(signal.SIGKILL)
        child.join()


POLITE = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: (print("bye"), sys.exit(0)))
print("up")
time.sleep(60)
"""
STUBBORN = """
import signal, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
print("up")
time.sleep(60)
"""


def test_output_goes_to_the_log_the_tail_and_the_listener(start, tmp_path):
    child = start("for i in range(30): print('line', i)\nraise SystemExit(3)")
    child.join()
    assert child.code == 3
    assert len((tmp_path / "c.log").read_text().splitlines()) == 30
    assert list(child.tail) == [f"line {i}" for i in range(15, 30)]
    assert len(start.lines) == 30


def test_a_polite_child_ends_by_sigint_with_its_last_words(start):
    child = start(POLITE, ready="up")
    assert stop([child]) == []
    assert (child.code, start.lines[-1]) == (0, "bye")


def test_a_stubborn_child_is_killed_and_named(start, monkeypatch):
    endings = ((signal.SIGINT, 0.1), (signal.SIGTERM, 0.1), (signal.SIGKILL, 5.0))
    monkeypatch.setattr(supervise, "_ENDINGS", endings)
    child = start(STUBBORN, ready="up")
    assert stop([child]) == ["c"]
    assert child.code == -signal.SIGKILL
    assert describe(child.code) == "ended by SIGKILL"


def test_hurry_skips_the_patience(start):
    child = start(STUBBORN, ready="up")
    began = time.monotonic()
    assert stop([child], hurry=lambda: 2) == ["c"]
    assert time.monotonic() - began < supervise._ENDINGS[0][1]


def test_what_a_child_has_started_gets_the_signal_too(start):
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-u', '-c', {POLITE!r}])"
    child = start(code, ready="up")
    stop([child])
    assert "bye" in start.lines


def test_a_child_does_not_get_the_terminals_signals(start):
    child = start("import os; print(os.getpgid(0) == os.getpid())")
    child.join()
    assert start.lines == ["True"]


def test_signals_to_an_ended_child_reach_nobody(start, monkeypatch):
    child = start("pass")
    child.join()
    monkeypatch.setattr(os, "killpg", lambda *_: pytest.fail("a process that is not ours was signalled"))
    child.send(signal.SIGTERM)
    assert stop([child]) == []


def test_bytes_that_are_no_text_do_not_stop_the_log(start):
    child = start("import sys; sys.stdout.buffer.write(b'\\xff\\xfe\\nnext\\n')")
    child.join()
    assert start.lines[-1] == "next"


def test_nodes_find_the_same_package(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    first, second = environment()["PYTHONPATH"].split(os.pathsep)
    assert os.path.isfile(os.path.join(first, "pose_ros", "__init__.py"))
    assert second == "/somewhere"
