# SPDX-License-Identifier: Apache-2.0
"""``pose-ros bench ros``: from the images of 1 .. N cameras to skeletons heard, in real processes over real topics."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.benching.document import Meaning, row, spread
from pose_ros.benching.processes import Sampler
from pose_ros.cli.bench_peers import LISTENED_S
from pose_ros.errors import PoseRosError

#: Stages of a SkeletonArray in which networks work; see pose_ros/ros/health.py.
_NETWORKS = ("detect", "estimate")
_ONE = "from pose_ros.nodes.start import start; raise SystemExit(start('pose_node'))"
_SEVERAL = "from pose_ros.nodes.start import together; raise SystemExit(together())"
#: Time for everybody to end after the last image, seconds.
_END_S = 30.0
#: Memory of a shorter time has no slope that means anything, seconds.
_SLOPE_S = 60.0
MEANS: Mapping[str, Meaning] = {
    "latency_ms": Meaning("from the stamp, when a camera process has an image in memory, over its message, DDS, the "
                          "pose node and DDS to the reception of the skeletons by a listener process; images that were "
                          "passed over have none"),
    "networks_ms": Meaning("detection and estimation as the node tells them: crops, networks and decoding; hands and "
                           "faces are not in it"),
    "added_ms": Meaning("latency less making the message (for JPEG, encoding; for shared images, writing the pixels) "
                        "and less networks: what ROS, transport and everything around the networks cost"),
    "stage_ms": Meaning("what the node tells of this stage in stage_ms of its arrays"),
    "publish_ms": Meaning("the camera's own call of publish, which is in latency and in added"),
    "drift_ms": Meaning("median latency of the last third less that of the first third: a queue that grows shows here"),
    "offered_hz": Meaning("images published per second by all cameras", "1/s", ""),
    "answered_hz": Meaning("arrays heard per second of all cameras", "1/s", "more"),
    "images": Meaning("images published after the warm-up", "", ""),
    "dropped": Meaning("of those, images without skeletons: the newest image wins, so that what a node has no time "
                       "for is passed over", ""),
    "subjects": Meaning("mean number of subjects in an array", "", ""),
    "nodes_cpu_percent": Meaning("processor time of the pose nodes' processes, in percent of one core", "%"),
    "nodes_cpu_ms_per_image": Meaning("the same for each array"),
    "peers_cpu_percent": Meaning("processor time of cameras and listener, in percent of one core", "%", ""),
    "nodes_memory_mb": Meaning("memory of the pose nodes' processes that nobody else uses, all together, every "
                               "second", "MB"),
    "memory_slope_mb_per_min": Meaning("slope of a straight line through these, of a minute or longer", "MB/min", ""),
}  # fmt: skip


class BenchError(PoseRosError):
    """A process of the measurement failed."""


@dataclass(frozen=True)
class Case:
    """What is sent in one run."""

    cameras: int
    people: int
    size_wh: tuple[int, int]
    transport: str
    #: Each camera shows another one, in turns.
    sources: Sequence[str]
    rate: float
    seconds: float
    warm_up: float
    #: All pose nodes in one process, instead of each in its own.
    together: bool
    #: Parameters of the pose nodes.
    parameters: Sequence[str]

    @property
    def name(self) -> str:
        """How its row is called."""
        cameras = f"{self.cameras} camera{'s' * (self.cameras > 1)}"
        people = f", {self.people} {'people' if self.people > 1 else 'person'}" if self.people else ""
        return f"{cameras}{people}, {self.size_wh[0]}x{self.size_wh[1]} {self.transport}"


def run(case: Case) -> list[dict[str, Any]]:
    """Run the processes of one case; return its row, and one for each stage of its nodes.

    Raises:
        BenchError: One of them failed; says which, and its last words.
    """
    with tempfile.TemporaryDirectory() as folder:
        processes = _Processes(Path(folder))
        with processes:
            listener = processes.start("listener", *_peer("listener", {
                "topics": [f"/cam{i}/pose/skeletons" for i in range(case.cameras)]
            }))
            nodes = list(_nodes(processes, case))
            count = round(case.rate * (case.warm_up + case.seconds))
            cameras = [processes.start(f"camera {i}", *_peer("camera", {
                "namespace": f"/cam{i}", "source": case.sources[i % len(case.sources)], "people": case.people,
                "size_wh": case.size_wh, "transport": case.transport, "rate": case.rate, "count": count,
            })) for i in range(case.cameras)]  # fmt: skip
            processes.wait_for_words(cameras, "ready")
            began = time.time_ns() + 500_000_000
            for i, camera in enumerate(cameras):
                assert camera.stdin
                # Cameras that nobody synchronises, at even distances.
                camera.stdin.write(f"{began + round(i * 1e9 / case.rate / case.cameras)}\n")
                camera.stdin.flush()
            peers = [listener.pid, *(camera.pid for camera in cameras)]
            with Sampler([node.pid for node in nodes]) as at_nodes, Sampler(peers) as at_peers:
                processes.wait_for_end(cameras, case.warm_up + case.seconds + _END_S)
        sent = [_lines(Path(folder, f"camera {i}"))[1:] for i in range(case.cameras)]
        heard = _lines(Path(folder, "listener"))
    window = began + round(case.warm_up * 1e9), began + round((case.warm_up + case.seconds) * 1e9)
    return _rows(case, sent, heard, window, at_nodes.samples, at_peers.samples)


def _peer(role: str, ask: Mapping[str, Any]) -> list[str]:
    return ["-m", "pose_ros.cli.bench_peers", role, json.dumps(ask)]


def _nodes(processes: _Processes, case: Case) -> Iterator[subprocess.Popen[str]]:
    def words(i: int) -> list[str]:
        parameters = [f"image_transport:={case.transport}", *case.parameters]
        return ["--ros-args", "-r", f"__ns:=/cam{i}", *(word for p in parameters for word in ("-p", p))]

    if case.together:
        yield processes.start(
            "pose nodes", "-c", _SEVERAL, *(w for i in range(case.cameras) for w in ("pose_node", *words(i), "--"))
        )
    else:
        yield from (processes.start(f"pose node {i}", "-c", _ONE, *words(i)) for i in range(case.cameras))


class _Processes:
    """Python processes whose words go to files, because a pipe that nobody reads fills up; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: dict[str, subprocess.Popen[str]] = {}
        # Tests use the domains 1 .. 100, and robots often 0.
        self._environment = {"ROS_DOMAIN_ID": "101", "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", **os.environ}

    def start(self, name: str, *command: str) -> subprocess.Popen[str]:
        """Start one."""
        with (self._folder / name).open("w") as output, (self._folder / f"{name}.err").open("w") as errors:
            self._started[name] = subprocess.Popen(
                [sys.executable, *command], env=self._environment, stdin=subprocess.PIPE, stdout=output, stderr=errors,
                text=True,
            )  # fmt: skip
        return self._started[name]

    def wait_for_words(self, of: Sequence[subprocess.Popen[str]], words: str) -> None:
        """Wait until some of them have said so."""
        files = [self._folder / name for name, process in self._started.items() if process in of]
        end = time.monotonic() + LISTENED_S + _END_S
        while not all(words in file.read_text() for file in files):
            self._check(end)
            time.sleep(0.05)

    def wait_for_end(self, of: Sequence[subprocess.Popen[str]], seconds: float) -> None:
        """Wait until some of them have ended, while the others go on."""
        end = time.monotonic() + seconds
        while any(process.poll() is None for process in of):
            self._check(end, of)
            time.sleep(0.05)
        self._check(end, of)

    def _check(self, end: float, may_end: Sequence[subprocess.Popen[str]] = ()) -> None:
        for name, process in self._started.items():
            code = process.poll()
            if code is not None and (code or process not in may_end):
                raise BenchError(f"the process '{name}' has ended with exit code {code}: {self._last_words(name)}")
        if time.monotonic() > end:
            words = "; ".join(f"{name}: {said}" for name in self._started if (said := self._last_words(name)))
            raise BenchError(f"the processes did not come to an end in time, the last words of each: {words or 'none'}")

    def _last_words(self, name: str) -> str:
        return (self._folder / f"{name}.err").read_text(errors="replace").strip()[-600:]

    def __enter__(self) -> _Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self._started.values():
            with _killed(process):
                process.wait(10)
            assert process.stdin
            process.stdin.close()


