# SPDX-License-Identifier: Apache-2.0
"""Pose node: images in, skeletons out. This file is life cycle, services and parameters; the worker does the work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.context import Context
from sensor_msgs.msg import CompressedImage, Image

from pose_ros.errors import PoseRosError
from pose_ros.msg import SharedImage
from pose_ros.nodes.managed import Closable, Managed
from pose_ros.nodes.pose_options import PoseOptions
from pose_ros.nodes.run import Stop, run
from pose_ros.nodes.switch import Switch
from pose_ros.nodes.worker import Worker
from pose_ros.ros import qos
from pose_ros.ros.intake import Intake, Intakes
from pose_ros.ros.manners import overridden
from pose_ros.ros.outputs import Outputs
from pose_ros.ros.surroundings import Surroundings
from pose_ros.ros.watchdog import why_silent
from pose_ros.ros.wire import read_image
from pose_ros.space import Space
from pose_ros.srv import SetModel

#: Transport -> messages.
_KINDS = {"raw": Image, "compressed": CompressedImage, "shared": SharedImage}


class PoseNode(Managed):
    """Lifecycle node around one :class:`Worker`."""

    SHARES_IMAGES = True

    def __init__(
        self, name: str = "pose", context: Context | None = None, intakes: Intakes | None = None, **arguments: Any
    ) -> None:
        """Declare parameters and services; with ``autostart``, become active as soon as it spins.

        Args:
            name: Of the node.
            context: rclpy's context; the default one when left out.
            intakes: Of all nodes of its process.
            arguments: For rclpy's node.

        Raises:
            ConfigError: A parameter does not fit.
        """
        super().__init__(name, "pipeline", context, **arguments)
        try:
            self._switch = Switch(self, self._health)
        except PoseRosError:
            self.destroy_node()
            raise
        self._intakes = intakes or Intakes()
        self._surroundings: Surroundings | None = None
        options = self._switch.options
        self._qos = overridden(self, options.topic, qos.sensor(options.reliability, options.depth), "subscription")
        # A group of its own: while it waits for a model, everything else goes on.
        self.create_service(SetModel, "~/set_model", self._set_model, callback_group=MutuallyExclusiveCallbackGroup())
        self._begin(options.autostart)

    def _options(self) -> PoseOptions:
        return self._switch.options

    @property
    def _work(self) -> Worker | None:
        return self._switch.worker

    def _prepare(self) -> Sequence[Closable]:
        """Load the model and advertise."""
        pipeline = self._switch.first()
        outputs = Outputs(self, self._options)

        def space() -> Space:
            return (self._switch.worker.pipeline if self._switch.worker is not None else pipeline).space

        surroundings = Surroundings(self, self._options, lambda: space().depth.options,
                                    lambda: space().filter_options, self._health.say, self._qos,
                                    exact=self._options().exact)
        worker = Worker(self, pipeline, self._subscribe, surroundings, outputs, self._health,
                        exact=self._options().exact)
        self._switch.worker, self._surroundings = worker, surroundings
        return [worker, surroundings, outputs]

    def _forget(self) -> None:
        self._switch.worker = self._surroundings = None

    def _begun(self) -> str:
        assert self._switch.worker is not None
        source = self._switch.worker.pipeline.source
        return f"{source.name} ({source.device}) works on {self.resolve_topic_name(self._options().topic)}"

    async def _set_model(self, request: SetModel.Request, response: SetModel.Response) -> SetModel.Response:
        began, switch = time.monotonic(), self._switch
        if switch.worker is None:
            response.message = "the node is not configured; set parameter model and configure it"
        elif switch.loading:
            response.message = f"'{switch.loading}' is being loaded; try again when it is done"
        else:
            changes = {"model": request.model, **({"device": request.device} if request.device else {})}
            response.message = await switch.to(changes)
        response.success, response.load_s = not response.message, time.monotonic() - began
        if switch.worker is not None:
            source = switch.worker.pipeline.source
            response.model, response.device = source.name, source.device
            response.message = response.message or f"{source.name} takes over with the next frame"
        return response

    def _subscribe(self) -> Intake:
        self._quiet_since = time.monotonic()
        topic = self._options().topic
        kind = _KINDS[self._options().transport]
        return self._intakes.open(self, kind, topic, self._qos, read_image if kind is Image else None)

    def _heard(self) -> int:
        return self._health.received

    def _why_silent(self) -> tuple[str, str]:
        kind = _KINDS[self._options().transport]
        package = kind.__module__.partition(".")[0]
        return "no image", why_silent(self, self._options().topic, f"{package}/msg/{kind.__name__}", self._qos)

    def _lacks(self) -> str:
        return self._surroundings.lacks if self._surroundings is not None else ""

    def _waits(self, watchdog_s: float) -> str:
        return "" if self._switch.loading else super()._waits(watchdog_s)

    def _tell(self, state: str, warning: str) -> None:
        worker, loading = self._switch.worker, self._switch.loading
        source = worker.pipeline.source if worker is not None else None
        around = self._surroundings.counts if self._surroundings is not None else {}
        self._health.report(
            f"{state}, loading {loading}" if loading else state, warning, (),
            detections=getattr(source, "detections", ""), model=source.name if source else self._options().model,
            device=source.device if source else self._options().device, **around,
        )


def main(args: Sequence[str] | None = None) -> int:
    """Run the node as a process."""

    def make(context: Context, stop: Stop) -> PoseNode:
        return PoseNode(context=context)

    return run(make, args)
