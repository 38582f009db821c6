# SPDX-License-Identifier: Apache-2.0
"""Part: hands or faces of bodies, looked for where the bodies say they are, and then followed on their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pose_ros.core.assign import assign
from pose_ros.core.doubles import SAME_SUBJECT_IOU, distinct
from pose_ros.core.frame import Frame
from pose_ros.core.options import option
from pose_ros.core.poses import LEFT, RIGHT, Poses, concatenate
from pose_ros.core.regions import iou, keypoints_to_boxes, squares
from pose_ros.core.skeleton import Skeleton
from pose_ros.core.stages import Stages
from pose_ros.decode.body_parts import Starts, face_regions, hand_regions
from pose_ros.detectors.base import Detector
from pose_ros.errors import ConfigError
from pose_ros.estimators.base import CropEstimator
from pose_ros.tracking.smooth import RegionSmoother


class _Near(NamedTuple):
    """How far a region may be from another one and still be the same."""

    #: In sides of the other region.
    shift: float
    #: Radians.
    turn: float
    #: Of the side, in sides of the other region.
    growth: float

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return which regions (N, 5) are near to the others (N, 5); one of NaN is not."""
        side = b[:, 2:4].max(axis=1)
        shift = np.abs(a[:, :2] - b[:, :2]).max(axis=1) / side
        turn = np.abs(np.pi - (np.pi - a[:, 4] + b[:, 4]) % (2 * np.pi))
        growth = np.abs(a[:, 2:4].max(axis=1) - side) / side
        return np.asarray((shift <= self.shift) & (turn <= self.turn) & (growth <= self.growth))


class _Kind(NamedTuple):
    """What is particular to hands, and to faces."""

    #: Where bodies say that they have such parts.
    rule: Callable[[Poses, float], Starts]
    #: A part goes on where it was seen last if it is as near as this to where it was located since.
    same: _Near
    #: Presence from which on a part that is not quite seen is worth a second look, where its landmarks are.
    nearly: float


#: Distances are those of MediaPipe Holistic's ``hand_tracking`` and ``face_tracking`` graphs (Apache-2.0).
KINDS = {
    # A second look at what is hardly a hand finds more hands, and hands that are printed on something nearby.
    "hands": _Kind(hand_regions, _Near(0.2, np.deg2rad(40), 0.4), 1.0),
    "faces": _Kind(face_regions, _Near(0.1, np.deg2rad(15), 0.3), 0.1),
}
#: Kind -> block of a whole-body skeleton -> side.
OWN_BLOCKS = {"hands": {"left_hand": LEFT, "right_hand": RIGHT}, "faces": {"face": 0}}
#: Where a body says that a part has moved by more than this, the part is located again.
_AT_REST = _Near(0.05, np.deg2rad(10), 0.1)
#: A part that was seen with a lower score than this is located again: it may be about to get lost.
_SURE = 0.8
#: What was not seen for a time is looked for again after this part of that time, and after this one when the network
#: saw nothing that looks like it: of a dancer, one of 40 faces and one of six hands were there again in the next frame
#: then, and a quarter of all others.
_PATIENCE, _PATIENCE_IF_NOTHING = 0.02, 0.06
#: Presence below which it looks like nothing.
_NOTHING = 0.01


@dataclass(frozen=True)
class PartOptions:
    """Options of one kind of parts."""

    model: str = option("", "Model to run on these parts of each subject: '[detector+]estimator'; empty: none.")
    own: bool = option(
        False, "Take these parts out of the keypoints of a whole-body model, such as rtmw-l; no model of their "
        "own."
    )
    min_body_score: float = option(
        0.3, "A body is believed to have the part where its keypoints say so with at least this score.",
        low=0.0, high=1.0, live=True,
    )
    min_subject_score: float = option(
        0.5, "Below this an estimator's own 'nothing here' is believed.", low=0.0, high=1.0, live=True
    )
    retry: float = option(
        0.5, "Longest wait before a part that its body has, and that was not seen, is looked for again; the first "
        "waits are shorter.", unit="s", low=0.0, high=60.0, live=True,
    )
    detect_every: float = option(
        0.0, "Look in the whole image for parts that no body claims, this often; 0 never. Needs a detector.",
        unit="s", low=0.0, high=60.0,
    )
    max_subjects: int = option(20, "Most parts of this kind in one image.", low=1, high=1000, live=True)


