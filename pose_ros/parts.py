# SPDX-License-Identifier: Apache-2.0
"""Part: hands or faces of bodies, looked for where the bodies say they are, and then followed on their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pose_ros.core.assign import assign
from pose_ros.core.frame import Frame
from pose_ros.core.options import option
from pose_ros.core.poses import Poses
from pose_ros.core.regions import iou, keypoints_to_boxes
from pose_ros.core.smooth import RegionSmoother
from pose_ros.core.stages import Stages
from pose_ros.decode.body_parts import Starts, face_regions, hand_regions
from pose_ros.detectors.base import Detector
from pose_ros.errors import ConfigError
from pose_ros.estimators.base import CropEstimator
from pose_ros.pipeline import SAME_SUBJECT_IOU, distinct, squares

#: What bodies have, and the rule that says where.
RULES: dict[str, Callable[[Poses, float], Starts]] = {"hands": hand_regions, "faces": face_regions}


@dataclass(frozen=True)
class PartOptions:
    """Options of one kind of parts."""

    model: str = option("", "Model to run on these parts of each subject: '[detector+]estimator'; empty: none.")
    min_body_score: float = option(
        0.3, "A body is believed to have the part where its keypoints say so with at least this score.",
        low=0.0, high=1.0, live=True,
    )
    min_subject_score: float = option(
        0.5, "Below this an estimator's own 'nothing here' is believed.", low=0.0, high=1.0, live=True
    )
    retry: float = option(
        0.1, "Where a body has the part and it was not seen, look again this often.", unit="s", low=0.0, high=60.0,
        live=True,
    )
    detect_every: float = option(
        0.0, "Look in the whole image for parts that no body claims, this often; 0 never. Needs a detector.",
        unit="s", low=0.0, high=60.0,
    )
    max_subjects: int = option(20, "Most parts of this kind in one image.", low=1, high=1000, live=True)


class Part:
    """Parts of one kind, of all subjects; the source of a pipeline of its own."""

    def __init__(
        self, kind: str, estimator: CropEstimator, options: PartOptions | None = None, *,
        detector: Detector | None = None, locator: Detector | CropEstimator | None = None,
    ) -> None:
        """Join the pieces.

        Args:
            kind: Of :data:`RULES`.
            estimator: Of the parts.
            options: Of the search.
            detector: Finds parts that no body claims.
            locator: Finds a part inside the region where its body says that it is.
        """
        self._rule, self.kind = RULES[kind], kind
        self.estimator, self.detector, self.locator = estimator, detector, locator
        self.options = options or PartOptions()
        self.skeleton = estimator.skeleton
        self.name = estimator.card.name
        self.device = f"{estimator.session.runtime} on {estimator.session.device}"
        self._steady = RegionSmoother(estimator.steady)
        self._last_key = 0
        self.reset()

    def reset(self) -> None:
        """Forget what is followed."""
        self._followed = _Places.none()
        self._steady.reset()
        self._detected_ns: int | None = None
        #: When the part of a body was looked for and not seen: (id, side) -> stamp.
        self._missed: dict[tuple[int, int], int] = {}

    def __call__(self, frame: Frame, stages: Stages, whole: Poses | None = None) -> Poses:
        """Estimate the parts of the subjects ``whole``; followed ones come first, in their old order."""
        if whole is None:
            raise ConfigError(self.kind, "expected the subjects whose parts these are, got none")
        now = frame.stamp_ns
        claims = self._rule(whole, self.options.min_body_score)
        owners = whole.ids[claims.rows]
        index = {pair: i for i, pair in enumerate(_pairs(owners, claims.sides))}
        self._missed = {pair: stamp for pair, stamp in self._missed.items() if pair in index}
        followed = self._followed
        followed = followed.select(np.isin(followed.parents, [0, *whole.ids]))
        places = _Places.join(followed, self._started(frame, stages, claims, owners, followed))
        places = _Places.join(places, self._found(frame, stages, places)).select(slice(self.options.max_subjects))
        with stages("estimate"):
            poses = self._estimated(frame.image, places)
        # The claim of the body, by which a part is measured.
        claim = np.array([index.get(pair, -1) for pair in _pairs(places.parents, places.sides)], np.int64)
        rows = np.flatnonzero(self._present(poses, claims, claim))
        rows = rows[distinct(poses.select(rows))]
        for pair in {*_pairs(places.parents, places.sides)} - {*_pairs(places.parents[rows], places.sides[rows])}:
            self._missed[pair] = now
        poses, places = poses.select(rows), places.select(rows)
        parents, sides = self._linked(poses, claims, owners)
        poses = poses.replace(parents=parents, sides=sides)
        self._follow(poses, places, now)
        return poses.replace(boxes=np.where(np.isnan(poses.boxes), keypoints_to_boxes(poses.keypoints), poses.boxes))

    def _started(
        self, frame: Frame, stages: Stages, claims: Starts, owners: np.ndarray, followed: _Places
    ) -> _Places:
        """Return where to look for parts that bodies claim and nobody follows."""
        known, wait = set(_pairs(followed.parents, followed.sides)), self.options.retry * 1e9
        new = np.array([
            i for i, pair in enumerate(_pairs(owners, claims.sides))
            if pair not in known and not 0 <= frame.stamp_ns - self._missed.get(pair, -(1 << 62)) < wait
        ], np.int64)
        regions, sides = claims.regions[new], claims.sides[new]
        if len(new) and self.locator is not None:
            with stages("locate"):
                if isinstance(self.locator, Detector):
                    regions = self.locator.locate(frame.image, regions)
                else:
                    found = self.locator.estimate(frame.image, regions, sides).regions
                    assert found is not None
                    regions = found
            seen = np.isfinite(regions).all(axis=1)
            for pair in _pairs(owners[new[~seen]], sides[~seen]):
                self._missed[pair] = frame.stamp_ns
            new, regions, sides = new[seen], regions[seen], sides[seen]
        return _Places(regions, owners[new], sides, self._keys(len(new)))

    def _found(self, frame: Frame, stages: Stages, known: _Places) -> _Places:
        """Return where the detector sees parts that are not among the known ones."""
        since = None if self._detected_ns is None else frame.stamp_ns - self._detected_ns
        every = self.options.detect_every * 1e9
        if self.detector is None or not every or (since is not None and 0 <= since < every):
            return _Places.none()
        self._detected_ns = frame.stamp_ns
        with stages("detect"):
            regions = self.detector.detect(frame.image).regions
        overlap = iou(squares(regions), squares(known.regions)).max(axis=1, initial=0)
        regions = regions[overlap <= SAME_SUBJECT_IOU]
        none = np.zeros(len(regions), np.int64)
        return _Places(regions, none, none.astype(np.uint8), self._keys(len(regions)))

    def _keys(self, count: int) -> np.ndarray:
        self._last_key += count
        return np.arange(self._last_key - count, self._last_key) + 1

    def _estimated(self, image: np.ndarray, places: _Places) -> Poses:
        """Return what stands at the places; the side of a body's part is the one that the body says."""
        poses = self.estimator.estimate(image, places.regions, places.sides)
        said, own = places.sides, poses.sides
        scores = np.where((said > 0) & (own > 0) & (said != own), 1 - poses.side_scores, poses.side_scores)
        return poses.replace(parents=places.parents, sides=np.where(said > 0, said, own), side_scores=scores)

    def _present(self, poses: Poses, claims: Starts, claim: np.ndarray) -> np.ndarray:
        """Return whether each part is there, and where its body says it is, (N,) bool."""
        root = poses.keypoints[:, self.skeleton.root]
        present = np.isfinite(poses.keypoints).all(axis=2).any(axis=1)
        if poses.regions is not None:
            present &= poses.subject_scores >= self.options.min_subject_score
        if len(claims.anchors):
            away = np.linalg.norm(root - claims.anchors[claim], axis=1)
            present &= (claim < 0) | (away <= claims.reach[claim])
        return present

    def _linked(self, poses: Poses, claims: Starts, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return bodies and sides of all parts: one that was found without a body belongs to the one it is near to."""
        parents, sides = poses.parents.copy(), poses.sides.copy()
        taken = set(_pairs(parents, sides))
        free = np.array([i for i, pair in enumerate(_pairs(owners, claims.sides)) if pair not in taken], np.int64)
        loose = np.flatnonzero(parents == 0)
        if len(free) and len(loose):
            root = poses.keypoints[loose, self.skeleton.root]
            away = np.linalg.norm(root[:, None] - claims.anchors[free], axis=2) / claims.reach[free]
            other = (sides[loose, None] > 0) & (claims.sides[free] > 0) & (sides[loose, None] != claims.sides[free])
            for row, column in assign(np.where(other, 0, np.nan_to_num(1 - away)), 1e-6).tolist():
                parents[loose[row]], sides[loose[row]] = owners[free[column]], claims.sides[free[column]]
        return parents, sides

    def _follow(self, poses: Poses, places: _Places, stamp_ns: int) -> None:
        """Remember where to look for these parts in the next frame."""
        self._followed = _Places.none()
        if poses.regions is None:
            return
        regions = poses.regions
        rows = np.flatnonzero(np.isfinite(regions).all(axis=1) & (regions[:, 2:4] > 0).all(axis=1))
        # A part without a body keeps the side that it shows in each frame.
        sides = np.where(poses.parents > 0, poses.sides, 0).astype(np.uint8)
        keys = places.keys[rows]
        self._followed = _Places(self._steady(keys, regions[rows], stamp_ns), poses.parents[rows], sides[rows], keys)


@dataclass(frozen=True)
class _Places:
    """Where to look for parts, in columns."""

    regions: np.ndarray
    #: Id of the body, 0: none.
    parents: np.ndarray
    sides: np.ndarray
    #: One number for each part that is followed, never used again.
    keys: np.ndarray

    @classmethod
    def none(cls) -> _Places:
        return cls(np.empty((0, 5), np.float32), np.empty(0, np.int64), np.empty(0, np.uint8), np.empty(0, np.int64))

    @classmethod
    def join(cls, a: _Places, b: _Places) -> _Places:
        columns = zip((a.regions, a.parents, a.sides, a.keys), (b.regions, b.parents, b.sides, b.keys), strict=True)
        return cls(*map(np.concatenate, columns))

    def select(self, rows: np.ndarray | slice) -> _Places:
        return _Places(self.regions[rows], self.parents[rows], self.sides[rows], self.keys[rows])


def _pairs(parents: np.ndarray, sides: np.ndarray) -> list[tuple[int, int]]:
    """Return what names the part of a body."""
    return list(zip(parents.tolist(), sides.tolist(), strict=True))
