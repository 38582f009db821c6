# SPDX-License-Identifier: Apache-2.0
"""One run of a composition: when which node starts, when the run is over, and why."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pose_ros.cli.bring_up import BringUp
from pose_ros.cli.household import household
from pose_ros.cli.leftovers import sweep
from pose_ros.cli.live import Display
from pose_ros.cli.monitor import Monitor, Watched
from pose_ros.cli.node_spec import SOURCES, NodeSpec
from pose_ros.cli.supervise import Child, describe, stop

_OK, _FAILED, _INTERRUPTED = 0, 1, 130
#: Cameras that do not wait themselves start when the others are ready, or after this many seconds in any case.
_READY_WITHIN_S = 60.0
#: After the last camera has ended, results may be on their way for this long at most, and this long after the last one.
_DRAIN_AT_MOST_S, _DRAIN_QUIET_S = 30.0, 1.0
#: What a node says of its refusal is waited for this long; its diagnostics come once a second.
_REASON_WITHIN_S = 5.0
#: Time between two looks at the processes.
_LOOK_EVERY_S = 0.05


class Run:
    """Call it once: it starts the nodes, returns when the run is over, and leaves no process behind."""

    def __init__(self, config: Path, specs: Sequence[NodeSpec], log_dir: Path, display: Display) -> None:
        """Start nothing yet.

        Args:
            config: Parameter file of the nodes.
            specs: The nodes.
            log_dir: Takes one log per node.
            display: Shows how it goes.
        """
        self._specs, self._display = specs, display
        self._cameras = {s.path for s in specs if s.plugin in SOURCES}
        self._members = household(specs, config, log_dir, display)
        #: What the monitor knows about the nodes.
        self.watched: Iterable[Watched] = ()

    @property
    def children(self) -> list[Child]:
        """The processes that were started."""
        return [m.child for m in dict.fromkeys(self._members.values()) if m.child is not None]

    def __call__(self) -> tuple[int, str]:
        """Run, and return the exit code and why it is over."""
        signals: list[int] = []
        with _caught(signals), self._display:
            monitor = Monitor(self._specs)
            self.watched = monitor.nodes.values()
            # Cameras start late, and nobody waits for them.
            ordered = sorted(self._specs, key=lambda s: s.path in self._cameras)
            managed = [s.path for s in ordered if s.parameters.get("process.managed") and s.lives]
            manager = BringUp(monitor.node, managed)
            try:
                code, why = self._supervise(monitor, manager, signals)
                manager.down([path for path in managed if self._members[path].code is None])
            finally:
                # Every further Ctrl-C is one step less polite.
                asked = len(signals[:1])
                killed = stop(self.children, lambda: len(signals) - asked)
                sweep()
                monitor.close()
        if killed:
            return code or _FAILED, f"{why}; had to be killed: {', '.join(killed)}"
        return code, why

    def _supervise(self, monitor: Monitor, manager: BringUp, signals: Sequence[int]) -> tuple[int, str]:
        late = [s for s in self._specs if s.path in self._cameras and not s.parameters.get("wait_for_subscribers")]
        early = [s for s in self._specs if s not in late]
        for member in dict.fromkeys(self._members[spec.path] for spec in early):
            member.start()
        began, end = time.monotonic(), None
        while not end and time.monotonic() - began < _READY_WITHIN_S and not all(
            monitor.nodes[s.path].ready for s in early
        ):
            end = self._look(monitor, manager, signals)
        for spec in late if not end else []:
            self._members[spec.path].start()
        while not end:
            end = self._look(monitor, manager, signals)
        return end

    def _look(self, monitor: Monitor, manager: BringUp, signals: Sequence[int]) -> tuple[int, str] | None:
        """Wait a moment, then say whether the run is over: exit code and why."""
        time.sleep(_LOOK_EVERY_S)
        monitor.look()
        self._display.draw(self.watched)
        if signals:
            return _INTERRUPTED, f"interrupted by {signal.Signals(signals[0]).name}"
        if dead := self._revive(monitor, manager):
            return _FAILED, dead
        if refused := manager.look():
            reason = self._reason(monitor, refused.split()[0])
            return _FAILED, f"{refused}{f': {reason}' if reason else ''}"
        for watched in self.watched:
            if watched.refusal:
                return _FAILED, f"{watched.spec.path} cannot work: {watched.refusal}"
        if self._cameras and all(self._members[path].code == 0 for path in self._cameras):
            self._drain(signals)
            return _OK, "the source has ended"
        return None

    def _reason(self, monitor: Monitor, path: str) -> str:
        """Return what a node says of its refusal; its diagnostics come later than its answer."""
        until = time.monotonic() + _REASON_WITHIN_S
        while not (reason := monitor.nodes[path].values.get("last_error", "")) and time.monotonic() < until:
            time.sleep(_LOOK_EVERY_S)
            monitor.look()
        return reason

    def _revive(self, monitor: Monitor, manager: BringUp) -> str:
        """Start again what has died and may live again; returns what may not."""
        for member in dict.fromkeys(self._members.values()):
            if member.due:
                member.start()
                for path in member.paths:
                    manager.again(path)
                    monitor.nodes[path].begin()
            code = member.code
            if code is None or (code == 0 and self._cameras.intersection(member.paths)):
                continue
            words = describe(code)
            if not (plan := member.dies()):
                return f"{member.name} has ended by itself ({words})"
            self._display.line(member.name, f"[WARN] {plan}")
            sweep()
            for path in member.paths:
                monitor.nodes[path].end(plan)
        return ""

    def _drain(self, signals: Sequence[int]) -> None:
        """Let the last results arrive, and word from every living pose node that it has no image in hand."""
        began = changed = time.monotonic()
        count = -1
        told = {w: w.reports for w in self.watched if w.spec.plugin == "pose_node"}
        while time.monotonic() - began < _DRAIN_AT_MOST_S and not signals:
            received = sum(watched.received for watched in self.watched)
            if received != count:
                count, changed = received, time.monotonic()
            busy = any(
                self._members[w.spec.path].code is None and (w.reports == before or w.in_hand)
                for w, before in told.items()
            )
            if not busy and time.monotonic() - changed >= _DRAIN_QUIET_S:
                return
            time.sleep(_LOOK_EVERY_S)


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
