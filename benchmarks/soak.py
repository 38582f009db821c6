# SPDX-License-Identifier: Apache-2.0
"""Let a whole composition work for a while and watch it: processor, memory, rates and drops, minute by minute.

A moving photograph, bodies, actions and a recorder, each in a process of its own under ``pose-ros up``, as on a robot.
The slope of the memory is a straight line through all samples after the first minute, in which models are loaded and
pools are filled; the one of the second half says whether it flattens.

    python benchmarks/soak.py --minutes 10
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

_CONFIG = """\
camera: {{ros__parameters: {{plugin: camera_node, source: "demo:{seconds}", rate: {rate}, publish: raw,
  width: 640, wait_for_subscribers: 2}}}}
pose: {{ros__parameters: {{plugin: pose_node, model: {model}, image_topic: camera/image,
  camera_info_topic: camera/camera_info}}}}
action: {{ros__parameters: {{plugin: action_node, skeletons_topic: pose/skeletons}}}}
recorder: {{ros__parameters: {{plugin: recorder_node}}}}
"""
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_MB = 1e6
#: Time between two samples, and what is left out of the slope, seconds.
_EVERY_S, _WARM_UP_S = 2.0, 60.0


def nodes(parent: int) -> dict[str, int]:
    """Return node -> its process, of the children of ``pose-ros up``."""
    found = {}
    for pid in map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()):
        if name := re.search(r"__node:=(\w+)", Path(f"/proc/{pid}/cmdline").read_text()):
            found[name[1]] = pid
    return found


def sample(pid: int) -> tuple[float, float]:
    """Return the processor time, seconds, and resident memory, megabytes, of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return (int(fields[11]) + int(fields[12])) * _TICK_S, pages * os.sysconf("SC_PAGE_SIZE") / _MB


def slope(samples: np.ndarray, since_s: float) -> float:
    """Return megabytes per hour of (times, processor, memory) samples that are later; NaN where these are too few."""
    late = samples[samples[:, 0] - samples[0, 0] > since_s]
    return float(np.polyfit(late[:, 0] / 3600, late[:, 2], 1)[0]) if len(late) > 2 else float("nan")


def follow(lines: Iterable[str], told: dict[str, dict[str, float]], log: IO[str]) -> None:
    """Keep the newest status of each node, and everything else in the log."""
    for line in lines:
        status = json.loads(line) if line.startswith("{") else {}
        if status.get("event") == "status":
            told[status["node"].strip("/")] = status
        else:
            log.write(line)


def watch(process: subprocess.Popen[str], told: dict[str, dict[str, float]], minutes: int) -> dict[str, np.ndarray]:
    """Print a line for each node and minute; returns the samples of each node: time, processor s, memory MB."""
    until = time.monotonic() + 120
    while not told.get("action") or not told.get("pose", {}).get("frames"):
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit("the nodes do not work; run the same with `pose-ros up` to see why")
        time.sleep(0.2)
    pids = nodes(process.pid)
    samples: dict[str, list[tuple[float, float, float]]] = {name: [] for name in pids}
    print(f"{'minute':>6}  {'node':9} {'CPU %':>6} {'RSS MB':>7} {'frames/min':>10} {'dropped/min':>11}")
    began = time.monotonic()
    counted = {name: dict(status) for name, status in told.items()}
    for minute in range(1, minutes + 1):
        first = {name: len(rows) for name, rows in samples.items()}
        while (now := time.monotonic()) < began + 60 * minute:
            for name, pid in pids.items():
                samples[name].append((now, *sample(pid)))
            time.sleep(_EVERY_S)
        for name, rows in samples.items():
            (since, used, _), (to, more, memory) = rows[first[name]], rows[-1]
            counts = [told.get(name, {}).get(key, np.nan) - counted.get(name, {}).get(key, 0)
                      for key in ("frames", "dropped")]
            text = [f"{c:.0f}" if np.isfinite(c) else "-" for c in counts]
            print(f"{minute:6d}  {name:9} {100 * (more - used) / (to - since):6.1f} {memory:7.1f} {text[0]:>10} "
                  f"{text[1]:>11}", flush=True)
        counted = {name: dict(status) for name, status in told.items()}
    return {name: np.array(rows) for name, rows in samples.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--rate", type=float, default=10.0, help="images per second")
    parser.add_argument("--model", default="blazepose-full")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        config = folder / "soak.yaml"
        config.write_text(_CONFIG.format(seconds=60 * args.minutes + 300, rate=args.rate, model=args.model))
        command = [sys.executable, "-m", "pose_ros.cli", "up", str(config), "--json", "--log-format", "json",
                   "--output", str(folder / "out")]
        # Tests use the domains 1 .. 100.
        environment = {"ROS_DOMAIN_ID": "101", **os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        told: dict[str, dict[str, float]] = {}
        with (folder / "said.log").open("w") as log, subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            reader = threading.Thread(target=follow, args=(process.stderr, told, log), daemon=True)
            reader.start()
            try:
                samples = watch(process, told, args.minutes)
            finally:
                asked = time.monotonic()
                process.send_signal(signal.SIGINT)
                summary = json.loads(process.stdout.read() if process.stdout else "")
                process.wait()
        print(f"\n{'node':9} {'CPU %':>6} {'RSS MB: first':>13} {'last':>7} {'most':>7} {'slope MB/h':>10} "
              f"{'of 2nd half':>11}")
        for name, rows in samples.items():
            cpu = 100 * (rows[-1, 1] - rows[0, 1]) / (rows[-1, 0] - rows[0, 0])
            print(f"{name:9} {cpu:6.1f} {rows[0, 2]:13.1f} {rows[-1, 2]:7.1f} {rows[:, 2].max():7.1f} "
                  f"{slope(rows, _WARM_UP_S):10.1f} {slope(rows, 30 * args.minutes):11.1f}")
        print(f"\n{summary['why']}, {time.monotonic() - asked:.1f} s to the end of all processes")
        for node in summary["nodes"]:
            known = {key: node[key] for key in ("frames", "dropped", "rate_hz", "latency_p50_ms", "latency_p95_ms")
                     if node[key] is not None}
            print(f"{node['node']}:", ", ".join(f"{key} {value:.5g}" for key, value in known.items()))
        print("written:", ", ".join(f"{Path(f).name} {Path(f).stat().st_size / _MB:.1f} MB" for f in summary["files"]))


if __name__ == "__main__":
    main()
