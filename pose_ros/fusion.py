# SPDX-License-Identifier: Apache-2.0
"""Fusion: what several cameras see -> subjects in their world, over time. No ROS, no files; time comes from stamps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from pose_ros.anatomy.describe import described
from pose_ros.anatomy.limb_fit import LimbFit
from pose_ros.core.poses import Poses
from pose_ros.core.stages import Stages
from pose_ros.multiview.fuse import Fuser
from pose_ros.multiview.parents import with_parents
from pose_ros.multiview.rig import Rig
from pose_ros.pipeline import Result
from pose_ros.tracking.point_filter import PointFilter
from pose_ros.tracking.track import Tracker


class Fusion:
    """Fuse, track, filter, describe; starts over when time runs backwards.

    Then the same for the hands and faces of the subjects, each by a fusion of its own.
    """

    def __init__(
        self, fuser: Fuser, tracker: Tracker, smoother: PointFilter | None = None,
        parts: Mapping[str, Fusion] | None = None,
    ) -> None:  # fmt: skip
        """Join the pieces.

        Args:
            fuser: Makes subjects in the world.
            tracker: Gives ids.
            smoother: Filters the positions of tracked subjects over time.
            parts: ``hands``, ``faces``: what fuses those; their trackers share the numbers of ``tracker``.
        """
        self.fuser, self.tracker, self.smoother = fuser, tracker, smoother
        self.parts = dict(parts or {})
        self._bones = LimbFit()
        self._ended: list[int] = []
        self._stamp_ns: int | None = None
        #: How often time ran backwards.
        self.time_jumps = 0

    def __call__(
        self, rig: Rig, views: Mapping[str, tuple[int, Poses]], stamp_ns: int, stages: Stages | None = None,
        now: Callable[[], int] | None = None, parts: Mapping[str, Mapping[str, tuple[int, Poses]]] | None = None,
    ) -> Result:  # fmt: skip
        """Return who is where.

        Args:
            rig: All cameras.
            views: Camera -> when, nanoseconds, and what it saw; all in one skeleton.
            stamp_ns: The moment to speak of.
            stages: Takes the times.
            now: Says what time it is, nanoseconds, for points as they should be by now where the filter's options ask
                for them.
            parts: ``hands``, ``faces``: views of those, whose ``parents`` are the ``ids`` of the same camera's view.

        Raises:
            UnknownNameError: A view is of a camera that is not in the rig.
            ConfigError: There is no view, or they have different skeletons.
        """
        stages, later = stages or Stages(), None
        # All of one message holds for one moment.
        now = None if now is None else cache(now)
        if self._stamp_ns is not None and stamp_ns < self._stamp_ns:
            self.time_jumps += 1
            self.reset()
        self._stamp_ns = stamp_ns
        with stages("fuse"):
            poses = self.fuser(rig, views, stamp_ns)
        fused = len(poses)
        with stages("track"):
            poses, gone = self.tracker.update(poses, stamp_ns)
            self._ended += gone
        ids = poses.ids[:fused]
        if self.smoother is not None:
            with stages("filter"):
                poses = self.smoother(poses, stamp_ns)
                if now is not None and self.smoother.options.predict_to_now:
                    later = max(now(), stamp_ns)
                    poses = self.smoother.predicted(poses, later)
                if self.smoother.options.fit_bones:
                    poses = self._bones(poses, stamp_ns)
        if poses.skeleton.measures or poses.skeleton.frames:
            with stages("describe"):
                poses = described(poses, None)
        found: dict[str, Result] = {}
        for name, seen in (parts or {}).items():
            with stages(name):
                own = with_parents(seen, views, self.fuser.members, ids)
                found[name] = self.parts[name](rig, own, stamp_ns, now=now)
        ended, self._ended = tuple(self._ended), []
        return Result(poses, ended, stages, found, later)

    def reset(self) -> None:
        """Forget everything about earlier moments; the ids that end with it stand in the next result."""
        self._stamp_ns = None
        self.fuser.reset()
        self._ended += self.tracker.reset()
        self._bones.reset()
        if self.smoother is not None:
            self.smoother.reset()
        for part in self.parts.values():
            part.reset()
