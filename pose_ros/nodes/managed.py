# SPDX-License-Identifier: Apache-2.0
"""Managed: what the lifecycle nodes of this package have in common."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

from rclpy.context import Context
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import SetBool, Trigger

from pose_ros.ros.health import Health
from pose_ros.ros.json_logs import logger
from pose_ros.ros.manners import Manners

_OK, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
_REPORT_S = 1.0


class Closable(Protocol):
    """What a configured node holds."""

    def close(self) -> None:
        """Let go."""


class Watched(Protocol):
    """Options of every managed node."""

    @property
    def watchdog(self) -> float:
        """Silence that lasts longer than this is explained, seconds; 0: never."""


class Work(Closable, Protocol):
    """What an active node does."""

    #: Whether input is wanted at all.
    enabled: bool

    @property
    def listening(self) -> bool:
        """Whether input is heard: somebody listens to what comes of it."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """Finish what is at hand, then rest."""

    def reset(self) -> None:
        """End all tracks before the next frame."""


class Managed(Manners, LifecycleNode, ABC):
    """Lifecycle node that may start itself; pauses and resumes, and ends its tracks when asked.

    rclpy swallows what transitions raise, so it is logged here.
    """

    #: Whether it takes ``intakes``, with which nodes of one process share the images that they hear.
    SHARES_IMAGES = False
    #: Whether it takes ``stop``, because it ends by itself.
    ENDS = False
    #: What ``~/reset`` does.
    RESETS = "all tracks end before the next frame"
    #: Whether it answers what comes in, so that there are latencies; see :class:`pose_ros.ros.health.Health`.
    ANSWERS = True

    def __init__(self, name: str, what: str, context: Context | None = None, **arguments: Any) -> None:
        """Make the node; a subclass then declares its parameters and calls :meth:`_begin`.

        Args:
            name: Of the node.
            what: It does, as its diagnostics call it.
            context: rclpy's context; the default one when left out.
            arguments: For rclpy's node.
        """
        super().__init__(name, context=context, automatically_declare_parameters_from_overrides=True, **arguments)
        self._health = Health(self, what, answers=self.ANSWERS)
        self._closing: list[Closable] = []
        self._state, self._quiet_since, self._heard_last = "unconfigured", time.monotonic(), 0

    def _begin(self, autostart: bool) -> None:
        """Offer services; with ``autostart``, become active as soon as it spins."""
        self.create_service(SetBool, "~/enable", self._enable)
        self.create_service(Trigger, "~/reset", self._reset)
        self.create_timer(_REPORT_S, self._report)
        if autostart:
            self._starter = self.create_timer(0.0, self._autostart)

    # What a subclass says.

    @property
    @abstractmethod
    def _work(self) -> Work | None:
        """What is done while active; None while nothing is configured."""

    @abstractmethod
    def _prepare(self) -> Sequence[Closable]:
        """Make all that is needed, and return what is to be closed in the end."""

    @abstractmethod
    def _forget(self) -> None:
        """Let :attr:`_work` be None again."""

    @abstractmethod
    def _begun(self) -> str:
        """Return what to say when the work begins."""

    @abstractmethod
    def _options(self) -> Watched:
        """Return what holds at present."""

    def _heard(self) -> int:
        """Return a number that grows while all is well."""
        return self._health.processed

    @abstractmethod
    def _why_silent(self) -> tuple[str, str] | None:
        """Return what is missing, such as "no image", and why it does not come; None where silence is well."""

    def _lacks(self) -> str:
        """Return what is missing although something comes; empty where nothing is."""
        return ""

    def _tell(self, state: str, warning: str) -> None:
        """Publish diagnostics."""
        self._health.report(state, warning)

    # Health.

    def _report(self) -> None:
        """Publish diagnostics, once a second, and say why nothing is done."""
        work, state = self._work, self._state
        if work is not None and state == "active":
            state = "active" if work.listening else "paused" if not work.enabled else "idle: nobody listens"
            warning = self._silence() or self._lacks() if work.listening else ""
        else:
            warning = self._waits(self._options().watchdog)
        if warning:
            self._health.say(warning)
        self._tell(state, warning)

    def _silence(self) -> str:
        """Return why nothing has come for too long; empty while something does."""
        heard, now, limit = self._heard(), time.monotonic(), self._options().watchdog
        if heard != self._heard_last:
            self._heard_last, self._quiet_since = heard, now
        if not limit or now - self._quiet_since < limit:
            return ""
        missing = self._why_silent()
        return "" if missing is None else f"{missing[0]} for {now - self._quiet_since:.0f} s: {missing[1]}"

    # Life cycle.

    def _autostart(self) -> None:
        self._starter.cancel()
        if self._state == "unconfigured" and self.trigger_configure() == _OK:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make what is needed and advertise."""
        try:
            self._closing = list(self._prepare())
        except Exception as error:  # otherwise nobody would ever hear of it
            self._health.fail(error, refuses=True)
            self._clear()
            return _FAILURE
        self._state = "inactive"
        return _OK

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to work."""
        assert self._work is not None
        self._quiet_since = time.monotonic()
        self._work.start()
        self._state = "active"
        logger(self, "state").info(self._begun())
        return _OK

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop after the frame at hand. No array is published, because there is no image it would belong to."""
        assert self._work is not None
        self._work.stop()
        self._state = "inactive"
        self.get_logger().info("deactivated")
        return _OK

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of what was made and of the topics."""
        self._clear()
        return _OK

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything."""
        self._clear()
        self._state = "finalized"
        return _OK

    def _clear(self) -> None:
        self._forget()
        for part in self._closing:
            part.close()
        self._closing = []
        self._state = "unconfigured"

    def close(self) -> None:
        """End the work; the node can be destroyed after it."""
        self._clear()

    def _waits(self, watchdog_s: float) -> str:
        """Return why nothing is done, if that is because of the life cycle and lasts; empty otherwise."""
        if not 0 < watchdog_s < time.monotonic() - self._quiet_since:
            return ""
        step = "configure" if self._state == "unconfigured" else "activate"
        return (f"nothing is done, because the node is {self._state}; "
                f"ros2 lifecycle set {self.get_fully_qualified_name()} {step}")

    # Services.

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success = self._work is not None
        response.message = "the node is not configured"
        if self._work is not None:
            self._work.enabled = request.data
            response.message = "working" if request.data else "paused: no input is taken"
        return response

    def _reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._work is not None
        response.message = self.RESETS if response.success else "the node is not configured"
        if self._work is not None:
            self._work.reset()
        return response
