# SPDX-License-Identifier: Apache-2.0
"""Limbs: which keypoints cannot be far from one another, how far at most, and how far they were so far."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from pose_ros.core.poses import Poses, Source
from pose_ros.core.skeleton import Skeleton

#: Nobody is much taller, metres ...
_TALLEST = 2.1
#: ... and surfaces, offsets and annotators add so much to a length.
_SLACK = 1.2
#: Lengths as a part of the body's height (Drillis and Contini 1966, as Winter prints them in "Biomechanics and Motor
#: Control of Human Movement", fig. 4.1); joints without their sides.
PARTS = {
    ("shoulder", "elbow"): 0.186, ("elbow", "wrist"): 0.146, ("hip", "knee"): 0.245, ("knee", "ankle"): 0.246,
    ("shoulder", "shoulder"): 0.259, ("hip", "hip"): 0.191, ("shoulder", "hip"): 0.288,
    **{("ankle", toe): 0.152 for toe in ("heel", "big_toe", "small_toe", "foot_index")},
    **{("heel", toe): 0.152 for toe in ("big_toe", "small_toe", "foot_index")},
}  # fmt: skip
_HEAD = ("nose", "eye", "eye_inner", "eye_outer", "ear")
#: Any other pair of joints of a person: no limb is longer than a trunk.
_TRUNK = 0.288
#: From the wrist to a knuckle, the longest that is drawn in a hand; and from the nose to any other point of a face.
_HAND, _FACE = 0.06, 0.07
#: A wrist of the body and the same wrist of its hand.
_SAME = 0.03
#: Of what is no person nothing is known but that it fits into a room, metres.
_ANIMAL = 1.0

#: Sights after which a length is known, and after which a new one counts no more than this part.
_KNOWN, _MOST = 5, 60
#: A length that differs from the known one by more than this part is a wrong one.
_DIFFERS = 0.35
#: A subject that is not seen for so long is forgotten, seconds.
_FORGET_S = 10.0


@dataclass(frozen=True, eq=False)
class Limbs:
    """Pairs of keypoints of a skeleton: L limbs, whose lengths stay, then T ties, which only have a longest length."""

    #: (L + T, 2) int64, keypoint indices.
    pairs: np.ndarray
    #: (L + T,) float64, metres: nobody's is longer.
    longest: np.ndarray
    #: (L,) int64, the limb of the other side; a limb in the middle is its own.
    mirror: np.ndarray

    @property
    def ends(self) -> np.ndarray:
        """(L, 2) int64, keypoint indices of the limbs."""
        return self.pairs[: len(self.mirror)]


@lru_cache(maxsize=64)
def limbs(skeleton: Skeleton) -> Limbs:
    """Return the limbs of a skeleton, which are its edges and the diagonals of a trunk, and what else holds together.

    Ties hold what turns (a head on its shoulders), and what a missing joint would separate: each point of a face and
    the nose, of a hand and its arm, and the ends of two limbs that meet.
    """
    joints, at = skeleton.joints, {joint: i for i, joint in enumerate(skeleton.joints)}
    person = skeleton.subject in ("person", "hand", "face")
    kept: dict[tuple[int, int], float] = {}
    ties: dict[tuple[int, int], float] = {}

    def add(to: dict[tuple[int, int], float], a: int | None, b: int | None, length: float) -> None:
        if a is not None and b is not None and a != b and (min(a, b), max(a, b)) not in kept:
            to.setdefault((min(a, b), max(a, b)), length)

    for a, b in skeleton.edges:
        turns = person and _is_head(joints[a]) != _is_head(joints[b])
        add(ties if turns else kept, a, b, _longest(joints[a], joints[b]) if person else _ANIMAL)
    for side, other in (("left", "right"), ("right", "left")):
        add(kept, at.get(f"{side}_shoulder"), at.get(f"{other}_hip"), _longest("shoulder", "hip"))
    nose = at.get("nose", next((i for joint, i in at.items() if joint.startswith("face/")), None))
    for joint, i in at.items():
        part, _, name = joint.rpartition("/")
        if part == "face":
            add(ties, nose, i, _metres(_FACE))
        elif part.endswith("hand"):
            arm = at.get(part.replace("hand", "wrist"))
            reach = 2 * _HAND if arm is None else _SAME + 2 * _HAND * (name != "wrist")
            add(ties, at.get(f"{part}/wrist") if arm is None else arm, i, _metres(reach))
    own = [pair for pair in kept if person and not any("/" in joints[i] for i in pair)]
    for first, second in combinations(own, 2):
        for middle in {*first} & {*second}:
            a, b = (sum(pair) - middle for pair in (first, second))
            head = _is_head(joints[a]) and _is_head(joints[b])
            add(ties, a, b, _metres(_FACE) if head else kept[first] + kept[second])
    order = {frozenset(pair): i for i, pair in enumerate(kept)}
    return Limbs(
        np.array([*kept, *ties], np.int64).reshape(-1, 2),
        np.array([*kept.values(), *ties.values()], np.float64),
        np.array([order.get(frozenset(skeleton.flip[j] for j in pair), i) for i, pair in enumerate(kept)], np.int64),
    )


def _metres(part: float) -> float:
    return part * _TALLEST * _SLACK


def _is_head(joint: str) -> bool:
    part = joint.removeprefix("left_").removeprefix("right_")
    return joint.startswith(("face/", "mouth_")) or part in _HEAD


def _longest(a: str, b: str) -> float:
    if _is_head(a) and _is_head(b):
        part = _FACE
    elif "hand/" in a and "hand/" in b:
        part = _HAND
    elif "hand/" in a or "hand/" in b:
        part = _SAME
    else:
        a, b = (joint.removeprefix("left_").removeprefix("right_") for joint in (a, b))
        part = PARTS.get((a, b), PARTS.get((b, a), _TRUNK))
    return _metres(part)


class LimbLengths:
    """Remember how long the limbs of each tracked subject are."""

    def __init__(self) -> None:
        """Start with nobody."""
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._skeleton: Skeleton | None = None
        self._stamp_ns = 0
        self._ids, self._seen_ns = np.empty(0, np.int64), np.empty(0, np.int64)
        self._lengths, self._counts = np.empty((0, 0)), np.empty((0, 0))

    def known(self, poses: Poses) -> np.ndarray:
        """Return the lengths (N, L), metres; NaN where the subject or its limb was not seen often enough."""
        known = np.full((len(poses), len(limbs(poses.skeleton).mirror)), np.nan)
        if poses.skeleton == self._skeleton and len(self._ids):
            rows, here = self._rows(poses.ids)
            settled = here[:, None] & (self._counts[rows] >= _KNOWN)
            known[settled] = self._lengths[rows][settled]
        return known

    def _rows(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the row of each id, and whether there is one."""
        same = self._ids == ids[:, None]
        return same.argmax(axis=1), same.any(axis=1) & (ids > 0)

    def update(self, poses: Poses, stamp_ns: int) -> None:
        """Learn from points of which both ends were measured; a stamp before the last one starts over.

        Args:
            poses: With ids and points.
            stamp_ns: When.
        """
        if poses.skeleton != self._skeleton or stamp_ns < self._stamp_ns:
            self.reset()
            self._skeleton = poses.skeleton
            self._lengths, self._counts = np.empty((2, 0, len(limbs(poses.skeleton).mirror)))
        self._stamp_ns = stamp_ns
        kept = stamp_ns - self._seen_ns <= _FORGET_S * 1e9
        unknown = (poses.ids > 0) & ~np.isin(poses.ids, self._ids[kept])
        if unknown.any() or not kept.all():
            new = np.unique(poses.ids[unknown])
            none = np.zeros((len(new), self._lengths.shape[1]))
            self._ids = np.concatenate([self._ids[kept], new])
            self._seen_ns = np.concatenate([self._seen_ns[kept], np.full(len(new), stamp_ns)])
            self._lengths = np.concatenate([self._lengths[kept], none])
            self._counts = np.concatenate([self._counts[kept], none])
        tracked = poses.ids > 0
        if poses.points is None or not tracked.any():
            return
        rows = self._rows(poses.ids)[0][tracked]
        self._seen_ns[rows] = stamp_ns
        seen = lengths_of(poses)[tracked]
        old, count = self._lengths[rows], self._counts[rows]
        wrong = (count >= _KNOWN) & (np.abs(seen - old) > _DIFFERS * old)
        taken = np.isfinite(seen) & ~wrong & (seen < limbs(poses.skeleton).longest[: seen.shape[1]])
        counted = np.where(taken, np.minimum(count + 1, _MOST), count - wrong)
        self._lengths[rows] = np.where(taken, old + (seen - old) / np.maximum(counted, 1), old)
        # What is known bears as many contradictions as it took sights; what is contradicted oftener was wrong itself.
        counted[taken & (counted == _KNOWN)] = 2 * _KNOWN
        counted[wrong & (counted < _KNOWN)] = 0
        self._counts[rows] = counted


def lengths_of(poses: Poses) -> np.ndarray:
    """Return the lengths (N, L) of limbs of which both ends were measured, metres; NaN elsewhere."""
    assert poses.points is not None
    points = np.where((poses.sources == Source.MEASURED)[..., None], poses.points, np.nan).astype(np.float64)
    ends = limbs(poses.skeleton).ends
    return np.linalg.norm(points[:, ends[:, 0]] - points[:, ends[:, 1]], axis=2)
