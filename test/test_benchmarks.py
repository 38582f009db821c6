# SPDX-License-Identifier: Apache-2.0
"""Benchmarks are run by hand, now and then: what they import has to be there until then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
_LOAD = """\
import pathlib, runpy, sys, traceback
sys.path.insert(0, sys.argv[1])
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    try:
        runpy.run_path(str(path), run_name="benchmark")
    except Exception:
        traceback.print_exc()
        print(path.name)
"""


def test_everything_that_benchmarks_import_is_there():
    for library in ("rclpy", "torch", "matplotlib", "pycocotools"):
        pytest.importorskip(library)
    # In a process of its own: some are called as libraries are, such as mediapipe.py.
    done = subprocess.run([sys.executable, "-c", _LOAD, str(BENCHMARKS)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "", done.stderr
