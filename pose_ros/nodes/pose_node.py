# SPDX-License-Identifier: Apache-2.0
"""Pose node: images in, skeletons out. This file is life cycle, services and parameters; the worker does the work."""

from __future__ import annotations

import dataclasses
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.context import Context
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import SetBool, Trigger

from pose_ros.build import BLOCKS, build, parse_model
from pose_ros.core.options import specs
from pose_ros.errors import ConfigError, PoseRosError
from pose_ros.models.store import Store
from pose_ros.nodes.pose_options import PIPELINE, PoseOptions, parts
from pose_ros.nodes.run import Stop, run
from pose_ros.nodes.worker import Worker
from pose_ros.pipeline import Pipeline
from pose_ros.ros import qos
from pose_ros.ros.calibration import Calibration
from pose_ros.ros.health import Health
from pose_ros.ros.intake import Intake
from pose_ros.ros.memory import keep_freed_memory
from pose_ros.ros.outputs import Outputs
from pose_ros.ros.params import Parameters
from pose_ros.ros.watchdog import why_silent
from pose_ros.srv import SetModel

_OK, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
_REPORT_S = 1.0


class PoseNode(LifecycleNode):
    """Lifecycle node around one :class:`Worker`."""

    def __init__(self, name: str = "pose", context: Context | None = None, **arguments: Any) -> None:
        """Declare parameters and services; with ``autostart``, become active as soon as it spins.

        Raises:
            ConfigError: A parameter does not fit.
        """
        super().__init__(name, context=context, automatically_declare_parameters_from_overrides=True, **arguments)
        self._worker: Worker | None = None
        self._calibration: Calibration | None = None
        self._outputs: Outputs | None = None
        #: What is being loaded; empty when nothing is.
        self._loading = ""
        self._state, self._quiet_since = "unconfigured", time.monotonic()
        self._received = 0
        try:
            self._parameters = Parameters(self, PoseOptions, self._change, reload=PIPELINE)
            self._parameters.refuse_unknown(later=BLOCKS)
        except PoseRosError:
            self.destroy_node()
            raise
        self._health = Health(self, "pipeline")
        self._compressed = self._options().compressed
        self._qos = qos.sensor(self._options().reliability, self._options().depth)
        self.create_service(SetBool, "~/enable", self._enable)
        self.create_service(Trigger, "~/reset", self._reset)
        # A group of its own: while it waits for a model, everything else goes on.
        self.create_service(SetModel, "~/set_model", self._set_model, callback_group=MutuallyExclusiveCallbackGroup())
        self.create_timer(_REPORT_S, self._report)
        if self._options().autostart:
            self._starter = self.create_timer(0.0, self._autostart)

    def _options(self) -> PoseOptions:
        return self._parameters.options

    # Life cycle. rclpy swallows what these raise, so they log it.

    def _autostart(self) -> None:
        self._starter.cancel()
        if self._state == "unconfigured" and self.trigger_configure() == _OK:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and advertise."""
        try:
            pipeline = self._build(self._config({}))
            self._calibration = Calibration(self, self._options, self._health.say)
            self._outputs = Outputs(self, self._options)
            self._worker = Worker(self, pipeline, self._subscribe, self._calibration, self._outputs, self._health)
            self._show(pipeline)
        except PoseRosError as error:
            return self._refuse(str(error))
        except Exception:  # otherwise nobody would ever hear of it
            return self._refuse(f"not configured by a fault in the software:\n{traceback.format_exc()}")
        self._state = "inactive"
        return _OK

    def _refuse(self, why: str) -> TransitionCallbackReturn:
        self._health.fail(why)
        self._clear()
        return _FAILURE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to work."""
        assert self._worker is not None
        self._quiet_since = time.monotonic()
        self._worker.start()
        self._state = "active"
        pipeline = self._worker.pipeline
        self.get_logger().info(f"{pipeline.source.name} ({pipeline.source.device}) works on "
                               f"{self.resolve_topic_name(self._options().topic)}")
        return _OK

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop after the frame at hand. No array is published, because there is no image it would belong to."""
        assert self._worker is not None
        self._worker.stop()
        self._state = "inactive"
        return _OK

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the model and the topics."""
        self._clear()
        return _OK

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything."""
        self._clear()
        self._state = "finalized"
        return _OK

    def _clear(self) -> None:
        for part in (self._worker, self._calibration, self._outputs):
            if part is not None:
                part.close()
        self._worker = self._calibration = self._outputs = None
        self._state = "unconfigured"

    def close(self) -> None:
        """End the worker; the node can be destroyed after it."""
        self._clear()

    # Pipeline.

    def _config(self, changes: Mapping[str, Any], model: str = "") -> dict[str, Any]:
        """Return the configuration of a pipeline: what holds at present, with changes."""
        options = {**dataclasses.asdict(self._options()), **changes}
        config: dict[str, Any] = {name: options[name] for name in PIPELINE}
        running = dict(parts(self._worker.pipeline)) if self._worker is not None else {}
        if not running:
            return {**config, **{block: self._parameters.given(block) for block in BLOCKS}}
        detector, estimator = parse_model(config["model"], Store())
        for block, part in running.items():
            card = {"detector": detector, "estimator": estimator}.get(block)
            # Options of a plugin mean nothing to another one.
            if block not in ("detector", "estimator") or (card is not None and card.plugin == part.card.plugin):
                config[block] = dataclasses.asdict(changes.get(block, part.options))
        return config

    def _build(self, config: Mapping[str, Any]) -> Pipeline:
        return build(config, allow_fetch=self._options().allow_fetch)

    async def _replace(self, config: Mapping[str, Any]) -> str:
        """Load another pipeline while the present one goes on; return what went wrong, or nothing."""
        loaded: Future = Future(executor=self.executor)
        # Awaiting does not wake the executor when the future is done; a callback does.
        loaded.add_done_callback(lambda _: None)

        def load() -> None:
            try:
                loaded.set_result((self._build(config), ""))
            except PoseRosError as error:
                loaded.set_result((None, str(error)))
            except Exception:  # it would die with this thread, and the caller would wait for ever
                loaded.set_result((None, f"fault in the software:\n{traceback.format_exc()}"))

        self._loading = config["model"]
        threading.Thread(target=load, name="loader", daemon=True).start()
        pipeline, problem = await loaded
        self._loading = ""
        if pipeline is not None and self._worker is None:
            problem = "the node was cleaned up meanwhile"
        if problem:
            self._health.fail(f"{config['model']} was not loaded: {problem}")
        else:
            self._worker.swap(pipeline)  # type: ignore[union-attr]
            self.get_logger().info(f"{pipeline.source.name} ({pipeline.source.device}) takes over")
            self._show(pipeline)
            self._parameters.put(**{name: config[name] for name in PIPELINE})
        return problem

    def _show(self, pipeline: Pipeline) -> None:
        """Let the parameters of the parts be those of this pipeline."""
        for block in BLOCKS:
            self._parameters.remove(block)
        for block, part in parts(pipeline):
            kind = type(part.options)
            names = [s.name for s in specs(kind)]
            self._parameters.add(block, kind, dataclasses.asdict(part.options), reload=names)

    def _change(self, block: str, old: Any, new: Any) -> None:
        """Take a change of parameters: at once where the options are live, by loading where they are not."""
        names = PIPELINE if block == "" else [s.name for s in specs(type(new))]
        live = {s.name for s in specs(type(new)) if s.live} - {"model"}
        changed = {n for n in names if getattr(old, n) != getattr(new, n)}
        if not changed or self._worker is None:
            return
        if changed <= live:
            dict(parts(self._worker.pipeline))[block].options = new
            return
        if self._loading:
            raise ConfigError(block, f"'{self._loading}' is being loaded; try again when it is done")
        config = self._config({block: new} if block else {n: getattr(new, n) for n in PIPELINE})
        assert self.executor is not None
        self._loading = config["model"]
        self.executor.create_task(self._reload(config, block, old))

    async def _reload(self, config: Mapping[str, Any], block: str, old: Any) -> None:
        if await self._replace(config):
            if block:
                self._show(self._worker.pipeline) if self._worker else None
            else:
                self._parameters.put(**{name: getattr(old, name) for name in PIPELINE})

    # Services and timers.

    async def _set_model(self, request: SetModel.Request, response: SetModel.Response) -> SetModel.Response:
        began = time.monotonic()
        response.success = False
        if self._worker is None:
            response.message = "the node is not configured; set parameter model and configure it"
            return response
        if self._loading:
            response.message = f"'{self._loading}' is being loaded; try again when it is done"
        else:
            changes = {"model": request.model, **({"device": request.device} if request.device else {})}
            try:
                response.message = await self._replace(self._config(changes))
            except PoseRosError as error:
                response.message = str(error)
            response.success = not response.message
            response.load_s = time.monotonic() - began
        if self._worker is not None:
            source = self._worker.pipeline.source
            response.model, response.device = source.name, source.device
            response.message = response.message or f"{source.name} takes over with the next frame"
        return response

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success = self._worker is not None
        response.message = "the node is not configured"
        if self._worker is not None:
            self._worker.enabled = request.data
            response.message = "working" if request.data else "paused: no image is taken"
        return response

    def _reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._worker is not None
        response.message = "all tracks end before the next frame" if response.success else "the node is not configured"
        if self._worker is not None:
            self._worker.reset()
        return response

    def _subscribe(self) -> Intake:
        self._quiet_since = time.monotonic()
        return Intake(self, CompressedImage if self._compressed else Image, self._options().topic, self._qos)

    def _report(self) -> None:
        """Publish diagnostics, and say why no image comes."""
        worker, state, warning = self._worker, self._state, ""
        source = worker.pipeline.source if worker is not None else None
        if worker is not None and state == "active":
            state = ("active" if worker.listening else "paused" if not worker.enabled else "idle: nobody listens")
            warning = self._silence() if worker.listening else ""
        elif not self._loading and 0 < self._options().watchdog < time.monotonic() - self._quiet_since:
            name = self.get_fully_qualified_name()
            step = "configure" if state == "unconfigured" else "activate"
            warning = f"no image is taken, because the node is {state}; ros2 lifecycle set {name} {step}"
        if warning:
            self._health.say(warning)
        self._health.report(
            f"{state}, loading {self._loading}" if self._loading else state, warning,
            detections=getattr(source, "detections", ""), model=source.name if source else self._options().model,
            device=source.device if source else self._options().device,
        )

    def _silence(self) -> str:
        """Return why no image has come for too long; empty while they come."""
        received, now, limit = self._health.received, time.monotonic(), self._options().watchdog
        if received != self._received:
            self._received, self._quiet_since = received, now
        if not limit or now - self._quiet_since < limit:
            return ""
        kind = "CompressedImage" if self._compressed else "Image"
        why = why_silent(self, self._options().topic, f"sensor_msgs/msg/{kind}", self._qos)
        return f"no image for {now - self._quiet_since:.0f} s: {why}"


def main(args: Sequence[str] | None = None) -> int:
    """Run the node as a process."""

    def make(context: Context, stop: Stop) -> PoseNode:
        return PoseNode(context=context)

    keep_freed_memory()
    return run(make, args)
