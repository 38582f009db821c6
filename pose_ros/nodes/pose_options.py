# SPDX-License-Identifier: Apache-2.0
"""Options of the pose node: its own, and those of the pipeline it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pose_ros.core.options import option
from pose_ros.parts import OwnPart, Part
from pose_ros.pipeline import Pipeline
from pose_ros.ros.outputs import OutputOptions
from pose_ros.ros.surroundings import SurroundingsOptions
from pose_ros.sources import OneStage, TopDown
from pose_ros.wiring import BLOCKS, PARTS, PipelineOptions

#: Names of the options that make a pipeline.
PIPELINE = tuple(f.name for f in dataclasses.fields(PipelineOptions))


@dataclass(frozen=True)
class PoseOptions(OutputOptions, SurroundingsOptions, PipelineOptions):
    """What to run, on which images, and what to say about them."""

    plugin: str = option("pose_node", "Which node runs under this name.", choices=("pose_node",))
    image_topic: str = option("image", "Images to work on; a name that ends in '/compressed' or '/shared' selects that "
                                       "transport.")
    image_transport: str = option(
        "raw", "How images travel: as image_transport names it, or shared, where they stay in memory that camera_node "
        "shares with the nodes of its machine.", choices=("raw", "compressed", "shared"),
    )
    reliability: str = option(
        "best_effort", "Quality of service of the image subscription; best_effort also hears reliable publishers.",
        choices=("best_effort", "reliable"),
    )
    depth: int = option(1, "Images that may wait; 1: the newest wins.", low=1, high=1000)
    autostart: bool = option(True, "Configure and activate at start; otherwise a lifecycle manager does.")
    allow_fetch: bool = option(False, "Whether missing model files may be downloaded.", live=True)
    watchdog: float = option(
        3.0, "Say why, when no image has come for this long; 0 never.", unit="s", low=0.0, high=3600.0, live=True
    )

    @property
    def transport(self) -> str:
        """How images travel; a topic that says so itself is right."""
        suffix = self.image_topic.rpartition("/")[2]
        return suffix if suffix in ("compressed", "shared") else self.image_transport

    @property
    def topic(self) -> str:
        """Topic of the images, with the suffix that image_transport appends."""
        suffix = "" if self.transport == "raw" else f"/{self.transport}"
        return self.image_topic.removesuffix(suffix) + suffix


def pieces(pipeline: Pipeline) -> Iterator[tuple[str, Any]]:
    """Yield the name of its block and every piece of a pipeline that has options."""
    source = pipeline.source
    for block in BLOCKS:
        piece = getattr(source, block, None) or getattr(pipeline, block, None)
        if isinstance(source, {"top_down": TopDown, "one_stage": OneStage}.get(block, ())):
            piece = source
        if piece is not None and dataclasses.is_dataclass(piece.options):
            yield block, piece
    yield from _spatial(pipeline)
    for name, part in pipeline.parts.items():
        yield from _spatial(part)
        if part.tracker is not None:
            yield "tracker", part.tracker
        assert isinstance(part.source, (OwnPart, Part))
        yield name, part.source
        if isinstance(part.source, Part):
            yield PARTS[name], part.source.estimator


def _spatial(pipeline: Pipeline) -> Iterator[tuple[str, Any]]:
    """Yield what knows of metres."""
    space = pipeline.space
    yield "rgbd", space.depth
    if space.filter is not None:
        yield "filter", space.filter
    if space.lifting is not None:
        yield "lifting", space.lifting
        yield "lifter", space.lifting.lifter
