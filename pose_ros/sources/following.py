# SPDX-License-Identifier: Apache-2.0
"""Following: where subjects are expected in an image, and when a detector looks for others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, Protocol

import numpy as np

from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.core.regions import Detections
from pose_ros.core.stages import Stages
from pose_ros.detectors.base import Detector
from pose_ros.estimators.base import CropEstimator
from pose_ros.sources.options import TopDownOptions

#: Who was lost less than this ago is probably near, such as a hand behind another one ...
_MISSING_S = 1.0
#: ... and the detector, which may fail in single images, looks this often; seconds.
MISSING_EVERY_S = 0.1


class Pair(Protocol):
    """A detector and an estimator."""

    detector: Detector
    estimator: CropEstimator
    #: What the detector's classes are called; the last one stands for those that have no name.
    names: np.ndarray
    #: How often the detector ran.
    detections: int


class Look:
    """One image, and what a detector and an estimator say of it."""

    def __init__(self, pair: Pair, frame: Frame, stages: Stages) -> None:
        """Ask nobody yet; ``stages`` takes the times."""
        self._pair, self._image, self._stages = pair, frame.image, stages
        self.stamp_ns = frame.stamp_ns

    def detect(self) -> Detections:
        """Return whom the detector sees, best first."""
        self._pair.detections += 1
        with self._stages("detect"):
            return self._pair.detector.detect(self._image)

    def named(self, found: Detections) -> np.ndarray:
        """Return what the detector calls those whom it found."""
        return np.asarray(self._pair.names[np.minimum(found.classes, len(self._pair.names) - 1)])

    def estimate(self, regions: np.ndarray) -> Poses:
        """Return what the estimator sees in regions (N, 5)."""
        with self._stages("estimate"):
            return self._pair.estimator.estimate(self._image, regions)


class Expected(NamedTuple):
    """Where to look in an image: N subjects, of whom those that were followed come first."""

    #: (N, 5) float32.
    regions: np.ndarray
    #: (N,) what the detector called them.
    labels: np.ndarray
    #: Those that the detector has just found, the last ones; None: it was not asked.
    found: Detections | None


class Following(ABC):
    """A way to follow subjects from image to image. In each one both methods are called, in this order."""

    def __init__(self, detected_ns: int | None = None) -> None:
        """Start with nobody.

        Args:
            detected_ns: When the detector looked last; None: never.
        """
        #: Where the followed subjects are expected, and what the detector called them.
        self._regions, self._labels = np.empty((0, 5), np.float32), np.empty(0, np.str_)
        self._detected_ns = detected_ns
        #: When a subject was lost last, and of how many.
        self._lost_ns, self._lost_of = 0, 0

    @abstractmethod
    def expected(self, look: Look, options: TopDownOptions) -> Expected:
        """Return where to look in an image; the detector is asked when it is time to."""

    @abstractmethod
    def seen(self, look: Look, poses: Poses, found: Detections | None, options: TopDownOptions) -> Poses:
        """Return who is there, and remember where to look for them in the next image.

        Args:
            look: The image, in which some may be looked for again.
            poses: What the estimator sees where it was told to look.
            found: As :meth:`expected` said.
            options: What holds at present.
        """

    def _detect(self, look: Look) -> Detections:
        self._detected_ns = look.stamp_ns
        return look.detect()

    def _rests(self, stamp_ns: int, every_s: float) -> bool:
        """Return whether the detector looked less than this ago, or than is right while somebody is missing."""
        assert self._detected_ns is not None
        every_s = min(every_s, MISSING_EVERY_S) if self._missing(stamp_ns) else every_s
        return 0 <= stamp_ns - self._detected_ns < every_s * 1e9

    def _missing(self, stamp_ns: int) -> bool:
        """Return whether a subject was lost of late and not found again."""
        return len(self._regions) < self._lost_of and stamp_ns - self._lost_ns < _MISSING_S * 1e9