class Part:
    """Parts of one kind, of all subjects; the source of a pipeline of its own.

    What a body says it has is located, estimated, and from then on followed where its own keypoints are. When the body
    says that it moved, it is located again: what is found there is taken, unless it is what is followed already. A part
    ends when the network sees none, when it is not where its body has it, and when it has run into another one.
    """

    def __init__(
        self, kind: str, estimator: CropEstimator, options: PartOptions | None = None, *,
        detector: Detector | None = None, locator: Detector | CropEstimator | None = None,
    ) -> None:
        """Join the pieces.

        Args:
            kind: Of :data:`KINDS`.
            estimator: Of the parts.
            options: Of the search.
            detector: Finds parts that no body claims.
            locator: Finds a part inside the region where its body says that it is.
        """
        self._rule, self._same, self._nearly = KINDS[kind]
        self.kind = kind
        self.estimator, self.detector, self.locator = estimator, detector, locator
        self.options = options or PartOptions()
        self.skeleton = estimator.skeleton
        self.name = estimator.card.name
        self.device = f"{estimator.session.runtime} on {estimator.session.device}"
        self._nobody = Poses.empty(self.skeleton)
        self._steady = RegionSmoother(estimator.steady)
        self._last_key = 0
        self.reset()

    def reset(self) -> None:
        """Forget what is followed."""
        self._followed = _Places.none()
        self._steady.reset()
        self._detected_ns: int | None = None
        #: Which part of which body was looked for and not seen: (id, side) -> stamps of the first and the last time,
        #: and how long to wait, as a part of the time between them.
        self._missed: dict[tuple[int, int], tuple[int, int, float]] = {}

    def __call__(self, frame: Frame, stages: Stages, whole: Poses | None = None) -> Poses:
        """Estimate the parts of the subjects ``whole``; followed ones come first, in their old order."""
        if whole is None:
            raise ConfigError(self.kind, "expected the subjects whose parts these are, got none")
        claims = _Claims(_inside(self._rule(whole, self.options.min_body_score), frame.size_wh), whole)
        followed = self._followed.select(np.isin(self._followed.parents, [0, *whole.ids]))
        started = self._located(frame, stages, claims, followed)
        places = _Places.join(followed, started.select(np.isfinite(started.regions).all(axis=1)))
        places = _Places.join(places, self._found(frame, stages, places)).select(slice(self.options.max_subjects))
        if not len(places.keys):
            self._note_missed(frame.stamp_ns, claims, started, self._nobody, self._nobody)
            self._followed = places
            return self._nobody
        with stages("estimate"):
            poses = self._estimated(frame.image, places)
        rows = self._kept(poses, claims, claims.rows(places.parents, places.sides))
        nearly = poses.select(poses.subject_scores >= _NOTHING)
        poses, places = self._linked(poses.select(rows), claims), places.select(rows)
        self._note_missed(frame.stamp_ns, claims, started, poses, nearly)
        self._follow(poses, places, claims, frame.stamp_ns)
        return poses.boxed()

    def _located(self, frame: Frame, stages: Stages, claims: _Claims, followed: _Places) -> _Places:
        """Return where the parts are that only bodies claim, NaN where unknown; what is followed and moved is moved."""
        claim = claims.rows(followed.parents, followed.sides)
        moved = np.flatnonzero((claim >= 0) & ~_AT_REST(claims.regions[claim], followed.claimed))
        new = np.array([i for i in np.setdiff1d(np.arange(len(claims.owners)), claim)
                        if self._is_due(claims.pairs[i], frame.stamp_ns)], np.int64)  # fmt: skip
        if self.locator is None:
            moved = moved[:0]
        wanted = np.concatenate([claim[moved], new])
        regions = claims.regions[wanted]
        if len(wanted) and self.locator is not None:
            with stages("locate"):
                if isinstance(self.locator, Detector):
                    regions = self.locator.locate(frame.image, regions)
                else:
                    found = self.locator.estimate(frame.image, regions, claims.sides[wanted]).regions
                    assert found is not None
                    regions = found
        again, fresh = regions[: len(moved)], regions[len(moved) :]
        # Where nothing is located, the landmarks themselves tell whether the part is still there.
        other = np.isfinite(again).all(axis=1) & ~self._same(followed.regions[moved], again)
        followed.regions[moved[other]] = again[other]
        return _Places(fresh, claims.owners[new], claims.sides[new], self._keys(len(new)), claims.regions[new])

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
        return _Places(regions, none, none.astype(np.uint8), self._keys(len(regions)), np.full_like(regions, np.nan))

    def _keys(self, count: int) -> np.ndarray:
        self._last_key += count
        return np.arange(self._last_key - count, self._last_key) + 1

    def _is_due(self, pair: tuple[int, int], stamp_ns: int) -> bool:
        """Whether it is time to look for a part that was not seen."""
        if pair not in self._missed:
            return True
        first, last, patience = self._missed[pair]
        return not 0 <= stamp_ns - last < min(self.options.retry * 1e9, patience * (last - first))

    def _note_missed(self, stamp_ns: int, claims: _Claims, started: _Places, seen: Poses, nearly: Poses) -> None:
        """Remember which parts were looked for and not seen; those that are seen, or not claimed, are forgotten."""
        waiting = claims.index.keys() - set(_pairs(seen.parents, seen.sides))
        known = {pair: stamps for pair, stamps in self._missed.items() if pair in waiting}
        tried = waiting.intersection(_pairs(started.parents, started.sides))
        doubtful = set(_pairs(nearly.parents, nearly.sides))
        self._missed = {**known, **{
            pair: (known.get(pair, (stamp_ns,))[0], stamp_ns, _PATIENCE if pair in doubtful else _PATIENCE_IF_NOTHING)
            for pair in tried
        }}

    def _estimated(self, image: np.ndarray, places: _Places) -> Poses:
        """Return what stands at the places; the side of a body's part is the one that the body says."""
        poses = self.estimator.estimate(image, places.regions, places.sides)
        if poses.regions is not None:
            # The landmarks of a part that is nearly seen say better where it is.
            nearly = (poses.subject_scores >= self._nearly) & (poses.subject_scores < self.options.min_subject_score)
            near = np.flatnonzero(nearly & np.isfinite(poses.regions).all(axis=1))
            if len(near):
                again = self.estimator.estimate(image, poses.regions[near], places.sides[near])
                better = again.subject_scores > poses.subject_scores[near]
                order = np.arange(len(poses))
                order[near[better]] = len(poses) + np.flatnonzero(better)
                poses = concatenate([poses, again]).select(order)
        said, own = places.sides, poses.sides
        scores = np.where((said > 0) & (own > 0) & (said != own), 1 - poses.side_scores, poses.side_scores)
        return poses.replace(parents=places.parents, sides=np.where(said > 0, said, own), side_scores=scores)

    def _kept(self, poses: Poses, claims: _Claims, claim: np.ndarray) -> np.ndarray:
        """Return the rows of the parts that are there, where their bodies have them, each once."""
        away = claims.away(poses, claim)
        present = np.isfinite(poses.keypoints).all(axis=2).any(axis=1) & ~(away > 1)
        if poses.regions is not None:
            present &= poses.subject_scores >= self.options.min_subject_score
        # Of two that have run into one, the one that is nearer to where its body has it stays.
        rows = np.argsort(away, kind="stable")
        rows = rows[present[rows]]
        return np.sort(rows[distinct(poses.select(rows))])

    def _linked(self, poses: Poses, claims: _Claims) -> Poses:
        """Return the parts, those without a body linked to one that claims a part where they are."""
        parents, sides = poses.parents.copy(), poses.sides.copy()
        taken = set(_pairs(parents, sides))
        free = np.array([i for i, pair in enumerate(claims.pairs) if pair not in taken], np.int64)
        loose = np.flatnonzero(parents == 0)
        if len(free) and len(loose):
            away = claims.away(poses.select(np.repeat(loose, len(free))), np.tile(free, len(loose)))
            other = (sides[loose, None] > 0) & (claims.sides[free] > 0) & (sides[loose, None] != claims.sides[free])
            gain = np.where(other, 0, np.nan_to_num(1 - away.reshape(len(loose), len(free))))
            for row, column in assign(gain, 1e-6).tolist():
                parents[loose[row]], sides[loose[row]] = claims.owners[free[column]], claims.sides[free[column]]
        return poses.replace(parents=parents, sides=sides)

    def _follow(self, poses: Poses, places: _Places, claims: _Claims, stamp_ns: int) -> None:
        """Remember where to look for these parts in the next frame."""
        self._followed = _Places.none()
        if poses.regions is None:
            return
        rows = np.flatnonzero(np.isfinite(poses.regions).all(axis=1) & (poses.regions[:, 2:4] > 0).all(axis=1))
        poses, keys = poses.select(rows), places.keys[rows]
        assert poses.regions is not None
        # A part without a body keeps the side that it shows in each frame.
        sides = np.where(poses.parents > 0, poses.sides, 0).astype(np.uint8)
        claimed = claims.regions[claims.rows(poses.parents, sides)]
        claimed = np.where(poses.subject_scores[:, None] >= _SURE, claimed, np.nan)
        self._followed = _Places(self._steady(keys, poses.regions, stamp_ns), poses.parents, sides, keys, claimed)


