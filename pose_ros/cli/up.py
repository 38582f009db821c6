# SPDX-License-Identifier: Apache-2.0
"""``pose-ros up``: run the nodes of a YAML file, watch them, and end them in order."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_ros.cli import console, live

if TYPE_CHECKING:
    from pose_ros.cli.compose import NodeSpec
    from pose_ros.cli.monitor import Monitor
    from pose_ros.cli.supervise import Child

_OK, _FAILED, _INTERRUPTED = 0, 1, 130
#: Cameras that do not wait themselves start when the others are ready, or after this many seconds in any case.
_READY_WITHIN_S = 60.0
#: After the last camera has ended, results may be on their way for this long at most, and this long after the last one.
_DRAIN_AT_MOST_S, _DRAIN_QUIET_S = 5.0, 0.7
#: Time between two looks at the processes.
_LOOK_EVERY_S = 0.05

_EPILOG = """\
CONFIG is a ROS 2 parameter file, the same that `ros2 run ... --params-file` and launch files take:

  camera:
    ros__parameters:
      plugin: camera_node        # which node runs under this name: camera_node, pose_node, recorder_node
      source: ""
  pose:
    ros__parameters:
      plugin: pose_node
      model: blazepose-full

Every key is checked before anything starts. Models that are not here are fetched first. Cameras start when the models
are loaded (one with `wait_for_subscribers` sees to that itself). When a camera's source has ended, the others get a
moment to finish and are closed, so that videos and bags are complete. When a node fails, all are stopped and its last
words are shown.

Unless ROS_AUTOMATIC_DISCOVERY_RANGE is set, the nodes are seen on this machine only (LOCALHOST).

examples:
  pose-ros up config/demo.yaml                                a photograph under a moving camera, recorded to out/
  pose-ros up config/demo.yaml --source clip.mp4              your video, image folder, webcam number, stream or bag
  pose-ros up config/demo.yaml --set pose.model=blazepose-lite --set pose.top_down.max_subjects=1
  pose-ros up config/body.yaml                                only the estimator, for a camera driver's topics

"""


def add(commands: Any, common: argparse.ArgumentParser, exit_codes: str) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "up",
        parents=[common],
        help="run the ROS 2 nodes of a YAML file, with a live table",
        description="Run the ROS 2 nodes that a YAML file names, one process each, and show how they do.",
        epilog=_EPILOG + exit_codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", metavar="CONFIG", type=Path, help="ROS 2 parameter file, see below")
    parser.add_argument("--source", help="what the camera nodes read, instead of the file's `source`")
    parser.add_argument("--output", metavar="DIR", help="where recorder nodes write, instead of the file's `output`")
    parser.add_argument("--set", dest="overrides", metavar="NODE.KEY=VALUE", action="append", default=[],
                        help="another value for one parameter; may be given many times")
    parser.add_argument("--no-table", action="store_true", help="plain lines instead of the live table")
    parser.add_argument("--log-dir", metavar="DIR", type=Path,
                        help="where the nodes' logs go (default: `log` in the recorder's output, or ROS's log folder)")
    parser.add_argument("--offline", action="store_true", help="fail when a model is not here instead of fetching it")
    parser.set_defaults(handler=handle)


def handle(args: argparse.Namespace) -> int:
    """Run the command."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    from pose_ros.cli import compose

    overrides = list(args.overrides)
    overrides += [f"camera_node.source={args.source}"] if args.source is not None else []
    overrides += [f"recorder_node.output={args.output}"] if args.output is not None else []
    specs = compose.load(args.config, overrides)
    _fetch_models(specs, offline=args.offline)
    return _Run(args, specs).run()


def _fetch_models(specs: Sequence[NodeSpec], *, offline: bool) -> None:
    """Bring the models here before any node starts: nodes never wait for a network."""
    from pose_ros.build import parse_model
    from pose_ros.cli.models import fetch
    from pose_ros.models.store import Store

    store = Store()
    for spec in specs:
        if spec.plugin == "pose_node":
            for card in parse_model(str(_value(spec, "model")), store):
                if card is not None:
                    store.path(card) if offline else fetch(store, card)


def _value(spec: NodeSpec, key: str) -> Any:
    """Return a parameter of a node, or its default."""
    from pose_ros.cli.compose import options_of

    return spec.parameters.get(key, options_of(spec.plugin, spec.parameters)[key].default)


