# SPDX-License-Identifier: Apache-2.0
"""Space: where the keypoints of an image are in metres, by the best that is known, and calmly over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pose_ros.anatomy.limb_fit import LimbFit
from pose_ros.anatomy.metric import HEIGHT_M, HEIGHT_SIGMA_M, lasting
from pose_ros.core.frame import Fixed, Frame
from pose_ros.core.place import placed
from pose_ros.core.poses import Poses
from pose_ros.core.stages import Stages
from pose_ros.lifters.lifting import Lifting
from pose_ros.rgbd.measure import DepthMeasurer
from pose_ros.tracking.point_filter import FilterOptions, PointFilter

#: Networks that give shapes in metres from one picture do not know how large somebody is: they are wrong by what adults
#: differ ...
_SCALE_SIGMA = HEIGHT_SIGMA_M / HEIGHT_M
#: ... and each coordinate by about this part of the way from the root to the farthest keypoint (docs/lifting.md).
_SHAPE_SIGMA = 0.05


class Moment(NamedTuple):
    """For when points are wanted."""

    #: Nanoseconds, by the clock of the stamps.
    stamp_ns: int
    #: Where the camera stands then; as in :class:`Frame`.
    fixed: Fixed | None


#: Says the present moment, of a frame.
Now = Callable[[Frame], Moment]


class Space:
    """Depth where there is a depth image; else what a lifter says; else the estimator's own shape, placed by its rays.

    Then the points are filtered over time. Without a calibrated camera there are no points. While depth is missing for
    a moment, a filter that predicts knows better where everybody is than any guess, and nothing is guessed.
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
        self.depth, self.lifting, self.filter, self.bones = depth or DepthMeasurer(), lifting, filter, LimbFit()
        #: When there was depth last.
        self._measured_ns: int | None = None

    @property
    def filter_options(self) -> FilterOptions:
        """How points are filtered; not at all without a filter."""
        return FilterOptions(kind="none") if self.filter is None else self.filter.options

    def reset(self) -> None:
        """Forget everything about earlier frames."""
        self._measured_ns = None
        for piece in (self.depth, self.lifting, self.filter, self.bones):
            if piece is not None:
                piece.reset()

    def __call__(self, poses: Poses, frame: Frame, stages: Stages, now: Now | None = None) -> tuple[Poses, int]:
        """Return the poses with all that is known of them in metres, and the stamp for which that holds.

        Args:
            poses: Of the frame, with ids.
            frame: With a camera, and perhaps with depth.
            stages: Takes the times.
            now: Where points are wanted as they should be by now, if the filter's options say so.
        """
        bridged = self._bridged(frame)
        guessed = frame.depth is None and self.lifting is None and poses.points is None and not bridged
        if not bridged:
            poses = self._metric(poses, frame, stages)
        local, stamp_ns = poses.local_points, frame.stamp_ns
        if self.filter is not None and frame.camera is not None:
            with stages("filter"):
                poses, stamp_ns = self._filtered(self.filter, poses, frame, now)
            if frame.depth is not None and self.filter.options.fit_bones:
                with stages("fit"):
                    poses = self.bones(poses, frame.stamp_ns)
        if guessed and local is not None and poses.points is not None and poses.covariances is not None:
            extent = np.fmax.reduce(np.linalg.norm(local, axis=2), axis=1, initial=0)
            wrong = lasting(poses.points, _SCALE_SIGMA, _SHAPE_SIGMA * extent)
            poses = poses.replace(covariances=poses.covariances + wrong)
        return poses, stamp_ns

    @staticmethod
    def _filtered(filter: PointFilter, poses: Poses, frame: Frame, now: Now | None) -> tuple[Poses, int]:
        """Return calm points, and the stamp for which they hold."""
        fixed = frame.fixed or (None, None)
        poses = filter(poses, frame.stamp_ns, *fixed)
        if now is None or not filter.options.predict_to_now or filter.options.kind == "none":
            return poses, frame.stamp_ns
        moment = now(frame)
        if moment.stamp_ns <= frame.stamp_ns:
            return poses, frame.stamp_ns
        poses = filter.predicted(poses, moment.stamp_ns, *fixed)
        if frame.fixed is not None and moment.fixed is not None:
            poses = _seen_from(poses, frame.fixed, moment.fixed)
        return poses, moment.stamp_ns

    def _bridged(self, frame: Frame) -> bool:
        """Return whether there is no depth, and the filter predicts since there was some."""
        if frame.depth is not None:
            self._measured_ns = frame.stamp_ns
        options, since_ns = self.filter_options, self._measured_ns
        if frame.depth is not None or options.kind != "kalman" or since_ns is None:
            return False
        return frame.stamp_ns - since_ns <= options.max_gap * 1e9

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


def _seen_from(poses: Poses, old: Fixed, new: Fixed) -> Poses:
    """Return points of a camera's frame in the frame that it has when it stands elsewhere."""
    if poses.points is None or poses.covariances is None:
        return poses
    turn = new[0].T @ old[0]
    shift = new[0].T @ (old[1] - new[1])
    return poses.replace(points=poses.points @ turn.T + shift, covariances=turn @ poses.covariances @ turn.T)
