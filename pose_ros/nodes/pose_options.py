# SPDX-License-Identifier: Apache-2.0
"""Options of the pose node: its own, and those of the pipeline it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pose_ros.build import BLOCKS, PipelineOptions
from pose_ros.core.options import option
from pose_ros.pipeline import Pipeline, TopDown

#: Names of the options that make a pipeline.
PIPELINE = tuple(f.name for f in dataclasses.fields(PipelineOptions))


@dataclass(frozen=True)
class PoseOptions(PipelineOptions):
    """What to run, on which images, and what to say about them."""

    plugin: str = option("pose_node", "Which node runs under this name.", choices=("pose_node",))
    image_topic: str = option("image", "Images to work on; a name that ends in '/compressed' selects compressed ones.")
    image_transport: str = option(
        "raw", "How images travel, as image_transport names it.", choices=("raw", "compressed")
    )
    camera_info_topic: str = option("camera_info", "Calibration of the camera; without one there is no metric 3D.")
    camera_info_max_age: float = option(
        5.0, "How far stamps of image and camera_info may lie apart; 0 for any distance.", unit="s", low=0.0, high=1e6,
        live=True,
    )
    rectified: bool = option(False, "Images are rectified: use P of camera_info instead of K and D.", live=True)
    reliability: str = option(
        "best_effort", "Quality of service of the image subscription; best_effort also hears reliable publishers.",
        choices=("best_effort", "reliable"),
    )
    depth: int = option(1, "Images that may wait; 1: the newest wins.", low=1, high=1000)
    autostart: bool = option(True, "Configure and activate at start; otherwise a lifecycle manager does.")
    allow_fetch: bool = option(False, "Whether missing model files may be downloaded.", live=True)
    min_score: float = option(
        0.3, "Keypoints below it are not drawn and get no TF frame; skeletons hold them all.", low=0.0, high=1.0,
        live=True,
    )
    publish_tf: bool = option(True, "Publish keypoints as TF frames, where metric positions are known.", live=True)
    tf_prefix: str = option("", "Put before every TF frame, such as 'robot1/'.", live=True)
    tf_kind: str = option(
        "body", "Kind of subject in the names of TF frames: <prefix><kind>_<id>/<keypoint>.", live=True
    )
    annotated_rate: float = option(
        15.0, "Most annotated images per second; 0 for every one.", unit="Hz", low=0.0, high=1000.0, live=True
    )
    jpeg_quality: int = option(80, "Quality of compressed annotated images.", low=1, high=100, live=True)
    watchdog: float = option(
        3.0, "Say why, when no image has come for this long; 0 never.", unit="s", low=0.0, high=3600.0, live=True
    )

    @property
    def compressed(self) -> bool:
        """Whether compressed images are subscribed to."""
        return self.image_transport == "compressed" or self.image_topic.endswith("/compressed")

    @property
    def topic(self) -> str:
        """Topic of the images, with the suffix that image_transport appends."""
        bare = self.image_topic.removesuffix("/compressed")
        return f"{bare}/compressed" if self.compressed else bare


def parts(pipeline: Pipeline) -> Iterator[tuple[str, Any]]:
    """Yield the name of its block and every part of a pipeline that has options."""
    source = pipeline.source
    for block in BLOCKS:
        part = getattr(source, block, None) or getattr(pipeline, block, None)
        if block == "top_down" and isinstance(source, TopDown):
            part = source
        if part is not None and dataclasses.is_dataclass(part.options):
            yield block, part