class _Run:
    """One run of a composition, from the first process to the summary."""

    def __init__(self, args: argparse.Namespace, specs: Sequence[NodeSpec]) -> None:
        self.args, self.specs = args, specs
        self.outputs = [Path(str(_value(s, "output"))).expanduser() for s in specs if s.plugin == "recorder_node"]
        self.log_dir: Path = args.log_dir or (self.outputs[0] / "log" if self.outputs else _ros_log_dir())
        self.children: dict[str, Child] = {}
        #: Signals that came in, in their order.
        self.signals: list[int] = []
        self.began = time.time()
        self.display = live.Display(live=not args.no_table)

    def run(self) -> int:
        from pose_ros.cli.monitor import Monitor
        from pose_ros.cli.supervise import stop

        self.log_dir.mkdir(parents=True, exist_ok=True)
        with _caught(self.signals), self.display:
            monitor = Monitor(self.specs)
            try:
                code, why = self._supervise(monitor)
                killed = stop(list(self.children.values()))
            finally:
                stop(list(self.children.values()))
                monitor.close()
        if killed:
            code, why = code or _FAILED, f"{why}; did not end when asked and had to be killed: {', '.join(killed)}"
        self._summarise(monitor, code, why)
        return code

    def _supervise(self, monitor: Monitor) -> tuple[int, str]:
        cameras = [s for s in self.specs if s.plugin == "camera_node"]
        late = [s for s in cameras if not s.parameters.get("wait_for_subscribers")]
        early = [s for s in self.specs if s not in late]
        for spec in early:
            self._start(spec)
        began, end = time.monotonic(), None
        while not end and time.monotonic() - began < _READY_WITHIN_S and not all(monitor.ready(s) for s in early):
            end = self._look(monitor, cameras)
        for spec in late if not end else []:
            self._start(spec)
        while not end:
            end = self._look(monitor, cameras)
        return end

    def _start(self, spec: NodeSpec) -> None:
        from pose_ros.cli.supervise import Child, environment

        code = f"import sys; from pose_ros.nodes.{spec.plugin} import main; sys.exit(main())"
        command = [sys.executable, "-c", code, *spec.arguments(self.args.config.resolve())]
        log = self.log_dir / f"{spec.path.strip('/').replace('/', '.')}.log"
        self.children[spec.path] = Child(spec.path, command, log, self.display.line, environment())

    def _look(self, monitor: Monitor, cameras: Sequence[NodeSpec]) -> tuple[int, str] | None:
        """Wait a moment, then say whether the run is over: exit code and why."""
        from pose_ros.cli.supervise import describe

        time.sleep(_LOOK_EVERY_S)
        self.display.draw(monitor.nodes.values())
        if self.signals:
            return _INTERRUPTED, f"interrupted by {signal.Signals(self.signals[0]).name}"
        ended = {path: child.code for path, child in self.children.items() if child.code is not None}
        for path, code in ended.items():
            if code or path not in [s.path for s in cameras]:
                return _FAILED, f"{path} has ended by itself ({describe(code)})"
        for spec in self.specs:
            if spec.plugin == "pose_node" and (why := monitor.refusal(spec)):
                return _FAILED, f"{spec.path} cannot work: {why}"
        if cameras and len([p for p in ended if p in [s.path for s in cameras]]) == len(cameras):
            return self._drain(monitor)
        return None

    def _drain(self, monitor: Monitor) -> tuple[int, str]:
        """Let the last results arrive."""
        def received() -> int:
            return sum(w.received for w in monitor.nodes.values())

        began = changed = time.monotonic()
        count = received()
        while time.monotonic() - began < _DRAIN_AT_MOST_S and time.monotonic() - changed < _DRAIN_QUIET_S:
            time.sleep(_LOOK_EVERY_S)
            if received() != count:
                count, changed = received(), time.monotonic()
        return _OK, "the source has ended"

    def _summarise(self, monitor: Monitor, code: int, why: str) -> None:
        files = sorted(
            str(p) for folder in self.outputs for p in folder.rglob("*")
            if p.is_file() and self.log_dir not in p.parents and p.stat().st_mtime >= self.began
        )
        failed = {
            path: list(child.tail) for path, child in self.children.items() if code == _FAILED and child.code
        }
        for path, tail in failed.items():
            console.note("\n".join([f"last words of {path}:", *(f"  {line}" for line in tail)]))
        nodes = [live.row(watched, total=True) for watched in monitor.nodes.values()]
        if self.args.json:
            console.show_json({"exit_code": code, "why": why, "nodes": nodes, "files": files, "log": str(self.log_dir)})
            return
        text = [f"{why}; logs are in {self.log_dir}"]
        if files:
            text += ["written:", *(f"  {f}" for f in files)]
        console.show(live.table(nodes), "\n".join(text))


@contextmanager
def _caught(signals: list[int]) -> Iterator[None]:
    """Note SIGINT and SIGTERM instead of dying of them, so that the nodes are ended in order."""
    def note(number: int, _: object) -> None:
        signals.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ros_log_dir() -> Path:
    own = os.environ.get("ROS_LOG_DIR")
    base = Path(own) if own else Path(os.environ.get("ROS_HOME", Path.home() / ".ros")) / "log"
    return base / f"pose-ros-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
