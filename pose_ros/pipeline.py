# SPDX-License-Identifier: Apache-2.0
"""Pipeline: Frame -> Poses over time. No ROS, no files; time comes from the stamps of the frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from pose_ros.anatomy.describe import described, tells
from pose_ros.core.back_off import BackOff
from pose_ros.core.frame import Frame
from pose_ros.core.join import join
from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.core.stages import Stages
from pose_ros.errors import PartError, PoseRosError
from pose_ros.sources import PoseSource
from pose_ros.space import Now, Space
from pose_ros.tracking.appearance import appearance
from pose_ros.tracking.smooth import PoseSmoother
from pose_ros.tracking.track import Tracker

#: Parts that fail are tried again after this time, which doubles with every failure up to the longest; seconds.
_RETRY_S, _LONGEST_RETRY_S = 0.5, 30.0


@dataclass(frozen=True, eq=False)
class Result:
    """What a pipeline says about one frame."""

    poses: Poses
    #: Ids of the tracks that ended with this frame.
    ended_ids: tuple[int, ...]
    stages: Stages
    #: ``hands``, ``faces``: what is said of those, whose ``parents`` are the ids of ``poses``.
    parts: Mapping[str, Result] = field(default_factory=dict)
    #: For when what stands in metres holds, nanoseconds; None: when the image was taken.
    stamp_ns: int | None = None
    #: What it was told from, with what came later than the image; None where that is more than one image.
    frame: Frame | None = None

    def untimed(self) -> Result:
        """Return the same without times, which no two runs share."""
        return replace(self, stages=Stages(), parts={name: part.untimed() for name, part in self.parts.items()})

    @property
    def part_poses(self) -> dict[str, Poses]:
        """The poses of each kind of parts."""
        return {name: part.poses for name, part in self.parts.items()}


class Pipeline:
    """Estimate, track, smooth, measure in metres, describe; starts over when time runs backwards.

    Then the same for the parts of the subjects, each by a pipeline of its own.
    """

    def __init__(
        self,
        source: PoseSource,
        tracker: Tracker | None = None,
        skeleton: Skeleton | None = None,
        smoother: PoseSmoother | None = None,
        parts: Mapping[str, Pipeline] | None = None,
        space: Space | None = None,
    ) -> None:
        """Join the pieces.

        Args:
            source: Where poses come from.
            tracker: Gives ids; without one, subjects stay untracked.
            skeleton: What to convert results to; the source's own when left out. One that has hands and faces in it
                takes them from the parts.
            smoother: Takes the tremble out of tracked subjects; needs a tracker.
            parts: ``hands``, ``faces``: what looks at those of the subjects.
            space: Knows where keypoints are in metres; one without lifter and filter when left out.
        """
        self.space = space or Space()
        self.source, self.tracker, self.smoother = source, tracker, smoother
        self.skeleton = skeleton or source.skeleton
        self.parts = dict(parts or {})
        #: Told why a part failed, which is then left out and tried again after a while; None: nothing is left out.
        self.fail: Callable[[PoseRosError], None] | None = None
        self._retries: dict[str, BackOff] = {}
        self._stamp_ns: int | None = None
        #: Ids that have ended and were not said to have yet.
        self._ended: list[int] = []
        #: Parts that the pipeline before this one had: their last result, which ends their ids.
        self._left: dict[str, Result] = {}
        #: How often time ran backwards.
        self.time_jumps = 0

    def __call__(
        self, frame: Frame, stages: Stages | None = None, whole: Poses | None = None, now: Now | None = None
    ) -> Result:
        """Process one frame.

        Args:
            frame: The image, and what else is known of this moment.
            stages: Takes the times.
            whole: The subjects whose parts this pipeline looks at.
            now: Says the present moment, for points as they should be by now where that is asked for.
        """
        stages = stages or Stages()
        if self._stamp_ns is not None and frame.stamp_ns < self._stamp_ns:
            self.time_jumps += 1
            self._reset()
        self._stamp_ns = frame.stamp_ns
        poses = self.source(frame, stages, whole)
        if self.tracker is not None:
            with stages("track"):
                looks = appearance(frame.image, poses) if self.tracker.options.appearance else None
                poses, gone = self.tracker.update(poses, frame.stamp_ns, looks)
            self._ended += gone
        elif self.parts:
            # Parts name what they belong to; without a tracker such a name is good for one frame.
            poses = poses.replace(ids=np.arange(1, len(poses) + 1))
        seen = poses
        if self.tracker is not None and self.smoother is not None:
            with stages("track"):
                poses = self.smoother(poses, frame.stamp_ns)
        # All of one message holds for one moment.
        now = None if now is None else cache(now)
        frame = frame.complete(stages)
        poses, stamp_ns = self.space(poses, frame, stages, now)
        parts: dict[str, Result] = {}
        for name, part in self.parts.items():
            # A part is looked for where its subject was seen: what is smoothed lags behind.
            with stages(name):
                parts[name] = self._part(name, part, frame, seen, now)
        if parts and self.skeleton.blocks:
            with stages("join"):
                poses = join(poses, {name: part.poses for name, part in parts.items()}, self.skeleton)
        poses = self._described(poses, frame, stages)
        ended, self._ended = tuple(self._ended), []
        left, self._left = self._left, {}
        later = None if stamp_ns == frame.stamp_ns else stamp_ns
        return Result(poses.to(self.skeleton), ended, stages, {**left, **parts}, later, frame)

    def _part(self, name: str, part: Pipeline, frame: Frame, whole: Poses, now: Now | None) -> Result:
        """Return what is said of one kind of parts: nothing while what looks at them fails, as the whole is seen."""
        retry, failure = self._retries.setdefault(name, BackOff(_RETRY_S, _LONGEST_RETRY_S)), None
        if retry.due(frame.stamp_ns):
            try:
                result = part(frame, whole=whole, now=now)
                retry.succeeded()
                return result
            except Exception as error:  # third parties may raise anything
                if self.fail is None:
                    raise
                failure = error
        if failure is not None and self.fail is not None:
            wait = retry.failed(frame.stamp_ns)
            self.fail(PartError(name, part.source.name, wait, failure))
            part.reset()
        ended, part._ended = tuple(part._ended), []
        return Result(Poses.empty(part.skeleton), ended, Stages())

    @staticmethod
    def _described(poses: Poses, frame: Frame, stages: Stages) -> Poses:
        """Return poses with what their keypoints say of them together, if they are of a kind that says anything."""
        if not tells(poses):
            return poses
        with stages("describe"):
            return described(poses, frame.camera)

    def reset(self) -> None:
        """Forget everything about earlier frames; the ids that end with it stand in the next result."""
        self._reset()
        for part in self.parts.values():
            part.reset()

    def take_over(self, old: Pipeline) -> None:
        """Go on where another pipeline ends: its ids end in the next result, and none of them is given again.

        The next result also holds parts that only the other pipeline had, empty.
        """
        old.reset()
        self._ended, old._ended = old._ended, []
        for name, part in old.parts.items():
            if name in self.parts:
                self.parts[name].take_over(part)
            else:
                old._left[name] = Result(Poses.empty(part.skeleton), tuple(part._ended), Stages())
        for name, result in old._left.items():
            if name in self.parts:
                self.parts[name]._ended += result.ended_ids
            else:
                self._left[name] = result
        if old.tracker is not None:
            for pipeline in (self, *self.parts.values()):
                if pipeline.tracker is not None:
                    pipeline.tracker.numbers = old.tracker.numbers

    def _reset(self) -> None:
        self.source.reset()
        self._stamp_ns = None
        self.space.reset()
        if self.smoother is not None:
            self.smoother.reset()
        if self.tracker is not None:
            self._ended += self.tracker.reset()
