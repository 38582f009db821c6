# SPDX-License-Identifier: Apache-2.0
"""Options of the action node: its own; those of the recognisers stand in blocks with their names."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pose_ros.core.options import option
from pose_ros.recognition import RecognitionOptions, default_rules, options_of
from pose_ros.wiring import ComputeOptions


@dataclass(frozen=True)
class ActionOptions(ComputeOptions, RecognitionOptions):
    """Whom to watch, for what, and when it counts."""

    plugin: str = option("action_node", "Which node runs under this name.", choices=("action_node",))
    skeletons_topic: str = option("pose/skeletons", "Skeletons to watch; 'skeleton_info' is expected beside it.")
    hands: bool = option(True, "Watch the hands that the pose node finds, too, where a recogniser is for hands: "
                         "'hands/skeletons' beside skeletons_topic. Rules of bodies are shown their fingers.")
    hands_wait: float = option(0.05, "Longest wait for the hands of a moment, while any come.", unit="s", low=0.0,
                               high=10.0, live=True)
    faces: bool = option(False, "The same of faces: 'faces/skeletons'.")
    recognisers: tuple[str, ...] = option((), "Names of rules and of models whose kind is recogniser; empty: all rules "
                                          "of this package.")
    gravity_frame: str = option(
        "", "TF frame that does not move and whose z points up, such as 'odom' or 'map', for cameras that move or are "
        "not level; empty: the camera is taken to stand still, and to be level.",
    )
    target_frames: tuple[str, ...] = option((), "TF frames that people may point at; needs gravity_frame.")
    target_angle: float = option(0.26, "Largest angle between where somebody points and what is meant.", unit="rad",
                                 low=0.0, high=1.5, live=True)
    floor: bool = option(True, "Whether the ground, z = 0 of gravity_frame, may be pointed at.", live=True)
    tf_wait: float = option(0.2, "Longest wait for the transforms of a moment.", unit="s", low=0.0, high=10.0,
                            live=True)
    allow_fetch: bool = option(False, "Whether missing model files may be downloaded.")
    autostart: bool = option(True, "Configure and activate at start; otherwise a lifecycle manager does.")
    watchdog: float = option(3.0, "Say why, when no skeletons have come for this long; 0 never.", unit="s", low=0.0,
                             high=3600.0, live=True)

    @property
    def names(self) -> tuple[str, ...]:
        """Recognisers that are asked for."""
        return self.recognisers or default_rules()

    @property
    def run(self) -> dict[str, Any]:
        """What networks run on, as :func:`pose_ros.recognition.recognisers` takes it."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(ComputeOptions)}

    def blocks(self) -> Mapping[str, type]:
        """Return block -> options of the recognisers.

        Raises:
            PoseRosError: There is none of that name.
        """
        return {name: options_of(name) for name in self.names}


