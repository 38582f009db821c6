# SPDX-License-Identifier: Apache-2.0
"""What all sources of poses have in common."""

from __future__ import annotations

from typing import Protocol

from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.core.stages import Stages


class PoseSource(Protocol):
    """Where a pipeline gets its poses from."""

    skeleton: Skeleton
    #: What runs, in the grammar of SetModel: ``[detector+]estimator``.
    name: str
    #: Where it really runs.
    device: str

    def __call__(self, frame: Frame, stages: Stages, whole: Poses | None = None) -> Poses:
        """Estimate all poses in a frame; ``whole`` are those of which they are parts, such as the bodies of hands."""
        ...

    def reset(self) -> None:
        """Forget everything about earlier frames."""
        ...
