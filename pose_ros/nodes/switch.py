# SPDX-License-Identifier: Apache-2.0
"""Switch: which pipeline a pose node runs, and how another takes its place while it runs."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from typing import Any

from rclpy.node import Node
from rclpy.task import Future

from pose_ros.core.options import from_mapping, specs
from pose_ros.errors import ConfigError, PoseRosError
from pose_ros.models.store import Store
from pose_ros.nodes.pose_options import PIPELINE, PoseOptions, pieces
from pose_ros.nodes.worker import Worker
from pose_ros.pipeline import Pipeline
from pose_ros.ros.health import Health
from pose_ros.ros.params import Parameters
from pose_ros.wiring import BLOCKS, FURTHER, build, parse_model


class Switch:
    """The parameters of a pose node, and the pipeline they stand for. Used by the executor's thread only."""

    def __init__(self, node: Node, health: Health) -> None:
        """Declare the parameters; those of the pieces follow when a model is loaded.

        Raises:
            ConfigError: A parameter does not fit.
        """
        self._node, self._health = node, health
        self._parameters = Parameters(node, PoseOptions, self._change, reload=PIPELINE)
        self._parameters.refuse_unknown(later=BLOCKS)
        #: What runs the pipeline; None while nothing is configured.
        self.worker: Worker | None = None
        #: Options of the pieces that ran last, by block and plugin: a model that comes back finds them again.
        self._kept: dict[tuple[str, str], dict[str, Any]] = {}
        #: What is being loaded; empty when nothing is.
        self.loading = ""

    @property
    def options(self) -> PoseOptions:
        """What holds at present."""
        return self._parameters.options

    def block(self, name: str) -> Any:
        """Return the options of a piece as they are now; None where nothing has such."""
        return self._parameters.get(name)

    def first(self) -> Pipeline:
        """Build the pipeline that the parameters ask for.

        Raises:
            PoseRosError: Anything that does not fit, named.
        """
        blocks = {block: self._parameters.given(block) for block in BLOCKS}
        pipeline = self._build({**{name: getattr(self.options, name) for name in PIPELINE}, **blocks})
        self._show(pipeline)
        return pipeline

    async def to(self, changes: Mapping[str, Any]) -> str:
        """Load another pipeline while the present one goes on, then let it take over.

        Args:
            changes: Of :class:`~pose_ros.wiring.PipelineOptions`, and blocks as dataclasses.

        Returns:
            What went wrong; empty when nothing did.
        """
        try:
            config = self._config(changes)
        except PoseRosError as error:
            return str(error)
        loaded: Future = Future(executor=self._node.executor)
        # Awaiting does not wake the executor when the future is done; a callback does.
        loaded.add_done_callback(lambda _: None)
        self.loading = config["model"]
        # It may hang in a driver or a download, and must not keep the process from ending.
        threading.Thread(target=self._load, args=(config, loaded), name="loader", daemon=True).start()
        pipeline, problem = await loaded
        self.loading = ""
        if self.worker is None:
            return "the node was cleaned up meanwhile"
        if problem is not None:
            self._health.fail(problem)
            return str(problem)
        self.worker.swap(pipeline)
        self._node.get_logger().info(f"{pipeline.source.name} ({pipeline.source.device}) takes over")
        self._show(pipeline)
        self._parameters.put(**{name: config[name] for name in PIPELINE})
        return ""

    def _load(self, config: Mapping[str, Any], loaded: Future) -> None:
        try:
            loaded.set_result((self._build(config), None))
        except Exception as error:  # a plugin of a third party may raise anything, and somebody waits for an answer
            loaded.set_result((None, error))

    def _build(self, config: Mapping[str, Any]) -> Pipeline:
        return build(config, allow_fetch=self.options.allow_fetch)

    def _config(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration of the running pipeline, with changes."""
        config = {name: changes.get(name, getattr(self.options, name)) for name in PIPELINE}
        detector, estimator = parse_model(config["model"], Store())
        cards = {"detector": detector, "estimator": estimator}
        for name, (_, block) in FURTHER.items():
            options = changes.get(name) or self._parameters[name]
            config[name] = dataclasses.asdict(options)
            # A lifter has no detector before it.
            cards[block] = Store().card(options.model.rpartition("+")[2]) if options.model else None
        for block, piece in pieces(self.worker.pipeline) if self.worker is not None else ():
            plugin = piece.card.plugin if block in cards else ""
            self._kept[block, plugin] = dataclasses.asdict(changes.get(block, piece.options))
        for block in [b for b in BLOCKS if b not in FURTHER]:
            card = cards.get(block)
            if block not in cards:
                config[block] = self._kept.get((block, ""), self._parameters.given(block))
            elif card is not None:
                # The options of one plugin mean nothing to another.
                config[block] = self._kept.get((block, card.plugin), {})
        return config

    def _show(self, pipeline: Pipeline) -> None:
        """Let the parameters of the pieces be those of this pipeline."""
        shown = {block: piece.options for block, piece in pieces(pipeline)}
        for name, (kind, _) in FURTHER.items():
            # What is not looked at has its parameters too: with a model it will be.
            if name not in shown:
                given = from_mapping(kind, self._parameters.given(name), name)
                off = {key: value for key, value in {"model": "", "own": False}.items() if hasattr(given, key)}
                shown[name] = dataclasses.replace(self._parameters.get(name) or given, **off)
        for block in BLOCKS:
            self._parameters.remove(block)
        for block, options in shown.items():
            names = [s.name for s in specs(type(options))]
            self._parameters.add(block, type(options), dataclasses.asdict(options), reload=names)

    def _change(self, block: str, old: Any, new: Any) -> None:
        """Take a change of parameters: at once where the part reads them anew, by loading where it does not."""
        mine = [s for s in specs(type(new)) if block or s.name in PIPELINE]
        changed = {s.name: s.live and s.name != "model" for s in mine if getattr(old, s.name) != getattr(new, s.name)}
        if not changed or self.worker is None:
            return
        if all(changed.values()):
            for name, piece in pieces(self.worker.pipeline):
                if name == block:
                    piece.options = new
            return
        if self.loading:
            raise ConfigError(block or "model", f"'{self.loading}' is being loaded; try again when it is done")
        changes = {block: new} if block else {name: getattr(new, name) for name in changed}
        self.loading = self._config(changes)["model"]
        assert self._node.executor is not None
        self._node.executor.create_task(self._follow, changes, old)

    async def _follow(self, changes: Mapping[str, Any], old: Any) -> None:
        """Load what the parameters say; where that fails, let them say again what runs."""
        if await self.to(changes) and self.worker is not None:
            self._show(self.worker.pipeline)
            if isinstance(old, PoseOptions):
                self._parameters.put(**{name: getattr(old, name) for name in PIPELINE})
