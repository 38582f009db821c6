# SPDX-License-Identifier: Apache-2.0
"""Follow subjects by their keypoints, of an estimator that tells nothing else."""

from __future__ import annotations

import numpy as np

from pose_ros.core.assign import assign
from pose_ros.core.doubles import distinct
from pose_ros.core.poses import Poses, concatenate
from pose_ros.core.regions import Detections, boxes_to_regions, iou
from pose_ros.sources.following import MISSING_EVERY_S, Expected, Following, Look
from pose_ros.sources.options import TopDownOptions
from pose_ros.tracking.framing import Framing

#: A box that keypoints frame and one that the detector finds in that image are of one subject where they overlap so.
_SAME_BOX_IOU = 0.5
#: Keypoints tell where a subject is in the next image when that comes within this time, seconds: who walks moves by a
#: tenth of a height in it, what crops leave around a subject.
_FRAMED_S = 0.2
#: After subjects were lost again and again soon after the detector had looked, it looks in every image for so long,
#: seconds.
_RESTLESS_S = 1.0


class ByKeypoints(Following):
    """Keypoints frame the subjects from one image to the next; every look of the detector starts anew."""

    def __init__(self, detected_ns: int) -> None:
        """Start with nobody, when the detector has just looked."""
        super().__init__(detected_ns)
        #: Between two looks of the detector: how keypoints frame the subjects, how sure it was of each, and how many
        #: of them were not doubles of others.
        self._framing: Framing | None = None
        self._scores, self._apart = np.empty(0, np.float32), 0
        self._last_ns = self._restless_ns = 0
        #: When a subject was last lost soon after the detector had looked.
        self._loss_ns = -(1 << 62)

    def expected(self, look: Look, options: TopDownOptions) -> Expected:
        """Return where the subjects are, by their keypoints or by the detector; see :class:`Following`."""
        self._regions = self._regions[: options.max_subjects]
        if self._is_due(look.stamp_ns, options.detect_every):
            found = self._found(look, options)
            return Expected(found.regions, look.named(found), found)
        return Expected(self._regions, self._labels, None)

    def _is_due(self, stamp_ns: int, every_s: float) -> bool:
        """Return whether to ask the detector."""
        known, late = len(self._regions), stamp_ns - self._last_ns > _FRAMED_S * 1e9
        return (not known or known < len(self._scores) or late or stamp_ns < self._restless_ns
                or not self._rests(stamp_ns, every_s))

    def _found(self, look: Look, options: TopDownOptions) -> Detections:
        found = self._detect(look)
        return found.select(np.arange(min(len(found), options.max_subjects)))

    def seen(self, look: Look, poses: Poses, found: Detections | None, options: TopDownOptions) -> Poses:
        """Return the subjects in their boxes, as sure as the detector was of them; see :class:`Following`."""
        if found is None:
            assert self._framing is not None
            boxes = self._framing.boxes(poses)
            poses, there, apart = poses.replace(boxes=boxes), np.isfinite(boxes).all(axis=1), distinct(poses)
            if not there.all() or len(apart) < self._apart:
                # Somebody is gone, or has run into somebody else.
                self._note_loss(look.stamp_ns)
                poses, found = self._found_again(look, poses.select(apart[there[apart]]), options)
        if found is not None:
            # Only the detector knows who is there and how much of the image that is.
            poses = poses.replace(boxes=np.where(np.isnan(poses.boxes), found.boxes, poses.boxes))
            boxes = self._begin(poses, found, look.stamp_ns)
        regions = boxes_to_regions(boxes)
        sound = np.isfinite(regions).all()
        self._regions, self._labels = regions if options.follow and sound else regions[:0], poses.labels
        self._last_ns = look.stamp_ns
        return options.without_doubles(poses.replace(subject_scores=poses.subject_scores * self._scores))

    def _begin(self, poses: Poses, found: Detections, stamp_ns: int) -> np.ndarray:
        """Learn how the detector frames the subjects, and return how their keypoints do, boxes (N, 4)."""
        if len(found) < len(self._scores) and not self._missing(stamp_ns):
            self._lost_of, self._lost_ns = len(self._scores), stamp_ns
        self._framing = Framing(poses, found.boxes)
        self._scores, self._apart = found.scores, len(distinct(poses))
        return self._framing.boxes(poses)

    def _note_loss(self, stamp_ns: int) -> None:
        """Where subjects are lost all the time, in crowds and in jerky videos, following costs more than it saves."""
        assert self._detected_ns is not None
        if stamp_ns - self._detected_ns < MISSING_EVERY_S * 1e9:
            if stamp_ns - self._loss_ns < 2 * _RESTLESS_S * 1e9:
                self._restless_ns = stamp_ns + round(_RESTLESS_S * 1e9)
            self._loss_ns = stamp_ns

    def _found_again(self, look: Look, sure: Poses, options: TopDownOptions) -> tuple[Poses, Detections]:
        """Ask the detector about everybody, and the estimator about those only who are not among the sure ones."""
        found = self._found(look, options)
        same = assign(iou(sure.boxes, found.boxes), _SAME_BOX_IOU)
        new = np.setdiff1d(np.arange(len(found)), same[:, 1])
        poses = look.estimate(found.regions[new])
        found = found.select(np.concatenate([same[:, 1], new]))
        return concatenate([sure.select(same[:, 0]), poses]).replace(labels=look.named(found)), found