@contextmanager
def _killed(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill a process that does not end."""
    try:
        yield
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _lines(path: Path) -> list[Any]:
    """Return what a process said; its last line may be cut off."""
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def _rows(
    case: Case, sent: list[list[Any]], heard: list[Any], window: tuple[int, int], nodes: list[Any], peers: list[Any]
) -> list[dict[str, Any]]:
    """Reduce what all said between two moments to the figures of a case."""
    images = {(number, stamp): (called, returned) for number, camera in enumerate(sent)
              for stamp, called, returned in camera if window[0] <= stamp < window[1]}  # fmt: skip
    arrays = {(number, stamp): rest for number, stamp, *rest in heard if (number, stamp) in images}
    if not arrays:
        raise BenchError(f"{case.name}: {len(images)} images were published and no skeletons came; give more time to "
                         "answer: a lower --rate, more --seconds or a smaller --model")
    calls, rows = np.array([images[key] for key in arrays], float), list(arrays.values())
    stamps, received = np.array([stamp for _, stamp in arrays], float), np.array([r[0] for r in rows], float)
    latency, making = (received - stamps) * 1e-6, (calls[:, 0] - stamps) * 1e-6
    networks = np.array([sum(stages.get(name, 0.0) for name in _NETWORKS) for _, stages, _ in rows])
    third, order = max(len(rows) // 3, 1), np.argsort(stamps, kind="stable")
    names = max((list(stages) for _, stages, _ in rows), key=len)
    seconds = (window[1] - window[0]) * 1e-9
    nodes, peers = ([s for s in samples if window[0] <= s[0] <= window[1]] for samples in (nodes, peers))
    cpu_s = nodes[-1][1] - nodes[0][1] if len(nodes) > 1 else None
    took_s = (nodes[-1][0] - nodes[0][0]) * 1e-9 if len(nodes) > 1 else 1.0
    whole = row(
        case.name, latency_ms=spread(latency), added_ms=spread(latency - making - networks),
        networks_ms=spread(networks), publish_ms=spread((calls[:, 1] - calls[:, 0]) * 1e-6),
        drift_ms=float(np.median(latency[order[-third:]]) - np.median(latency[order[:third]])),
        offered_hz=len(images) / seconds, answered_hz=len(rows) / seconds, images=len(images),
        dropped=len(images) - len(rows), subjects=float(np.mean([count for *_, count in rows])),
        nodes_cpu_percent=None if cpu_s is None else 100 * cpu_s / took_s,
        nodes_cpu_ms_per_image=None if cpu_s is None else 1e3 * cpu_s / took_s / (len(rows) / seconds),
        peers_cpu_percent=_percent(peers), nodes_memory_mb=spread([s[2] for s in nodes]) if nodes else None,
        memory_slope_mb_per_min=_slope(nodes),
    )  # fmt: skip
    return [whole, *(row(f"{case.name}: {name}", stage_ms=spread([s[name] for _, s, _ in rows if name in s]))
                     for name in names)]  # fmt: skip


def _percent(samples: list[Any]) -> float | None:
    if len(samples) < 2:
        return None
    (began, first, _), (ended, last, _) = samples[0], samples[-1]
    return float(100 * (last - first) / ((ended - began) * 1e-9))


def _slope(samples: list[Any]) -> float | None:
    if not samples or samples[-1][0] - samples[0][0] < _SLOPE_S * 1e9:
        return None
    times = np.array([s[0] for s in samples], float) / 60e9
    return float(np.polyfit(times - times[0], [s[2] for s in samples], 1)[0])
