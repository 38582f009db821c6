# SPDX-License-Identifier: Apache-2.0
"""Broken messages through everything that reads messages: none may crash, take long, or keep memory.

    python benchmarks/fuzz.py
    python benchmarks/fuzz.py --count 20000 --kind CompressedImage --seed 7

Every line is one kind: how many messages were read and refused (with an error that says what was expected), how many
made something else happen, which is a fault; the median and the longest time of one message, and by how much the memory
of the process (resident set) grew from the first tenth of the messages to the last. What OpenCV, libpng and libjpeg say
of damaged pictures on their own is not shown.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from pathlib import Path

import numpy as np

# Before this folder, where files may have the same names.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))

from fuzzing import KINDS, broken

from pose_ros.errors import PoseRosError


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> int:
    """Run; returns 1 where something else than reading or refusing happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="messages in all")
    parser.add_argument("--kind", choices=KINDS, action="append", help="only these")
    parser.add_argument("--seed", default="", help="another one gives other messages")
    args = parser.parse_args()
    kinds = args.kind or list(KINDS)
    count = -(-args.count // len(kinds))
    with open(os.devnull, "w", encoding="ascii") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    print(f"{'kind':16} {'messages':>8} {'read':>7} {'refused':>7} {'faults':>6} {'median us':>9} {'longest ms':>10} "
          f"{'grown MB':>8}")
    faults = 0
    for name in kinds:
        faults += _run(name, count, args.seed)
    print(f"{count * len(kinds)} messages, {faults} faults")
    return int(faults > 0)


def _run(name: str, count: int, seed: str) -> int:
    kind, read, refused, faults, memory = KINDS[name], 0, 0, 0, 0.0
    times = np.zeros(count)
    for i in range(count):
        message = broken(kind, random.Random(f"{seed}{name}{i}"))
        began = time.perf_counter()
        try:
            kind.read(message)
            read += 1
        except PoseRosError:
            refused += 1
        except Exception as error:
            faults += 1
            print(f"  {name} {i}: {type(error).__name__}: {error}")
        times[i] = time.perf_counter() - began
        if i == count // 10:
            memory = _resident_mb()
    print(f"{name:16} {count:8} {read:7} {refused:7} {faults:6} {np.median(times) * 1e6:9.0f} "
          f"{times.max() * 1e3:10.1f} {_resident_mb() - memory:8.1f}", flush=True)
    return faults


if __name__ == "__main__":
    raise SystemExit(main())
