# SPDX-License-Identifier: Apache-2.0
"""Say what this machine lacks before anything is downloaded or built. Runs on any Python 3."""

import importlib.util
import os
import shutil
import sys
import sysconfig

OLDEST, NEWEST = (3, 10), (3, 13)


def missing():
    """Return (what is missing, Debian or Ubuntu package that has it) pairs."""
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        what = f"Python 3.10 to 3.13, and {sys.executable} is {python}; name another one by PYTHON=python3.x"
        return [(what, "python3.12-venv python3.12-dev")]
    lacks = []
    if not all(importlib.util.find_spec(name) for name in ("ensurepip", "venv")):
        lacks.append(("the Python modules venv and ensurepip", python + "-venv"))
    if not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")):
        lacks.append(("the C headers of Python (Python.h)", python + "-dev"))
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "c++", "g++", "clang++")):
        lacks.append(("a C++ compiler", "g++"))
    return lacks


def main():
    """Print what is missing and how to get it; 0 when nothing is."""
    lacks = missing()
    for what, _ in lacks:
        print("pose_ros needs " + what, file=sys.stderr)
    if lacks:
        print("On Debian or Ubuntu: sudo apt install " + " ".join(package for _, package in lacks), file=sys.stderr)
    return 1 if lacks else 0


if __name__ == "__main__":
    sys.exit(main())