class OwnPart:
    """Parts of one kind, out of the keypoints of subjects that have them; the source of a pipeline of its own."""

    def __init__(self, kind: str, skeletons: Mapping[str, Skeleton], options: PartOptions | None = None) -> None:
        """Choose the parts.

        Args:
            kind: Of :data:`KINDS`.
            skeletons: Block of the subjects' skeleton -> skeleton of the part.
            options: ``min_body_score`` is the lowest mean score of a part's keypoints.

        Raises:
            ConfigError: The subjects have no such parts.
        """
        self._blocks = {block: side for block, side in OWN_BLOCKS[kind].items() if block in skeletons}
        if not self._blocks:
            raise ConfigError(f"{kind}.own", "the model's skeleton has no such parts; take a whole-body model, or name "
                                             f"a model for them ({kind}.model)")
        self.kind, self.options = kind, options or PartOptions()
        self.skeleton = skeletons[next(iter(self._blocks))]
        self.name, self.device = "own", "none"

    def __call__(self, frame: Frame, stages: Stages, whole: Poses | None = None) -> Poses:
        """Return the parts of the subjects ``whole``, subject by subject."""
        if whole is None:
            raise ConfigError(self.kind, "expected the subjects whose parts these are, got none")
        found = [self._of(whole, block, side) for block, side in self._blocks.items()]
        order = np.argsort(np.concatenate([np.flatnonzero(there) for _, there in found]), kind="stable")
        return concatenate([poses.select(there) for poses, there in found]).select(order)

    def _of(self, whole: Poses, block: str, side: int) -> tuple[Poses, np.ndarray]:
        """Return that part of every subject, and whether it is there, (N,) bool."""
        index = np.array(whole.skeleton.blocks[block][1])
        absent = index < 0
        keypoints = np.where(absent[:, None], np.nan, whole.keypoints[:, index])
        scores = np.where(absent, 0, whole.scores[:, index])
        metric = {
            name: np.where(absent.reshape(-1, *[1] * (column.ndim - 2)), np.nan, column[:, index])
            for name in ("points", "covariances", "local_points") if (column := getattr(whole, name)) is not None
        }
        if "local_points" in metric:
            metric["local_points"] = metric["local_points"] - metric["local_points"][:, [self.skeleton.root]]
        sure = scores.sum(axis=1) / max((~absent).sum(), 1)
        poses = Poses(
            self.skeleton, keypoints, scores, boxes=keypoints_to_boxes(keypoints), subject_scores=np.clip(sure, 0, 1),
            parents=whole.ids, sides=np.full(len(whole), side), side_scores=np.full(len(whole), float(side > 0)),
            **metric,
        )
        return poses, (sure >= self.options.min_body_score) & np.isfinite(poses.boxes).all(axis=1)

    def reset(self) -> None:
        """Nothing is remembered."""


