# SPDX-License-Identifier: Apache-2.0
"""Space: where the keypoints of an image are in metres, by the best that is known, and calmly over time."""

from __future__ import annotations

from collections.abc import Callable

from pose_ros.core.frame import Frame
from pose_ros.core.place import placed
from pose_ros.core.point_filter import PointFilter
from pose_ros.core.poses import Poses
from pose_ros.core.rgbd import DepthMeasurer
from pose_ros.core.stages import Stages
from pose_ros.lifters.lifting import Lifting

#: Says what time it is, nanoseconds, by the clock of the stamps.
Clock = Callable[[], int]


class Space:
    """Depth where there is a depth image; else what a lifter says; else the estimator's own shape, placed by its rays.

    Then the points are filtered over time. Without a calibrated camera there are no points.
    """

    def __init__(
        self, depth: DepthMeasurer | None = None, lifting: Lifting | None = None, filter: PointFilter | None = None
    ) -> None:
        """Join the pieces.

        Args:
            depth: Measures with depth images; one with its usual options when left out.
            lifting: Lifts bodies where there is no depth.
            filter: Of points over time; needs ids.
        """
        self.depth, self.lifting, self.filter = depth or DepthMeasurer(), lifting, filter

    def reset(self) -> None:
        """Forget everything about earlier frames."""
        for piece in (self.depth, self.lifting, self.filter):
            if piece is not None:
                piece.reset()

    def __call__(self, poses: Poses, frame: Frame, stages: Stages, now: Clock | None = None) -> tuple[Poses, int]:
        """Return the poses with all that is known of them in metres, and the stamp for which that holds.

        Args:
            poses: Of the frame, with ids.
            frame: With a camera, and perhaps with depth.
            stages: Takes the times.
            now: Where points are wanted as they should be by now, if the filter's options say so.
        """
        poses = self._metric(poses, frame, stages)
        if self.filter is None or frame.camera is None:
            return poses, frame.stamp_ns
        with stages("filter"):
            fixed = frame.fixed or (None, None)
            poses = self.filter(poses, frame.stamp_ns, *fixed)
            if now is None or poses.points is None or not self.filter.options.predict_to_now:
                return poses, frame.stamp_ns
            stamp_ns = max(now(), frame.stamp_ns)
            return self.filter.predicted(poses, stamp_ns, *fixed), stamp_ns

    def _metric(self, poses: Poses, frame: Frame, stages: Stages) -> Poses:
        if frame.camera is not None and frame.depth is not None:
            with stages("depth"):
                return self.depth(poses, frame.camera, frame.depth, frame.stamp_ns)
        if self.lifting is not None:
            with stages("lift"):
                return self.lifting(poses, frame)
        if frame.camera is not None and poses.points is None and poses.local_points is not None:
            with stages("place"):
                return placed(poses, frame.camera)
        return poses
