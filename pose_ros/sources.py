# SPDX-License-Identifier: Apache-2.0
"""Sources: Frame -> Poses, by one network that sees them all, or by a detector and one that looks at each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pose_ros.core.assign import assign
from pose_ros.core.doubles import SAME_SUBJECT_IOU, distinct
from pose_ros.core.frame import Frame
from pose_ros.core.nms import oks_nms
from pose_ros.core.options import option
from pose_ros.core.poses import Poses, concatenate
from pose_ros.core.regions import Detections, boxes_to_regions, iou, squares
from pose_ros.core.skeleton import Skeleton
from pose_ros.core.stages import Stages
from pose_ros.detectors.base import Detector
from pose_ros.estimators.base import CropEstimator, ImageEstimator
from pose_ros.tracking.framing import Framing
from pose_ros.tracking.smooth import RegionSmoother

#: Who was lost less than this ago is probably near, such as a hand behind another one ...
_MISSING_S = 1.0
#: ... and the detector, which may fail in single images, looks this often; seconds.
_MISSING_EVERY_S = 0.1
#: A box that keypoints frame and one that the detector finds in that image are of one subject where they overlap so.
_SAME_BOX_IOU = 0.5
#: Keypoints tell where a subject is in the next image when that comes within this time, seconds: who walks moves by a
#: tenth of a height in it, what crops leave around a subject.
_FRAMED_S = 0.2
#: After subjects were lost again and again soon after the detector had looked, it looks in every image for so long,
#: seconds.
_RESTLESS_S = 1.0
_NOBODY = Detections.empty()


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


@dataclass(frozen=True)
class _SubjectOptions:
    """What all pipelines can say about doubles, except among subjects that are followed."""

    max_oks: float = option(
        0.9, "Of two poses that are more alike than this (object keypoint similarity), the better one stays; 1 keeps "
        "all.", low=0.1, high=1.0, live=True,
    )
    soft_oks: bool = option(
        False, "Lower the scores of poses that are alike instead of removing them, by exp(-oks^2 / max_oks).", live=True
    )

    def without_doubles(self, poses: Poses) -> Poses:
        """Return poses as these options want them."""
        return oks_nms(poses, self.max_oks, self.soft_oks) if self.max_oks < 1 or self.soft_oks else poses


@dataclass(frozen=True)
class OneStageOptions(_SubjectOptions):
    """Options of pipelines whose estimator finds the subjects itself."""

    max_subjects: int = option(30, "Most subjects in one image, the best ones.", low=1, high=1000, live=True)
    min_subject_score: float = option(
        0.0, "Subjects below this are left out; the estimator has a threshold of its own.", low=0.0, high=1.0, live=True
    )


class OneStage:
    """Poses from a one-stage or bottom-up estimator; nothing is remembered."""

    def __init__(self, estimator: ImageEstimator, options: OneStageOptions | None = None) -> None:
        """Wrap an estimator."""
        self.estimator = estimator
        self.options = options or OneStageOptions()
        self.skeleton = estimator.skeleton
        self.name = estimator.card.name
        self.device = f"{estimator.session.runtime} on {estimator.session.device}"

    def __call__(self, frame: Frame, stages: Stages, whole: Poses | None = None) -> Poses:
        """Estimate all poses in a frame, best first; ``whole`` does not matter."""
        with stages("estimate"):
            poses = self.estimator.estimate(frame.image)
        poses = self.options.without_doubles(poses)
        best = np.argsort(-poses.subject_scores, kind="stable")
        best = best[poses.subject_scores[best] >= self.options.min_subject_score]
        poses = poses.select(best[: self.options.max_subjects])
        return poses.boxed()

    def reset(self) -> None:
        """Nothing is remembered."""


@dataclass(frozen=True)
class TopDownOptions(_SubjectOptions):
    """Options of the top-down pipeline."""

    max_subjects: int = option(5, "Most subjects in one image.", low=1, high=100, live=True)
    follow: bool = option(
        True, "Look where the subjects were in the last image, and detect only when needed.", live=True
    )
    detect_every: float = option(
        0.5, "While subjects are followed, look for new ones this often; 0: in every image.", unit="s", low=0.0,
        high=60.0, live=True,
    )
    min_subject_score: float = option(
        0.5, "Below this an estimator's own 'nobody here' is believed.", low=0.0, high=1.0, live=True
    )


class TopDown:
    """Detect subjects, or follow them from the last frame, and estimate each one.

    An estimator that says itself where to look next, and whether anybody is there, is believed. With any other one the
    keypoints frame the subjects from one image to the next, and every look of the detector starts anew.
    """

    def __init__(self, detector: Detector, estimator: CropEstimator, options: TopDownOptions | None = None) -> None:
        """Join a detector and an estimator."""
        self.detector, self.estimator = detector, estimator
        self.options = options or TopDownOptions()
        self.skeleton = estimator.skeleton
        self.name = f"{detector.card.name}+{estimator.card.name}"
        self.device = f"{estimator.session.runtime} on {estimator.session.device}"
        # Whoever knows one class alone did not choose it, and says nothing by it.
        classes = detector.card.classes if len(detector.card.classes) > 1 else ()
        #: What the detector's classes are called; the last one stands for those that have no name.
        self._names = np.array([*classes, ""])
        #: How often the detector ran.
        self.detections = 0
        self._last_key = 0
        self._steady = RegionSmoother(estimator.steady)
        self.reset()

    def reset(self) -> None:
        """Forget the subjects of the last frame."""
        #: Where the followed subjects are expected, who they are (numbers from 1 up, never used again), and since when.
        self._regions = np.empty((0, 5), np.float32)
        self._keys, self._since_ns = np.empty(0, np.int64), np.empty(0, np.int64)
        #: What the detector called them.
        self._labels = np.empty(0, self._names.dtype)
        self._steady.reset()
        self._detected_ns: int | None = None
        #: Whether a followed subject was lost since the detector ran, when the last one was, and of how many.
        self._lost, self._lost_ns, self._lost_of = False, 0, 0
        #: Between two looks of the detector: how keypoints frame the subjects, how sure it was of each, and how many
        #: of them were not doubles of others.
        self._framing: Framing | None = None
        self._scores, self._apart = np.empty(0, np.float32), 0
        self._last_ns = self._restless_ns = 0
        #: When a subject was last lost soon after the detector had looked.
        self._loss_ns = -(1 << 62)

    def __call__(self, frame: Frame, stages: Stages, whole: Poses | None = None) -> Poses:
        """Estimate all poses in a frame; followed subjects come first, in their old order; ``whole`` is not used."""
        most = self.options.max_subjects
        self._keys, self._regions, self._labels = self._keys[:most], self._regions[:most], self._labels[:most]
        self._since_ns = self._since_ns[:most]
        followed, found, labels = self._regions, _NOBODY, self._labels
        looks = self._should_detect(frame.stamp_ns)
        if looks:
            if self._framing is not None:
                followed, labels = followed[:0], labels[:0]
            found = self._detect(frame, stages)
            overlap = iou(squares(found.regions), squares(followed)).max(axis=1, initial=0)
            found = found.select(overlap <= SAME_SUBJECT_IOU)
            found = found.select(np.arange(min(len(found), most - len(followed))))
        regions = followed
        if len(found):
            regions = np.concatenate([followed, found.regions])
            labels = np.concatenate([labels, self._named(found)])
        with stages("estimate"):
            poses = self.estimator.estimate(frame.image, regions)
        poses = poses.replace(labels=labels)
        if poses.regions is None:
            return self._framed(frame, stages, poses, found if looks else None)
        present = np.flatnonzero(poses.subject_scores >= self.options.min_subject_score)
        # Rows stand in order of seniority: where two have run into one, the longer followed subject stays.
        rows = present
        if len(present) > 1:
            rows = present[distinct(poses.select(present), int((present < len(followed)).sum()))]
        if np.count_nonzero(rows < len(followed)) < len(followed):
            gone = np.setdiff1d(np.arange(len(followed)), rows)
            self._lost = True
            # What was there for a moment only was no subject.
            settled = np.count_nonzero(frame.stamp_ns - self._since_ns[gone] >= _MISSING_EVERY_S * 1e9)
            if settled:
                known = self._lost_of if self._missing(frame.stamp_ns) else 0
                self._lost_of, self._lost_ns = max(len(followed) - len(gone) + settled, known), frame.stamp_ns
        self._follow(rows, poses, len(found), frame.stamp_ns)
        return (poses.select(rows) if len(rows) < len(poses) else poses).boxed()

    def _framed(self, frame: Frame, stages: Stages, poses: Poses, found: Detections | None) -> Poses:
        """Return poses of an estimator that only tells keypoints, and note where they will be in the next image.

        Args:
            frame: The image.
            stages: Takes the times.
            poses: What the estimator saw there.
            found: Where the detector has just told it to look; None: it looked where the subjects were.
        """
        if found is not None:
            # Only the detector knows who is there and how much of the image that is.
            poses = poses.replace(boxes=np.where(np.isnan(poses.boxes), found.boxes, poses.boxes))
            if len(found) < len(self._scores) and not self._missing(frame.stamp_ns):
                self._lost_of, self._lost_ns = len(self._scores), frame.stamp_ns
            framing = Framing(poses, found.boxes)
            # Of nobody, other estimators tell no regions either.
            self._framing = framing if len(poses) else None
            self._scores, self._apart = found.scores, len(distinct(poses))
            regions = boxes_to_regions(framing.boxes(poses))
        else:
            assert self._framing is not None
            boxes = self._framing.boxes(poses)
            poses, regions = poses.replace(boxes=boxes), boxes_to_regions(boxes)
            there, apart = np.isfinite(boxes).all(axis=1), distinct(poses)
            if not there.all() or len(apart) < self._apart:
                # Somebody is gone, or has run into somebody else.
                self._note_loss(frame.stamp_ns)
                there[np.setdiff1d(np.arange(len(there)), apart)] = False
                return self._framed(frame, stages, *self._found_again(frame, stages, poses.select(there)))
        sound = np.isfinite(regions).all(axis=1).all()
        self._regions, self._labels = regions if self.options.follow and sound else regions[:0], poses.labels
        self._last_ns = frame.stamp_ns
        return self.options.without_doubles(poses.replace(subject_scores=poses.subject_scores * self._scores))

    def _note_loss(self, stamp_ns: int) -> None:
        """Where subjects are lost all the time, in crowds and in jerky videos, following costs more than it saves."""
        assert self._detected_ns is not None
        if stamp_ns - self._detected_ns < _MISSING_EVERY_S * 1e9:
            if stamp_ns - self._loss_ns < 2 * _RESTLESS_S * 1e9:
                self._restless_ns = stamp_ns + round(_RESTLESS_S * 1e9)
            self._loss_ns = stamp_ns

    def _found_again(self, frame: Frame, stages: Stages, sure: Poses) -> tuple[Poses, Detections]:
        """Ask the detector about everybody, and the estimator about those only who are not among the sure ones."""
        found = self._detect(frame, stages)
        found = found.select(np.arange(min(len(found), self.options.max_subjects)))
        same = assign(iou(sure.boxes, found.boxes), _SAME_BOX_IOU)
        new = np.setdiff1d(np.arange(len(found)), same[:, 1])
        with stages("estimate"):
            poses = self.estimator.estimate(frame.image, found.regions[new])
        found = found.select(np.concatenate([same[:, 1], new]))
        return concatenate([sure.select(same[:, 0]), poses]).replace(labels=self._named(found)), found

    def _detect(self, frame: Frame, stages: Stages) -> Detections:
        self.detections += 1
        self._detected_ns, self._lost = frame.stamp_ns, False
        with stages("detect"):
            return self.detector.detect(frame.image)

    def _named(self, found: Detections) -> np.ndarray:
        """Return what the detector calls them."""
        return self._names[np.minimum(found.classes, len(self._names) - 1)]

    def _follow(self, rows: np.ndarray, poses: Poses, new: int, stamp_ns: int) -> None:
        """Remember where to look for the subjects at ``rows`` in the next frame."""
        regions = poses.regions
        assert regions is not None
        keys, since_ns = self._keys, self._since_ns
        if new:
            keys = np.concatenate([keys, self._last_key + 1 + np.arange(new)])
            since_ns = np.concatenate([since_ns, np.full(new, stamp_ns)])
            self._last_key += new
        if not self.options.follow:
            rows = rows[:0]
        there = regions[rows]
        rows = rows[np.isfinite(there).all(axis=1) & (there[:, 2:4] > 0).all(axis=1)]
        self._keys, self._since_ns, self._labels = keys[rows], since_ns[rows], poses.labels[rows]
        self._regions = self._steady(keys[rows], regions[rows], stamp_ns)

    def _should_detect(self, stamp_ns: int) -> bool:
        if not len(self._regions) or self._detected_ns is None or self._lost:
            return True
        if self._framing is not None:
            late = stamp_ns - self._last_ns > _FRAMED_S * 1e9
            if late or stamp_ns < self._restless_ns or len(self._regions) < len(self._scores):
                return True
        elif len(self._regions) >= self.options.max_subjects:
            return False
        every = self.options.detect_every
        if self._missing(stamp_ns):
            every = min(every, _MISSING_EVERY_S)
        return not 0 <= stamp_ns - self._detected_ns < every * 1e9

    def _missing(self, stamp_ns: int) -> bool:
        """Return whether a subject was lost of late and not found again."""
        return len(self._regions) < self._lost_of and stamp_ns - self._lost_ns < _MISSING_S * 1e9