class _Claims:
    """What bodies say of their parts in one frame."""

    def __init__(self, starts: Starts, whole: Poses) -> None:
        self.owners, self.sides = whole.ids[starts.rows], starts.sides
        self.regions, self._anchors, self._reach = map(_with_none, (starts.regions, starts.anchors, starts.reach))
        #: What names the part of a body: its id and the side.
        self.pairs = _pairs(self.owners, self.sides)
        self.index = {pair: i for i, pair in enumerate(self.pairs)}

    def rows(self, parents: np.ndarray, sides: np.ndarray) -> np.ndarray:
        """Return the rows of the claims to parts of bodies on sides, (N,); -1 where there is none."""
        return np.array([self.index.get(pair, -1) for pair in _pairs(parents, sides)], np.int64)

    def away(self, poses: Poses, claim: np.ndarray) -> np.ndarray:
        """Return how far parts are from where claims have them, (N,): more than 1 is elsewhere, NaN without a claim."""
        root = poses.keypoints[:, poses.skeleton.root]
        return np.asarray(np.linalg.norm(root - self._anchors[claim], axis=1) / self._reach[claim])


@dataclass(frozen=True)
class _Places:
    """Where to look for parts, in columns."""

    regions: np.ndarray
    #: Id of the body, 0: none.
    parents: np.ndarray
    sides: np.ndarray
    #: One number for each part that is followed, never used again.
    keys: np.ndarray
    #: Region in which the body had the part when it was seen last; NaN where none did, or it was seen badly.
    claimed: np.ndarray

    @classmethod
    def none(cls) -> _Places:
        nowhere = np.empty((0, 5), np.float32)
        return cls(nowhere, np.empty(0, np.int64), np.empty(0, np.uint8), np.empty(0, np.int64), nowhere)

    @classmethod
    def join(cls, a: _Places, b: _Places) -> _Places:
        return cls(*(np.concatenate(pair) for pair in zip(a._columns, b._columns, strict=True)))

    def select(self, rows: np.ndarray | slice) -> _Places:
        return _Places(*(column[rows] for column in self._columns))

    @property
    def _columns(self) -> tuple[np.ndarray, ...]:
        return self.regions, self.parents, self.sides, self.keys, self.claimed


def _inside(starts: Starts, size_wh: tuple[int, int]) -> Starts:
    """Return the places whose middle is in the image: nobody sees a part of which more than half is outside."""
    middle = starts.regions[:, :2]
    rows = np.flatnonzero(((middle >= 0) & (middle < size_wh)).all(axis=1))
    return starts if len(rows) == len(starts) else Starts(*(column[rows] for column in starts.__dict__.values()))


def _with_none(column: np.ndarray) -> np.ndarray:
    """Return a column of claims with a last row of NaN, which stands for no claim."""
    return np.concatenate([column, np.full((1, *column.shape[1:]), np.nan, np.float32)])


def _pairs(parents: np.ndarray, sides: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(parents.tolist(), sides.tolist(), strict=True))
