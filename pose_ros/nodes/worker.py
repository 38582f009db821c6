# SPDX-License-Identifier: Apache-2.0
"""Worker: the thread of a pose node that takes images, estimates and publishes."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rclpy.node import Node

from pose_ros.core.back_off import BackOff
from pose_ros.core.stages import Stages
from pose_ros.errors import PoseRosError
from pose_ros.pipeline import Pipeline
from pose_ros.ros.health import INFERENCE, Health
from pose_ros.ros.intake import Intake, Picture
from pose_ros.ros.outputs import Outputs
from pose_ros.ros.surroundings import Surroundings

#: How long a change (a new model, a listener, the end) waits at most for an image that does not come; seconds.
_PATIENCE_S = 0.1
#: Rest after a fault that is not the fault of the image; it doubles with every other one, up to the longest; seconds.
_RECOVERY_S, _LONGEST_RECOVERY_S = 0.05, 5.0


class Worker:
    """Takes the newest image, estimates, publishes, and begins again.

    It subscribes only while somebody listens. Whatever is asked of it happens between two frames.
    """

    def __init__(
        self, node: Node, pipeline: Pipeline, subscribe: Callable[[], Intake], surroundings: Surroundings,
        outputs: Outputs, health: Health, *, exact: bool = False,
    ) -> None:
        """Join the parts; :meth:`start` starts. What is said depends on no clock with ``exact``."""
        self._node, self._subscribe = node, subscribe
        self._surroundings, self._outputs, self._health = surroundings, outputs, health
        self._pipeline, self._next, self._exact = pipeline, pipeline, exact
        pipeline.fail = health.fail
        self._reset = self._announced = False
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._intake: Intake | None = None
        #: Whether images are wanted at all.
        self.enabled = True

    @property
    def pipeline(self) -> Pipeline:
        """What runs, or will with the next frame."""
        return self._next

    @property
    def listening(self) -> bool:
        """Whether it is subscribed to images."""
        return self._intake is not None

    def start(self) -> None:
        """Begin to work."""
        self._stopping.clear()
        self._announced = False
        self._thread = threading.Thread(target=self._run, name="worker")
        self._thread.start()

    def close(self) -> None:
        """Let go."""
        self.stop()

    def stop(self) -> None:
        """Finish the frame at hand, then end the thread and all tracks."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join()
        self._thread = None
        self._reset = True

    def swap(self, pipeline: Pipeline) -> None:
        """Go on with another pipeline after the frame at hand."""
        self._next = pipeline

    def reset(self) -> None:
        """End all tracks before the next frame."""
        self._reset = True

    def _run(self) -> None:
        rest = BackOff(_RECOVERY_S, _LONGEST_RECOVERY_S)
        try:
            while not self._stopping.is_set() and self._node.context.ok():
                try:
                    self._turn()
                    rest.succeeded()
                except PoseRosError as error:
                    self._health.fail(error)
                except Exception as error:  # plugins and middleware may raise anything, and the node has to survive it
                    self._health.fail(error)
                    self._stopping.wait(rest.failed(0))
        finally:
            self._listen(False)

    def _turn(self) -> None:
        """Wait for one image, and answer it if it comes."""
        self._prepare()
        self._listen(self.enabled and self._outputs.wanted(self._surroundings.calibration.known))
        if self._intake is None:
            self._stopping.wait(_PATIENCE_S)
            return
        taken = self._intake.take(_PATIENCE_S)
        if taken is None:
            return
        picture, missed = taken
        self._health.took(missed, self._intake.lost() if missed else 0)
        self._prepare()
        self._frame(picture)

    def _prepare(self) -> None:
        """Do what was asked for since the last frame."""
        if self._next is not self._pipeline:
            self._exchange()
        if self._reset:
            self._reset = False
            self._pipeline.reset()
        if not self._announced:
            self._announced = True
            pipeline = self._pipeline
            parts = {name: (part.skeleton, part.source.name) for name, part in pipeline.parts.items()}
            self._outputs.announce(pipeline.skeleton, pipeline.source.name, parts)

    def _exchange(self) -> None:
        """Put the next pipeline in place; ids go on counting, so that none is given twice."""
        self._next.take_over(self._pipeline)
        self._pipeline, self._announced = self._next, False
        self._pipeline.fail = self._health.fail

    def _listen(self, wanted: bool) -> None:
        if wanted and self._intake is None:
            self._surroundings.listen(True)
            self._intake = self._subscribe()
        elif not wanted and self._intake is not None:
            self._intake.close()
            self._intake = None
            self._surroundings.listen(False)

    def _frame(self, picture: Picture) -> None:
        header = picture.message.header
        stamp_ns = header.stamp.sec * 1_000_000_000 + header.stamp.nanosec
        stages, pipeline = Stages(), self._pipeline
        stages.add("transport", self._since(stamp_ns))
        with stages("convert"):
            rgb = picture.rgb()
        frame = self._surroundings.frame(rgb, header)
        jumps = pipeline.time_jumps
        result = pipeline(frame, stages, now=None if self._exact else self._surroundings.now)
        if pipeline.time_jumps != jumps:
            self._health.say("time ran backwards: all tracks were ended")
        self._outputs.publish_frame(header, result.untimed() if self._exact else result)
        parts = {name: (len(part.poses), stages.ms[name]) for name, part in result.parts.items() if name in stages.ms}
        inference_ms = sum(stages.ms.get(name, 0.0) for name in (*INFERENCE, *parts))
        self._health.finished(self._since(stamp_ns), inference_ms, len(result.poses), parts, stages.ms)

    def _since(self, stamp_ns: int) -> float:
        """Return milliseconds since a stamp by the node's clock."""
        return (self._node.get_clock().now().nanoseconds - stamp_ns) * 1e-6
