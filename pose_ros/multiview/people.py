# SPDX-License-Identifier: Apache-2.0
"""People: where cameras stand, from nothing but people who move before them.

Joints that two cameras see at the same moments are as good as the corners of a board, but for two things: nobody says
who is who, and nobody says how large they are. Who is who is what the epipolar geometry of most joints agrees with; the
scale comes from the height of the people, or from a distance that was measured.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError, ShapeError
from pose_ros.multiview.bundle import Adjusted, Jointed, Sightings, adjust, meet

_SIDES, _JOINTS = ("left", "right"), ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
#: Joints that networks find well from all sides.
JOINTS = tuple(f"{side}_{joint}" for joint in _JOINTS for side in _SIDES)
#: Limb -> length as a share of the body's height (Drillis and Contini, 1966; Winter, Biomechanics, 2009, fig. 4.1).
_SHARES = {("shoulder", "elbow"): 0.186, ("elbow", "wrist"): 0.146, ("hip", "knee"): 0.245, ("knee", "ankle"): 0.246}
#: Shares of the height that an ankle stands above the floor, from the same place.
ANKLE = 0.039
_MEASURED = [(JOINTS.index(f"{side}_{a}"), JOINTS.index(f"{side}_{b}")) for a, b in _SHARES for side in _SIDES]
_SHARE = np.repeat(list(_SHARES.values()), 2)
#: Limbs that keep their lengths: those, and the widths of shoulders and hips.
LIMBS = np.array([*_MEASURED, *((JOINTS.index(f"left_{j}"), JOINTS.index(f"right_{j}")) for j in ("shoulder", "hip"))])
#: Keypoints below this are not used.
_LEAST_SCORE = 0.5
#: Share of the image's diagonal by which a joint may be off and still agree.
_NEAR = 0.005
#: Two people are the same when this share of their joints agrees; moments that they need in common.
_AGREE, _COMMON = 0.5, 15
#: More moments only take longer; more joints do not make RANSAC better.
_MOST_MOMENTS, _MOST_PAIRS = 300, 2000
#: Limbs of people disagree by so much about how tall they are.
_LIKE_MOST = 0.05
#: How much a limb's length seems to change from moment to moment, metres.
_PLAY = 0.03


@dataclass(frozen=True, eq=False)
class PeopleRig:
    """Where cameras stand, and who was seen."""

    #: Scene: one moment for each person and moment.
    adjusted: Adjusted
    #: (V, P, T, J, 2) pixels of the joints that were used; NaN elsewhere.
    seen: np.ndarray
    #: (P, T, J, 3) metres.
    points: np.ndarray
    #: (P, L) metres, of LIMBS.
    lengths: np.ndarray
    #: How much the scales disagree that single limbs give, relative standard deviation.
    scale_spread: float


def find_rig(
    cameras: Mapping[str, Camera], tracks: Sequence[np.ndarray], skeleton: Skeleton, height: float
) -> PeopleRig:
    """Find where cameras stand that saw people at the same moments; the world is the first camera's optical frame.

    Args:
        cameras: V cameras by name.
        tracks: For each camera (N, T, K, 3): x, y in pixels and score of N people whom it followed over T moments, NaN
            where it did not see them. Nobody needs the same number in two cameras.
        skeleton: Of the keypoints.
        height: Of the people on average, metres.

    Raises:
        ShapeError: The arrays do not fit together.
        ConfigError: The cameras cannot be joined; names them.
    """
    if len(tracks) != len(cameras) or any(t.ndim != 4 or t.shape[2:] != (len(skeleton), 3) for t in tracks):
        raise ShapeError("tracks", f"{len(cameras)} x (N, T, {len(skeleton)}, 3)", [t.shape for t in tracks])
    if len({t.shape[1] for t in tracks}) != 1:
        raise ShapeError("tracks", "the same moments in all cameras", [t.shape[1] for t in tracks])
    names, lenses = list(cameras), list(cameras.values())
    used = [_joints(track, skeleton) for track in tracks]
    pairs = _Pairs(names, lenses, used)
    seen = pairs.people()  # (V, P, T, J, 2)
    some = np.isfinite(seen[..., 0]).any(axis=3).sum(axis=0) > 1  # two cameras at least
    person, moment = np.nonzero(some)
    if len(person) > _MOST_MOMENTS:
        chosen = np.linspace(0, len(person) - 1, _MOST_MOMENTS).astype(int)
        person, moment = person[chosen], moment[chosen]
    sightings = Sightings.of(lenses, seen[:, person, moment])
    sightings = dataclasses.replace(
        sightings, weights=np.where((sightings.weights > 0).sum(axis=0) > 1, sightings.weights, 0.0)
    )
    rotations, translations = _grow(names, lenses, sightings, pairs.best)
    places = _filled(meet(rotations, translations, sightings), person)
    factor, _ = _scale(_lengths(places, person), height)
    lengths = _lengths(places * factor, person)
    scene = Jointed(places * factor, LIMBS, lengths, person, _PLAY, float(lengths.mean()))
    adjusted = adjust(sightings, rotations, translations * factor, scene)
    assert isinstance(adjusted.scene, Jointed)
    factor, spread = _scale(adjusted.scene.lengths, height)
    return _scaled(adjusted, seen, lenses, factor, spread)


def rescaled(found: PeopleRig, factor: float) -> PeopleRig:
    """Return the same as large as a distance that was measured says: all lengths times ``factor``."""
    adjusted = found.adjusted
    assert isinstance(adjusted.scene, Jointed)
    scene = dataclasses.replace(adjusted.scene, places=adjusted.scene.places * factor,
                                lengths=adjusted.scene.lengths * factor, scale=adjusted.scene.scale * factor)
    longer = np.repeat([1.0, factor], 3)
    adjusted = dataclasses.replace(
        adjusted, scene=scene, translations=adjusted.translations * factor,
        covariances=adjusted.covariances * longer * longer[:, None],
    )
    return dataclasses.replace(found, adjusted=adjusted, points=found.points * factor, lengths=scene.lengths)


def doubts(found: PeopleRig) -> list[str]:
    """Return what speaks against the scale, one sentence each."""
    if found.scale_spread < _LIKE_MOST:
        return []
    return [f"limbs disagree about the scale by {found.scale_spread:.0%}: bodies differ from the average, and networks "
            "place joints differently; give a --distance between two cameras that was measured"]


class _Pairs:
    """Which people of two cameras are the same, by the essential matrix that most joints agree with."""

    def __init__(self, names: Sequence[str], cameras: Sequence[Camera], tracks: Sequence[np.ndarray]) -> None:
        self.names, self.tracks = names, tracks
        self.rays = [camera.rays(track)[..., :2] for camera, track in zip(cameras, tracks, strict=True)]
        self.near = [_NEAR * float(np.hypot(*c.size_wh)) / float(c.K[0, 0]) for c in cameras]
        #: (V, V): how many joints agree, counted the more the better they tell depth.
        self.gain = np.zeros((len(names), len(names)))
        #: Pair of cameras -> their people who are the same.
        self.same: dict[tuple[int, int], list[tuple[int, int]]] = {}
        #: The pair that is best to begin with, and the pose of its second camera in the first one's frame.
        self.best: tuple[int, int, np.ndarray, np.ndarray] | None = None
        for a in range(len(names)):
            for b in range(a + 1, len(names)):
                self._pair(a, b)

    def _pair(self, a: int, b: int) -> None:
        both = np.isfinite(self.rays[a][:, None, ..., 0] + self.rays[b][None, ..., 0])  # (Na, Nb, T, J)
        near = (self.near[a] + self.near[b]) / 2
        best: tuple[float, list[tuple[int, int]]] = (0.0, [])
        for i, j in np.argwhere(both.any(axis=3).sum(axis=2) >= _COMMON):
            essential = self._essential(a, b, [(i, j)], near)
            if essential is None:
                continue
            shares = np.array([[self._share(essential, a, b, m, n, near) for n in range(both.shape[1])]
                               for m in range(both.shape[0])])  # fmt: skip
            mutual = (shares >= shares.max(axis=1, keepdims=True)) | (shares >= shares.max(axis=0, keepdims=True))
            agree = [(int(m), int(n)) for m, n in np.argwhere(mutual & (shares > _AGREE))]
            count = float(sum(shares[m, n] * both[m, n].sum() for m, n in agree))
            best = max(best, (count, agree))
        if not best[1]:
            return
        essential = self._essential(a, b, best[1], near)
        if essential is None:
            return
        first, second = self._joined(a, b, best[1])
        _, turn, shift, mask = cv2.recoverPose(essential, first, second, np.eye(3))
        good = mask.ravel() > 0
        if good.sum() < 5 * _COMMON:
            return
        back = np.column_stack([second[good], np.ones(good.sum())]) @ turn
        ahead = np.column_stack([first[good], np.ones(good.sum())])
        sine = np.linalg.norm(np.cross(ahead, back), axis=1)
        sine /= np.linalg.norm(ahead, axis=1) * np.linalg.norm(back, axis=1)
        self.same[a, b] = best[1]
        self.gain[a, b] = self.gain[b, a] = good.sum() * min(1.0, float(np.median(sine)) / 0.3)
        if self.best is None or self.gain[a, b] >= self.gain.max():
            self.best = a, b, turn, shift.ravel()

    def _joined(self, a: int, b: int, same: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
        """Return the rays (M, 2) of both cameras to joints of people who are the same."""
        first = np.concatenate([self.rays[a][i].reshape(-1, 2) for i, _ in same])
        second = np.concatenate([self.rays[b][j].reshape(-1, 2) for _, j in same])
        known = np.flatnonzero(np.isfinite(first[:, 0] + second[:, 0]))
        if len(known) > _MOST_PAIRS:
            known = known[np.linspace(0, len(known) - 1, _MOST_PAIRS).astype(int)]
        return np.ascontiguousarray(first[known]), np.ascontiguousarray(second[known])

    def _essential(self, a: int, b: int, same: Sequence[tuple[int, int]], near: float) -> np.ndarray | None:
        first, second = self._joined(a, b, same)
        essential, _ = cv2.findEssentialMat(first, second, np.eye(3), cv2.RANSAC, 0.999, near, 500)
        return None if essential is None or essential.shape != (3, 3) else essential

    def _share(self, essential: np.ndarray, a: int, b: int, i: int, j: int, near: float) -> float:
        """Return which share of two people's joints agrees with an essential matrix (Sampson's distance)."""
        first, second = self.rays[a][i].reshape(-1, 2), self.rays[b][j].reshape(-1, 2)
        known = np.isfinite(first[:, 0] + second[:, 0])
        if known.sum() < _COMMON:
            return 0.0
        one = np.ones((known.sum(), 1))
        first, second = np.hstack([first[known], one]), np.hstack([second[known], one])
        right, left = first @ essential.T, second @ essential
        off = (second * right).sum(axis=1) ** 2 / ((right[:, :2] ** 2).sum(axis=1) + (left[:, :2] ** 2).sum(axis=1))
        return float((off < near**2).mean())

    def people(self) -> np.ndarray:
        """Return the joints (V, P, T, J, 2) of everybody whom two cameras see, those of one person in one row."""
        owner = {(v, n): (v, n) for v, track in enumerate(self.tracks) for n in range(len(track))}

        def root(key: tuple[int, int]) -> tuple[int, int]:
            return key if owner[key] == key else root(owner[key])

        for (a, b), same in sorted(self.same.items(), key=lambda item: -self.gain[item[0]]):
            for i, j in same:
                owner[root((b, j))] = root((a, i))
        groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for key in owner:
            groups.setdefault(root(key), []).append(key)
        people = [group for group in groups.values() if len({v for v, _ in group}) > 1]
        if not people:
            raise ConfigError("cameras", "found nobody whom two cameras see at the same moments from different sides; "
                                         "are the recordings of the same time, and is a whole body in view?")
        t, j = self.tracks[0].shape[1:3]
        seen = np.full((len(self.tracks), len(people), t, j, 2), np.nan)
        for p, group in enumerate(people):
            # Of two tracks of one camera at one moment, the one that is seen longer counts.
            for v, n in sorted(group, key=lambda key: np.isfinite(self.tracks[key[0]][key[1]]).sum()):
                track = self.tracks[v][n]
                there = np.isfinite(track[..., 0]).any(axis=1)
                seen[v, p, there] = track[there]
        return seen


def _joints(track: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Return (N, T, J, 2) of JOINTS; NaN for those that are not sure or not of this skeleton."""
    known = {joint: i for i, joint in enumerate(skeleton.joints)}
    if sum(joint in known for joint in JOINTS) < 8:
        raise ConfigError("skeleton", f"expected the joints {', '.join(JOINTS)}; '{skeleton.name}' has "
                                      f"{', '.join(j for j in JOINTS if j in known) or 'none of them'}")
    track = np.asarray(track, np.float64)
    out = np.full((*track.shape[:2], len(JOINTS), 2), np.nan)
    for i, joint in enumerate(JOINTS):
        if joint in known:
            one = track[:, :, known[joint]]
            out[:, :, i] = np.where(one[..., 2:] >= _LEAST_SCORE, one[..., :2], np.nan)
    return out


def _grow(
    names: Sequence[str], cameras: Sequence[Camera], sightings: Sightings,
    best: tuple[int, int, np.ndarray, np.ndarray] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return rotations and translations in the first camera's frame: of one pair, then of one camera at a time."""
    assert best is not None
    a, b, turn, shift = best
    rotations, translations = np.tile(np.eye(3), (len(names), 1, 1)), np.zeros((len(names), 3))
    rotations[b], translations[b] = turn, shift
    done = [a, b]
    while True:
        at = np.array(done)
        part = Sightings(sightings.rays[at], sightings.pixels[at], sightings.weights[at])
        points = meet(rotations[at], translations[at], part)
        if len(done) == len(names):
            return _first(rotations, translations)
        known = np.isfinite(points[..., 0]) & (sightings.weights > 0)
        counts = known.sum(axis=(1, 2))
        counts[at] = -1
        v = int(counts.argmax())
        solved = counts[v] >= 5 * _COMMON
        if solved:
            near = _NEAR * float(np.hypot(*cameras[v].size_wh)) / float(cameras[v].K[0, 0])
            solved, vector, shift, inliers = cv2.solvePnPRansac(
                points[known[v]], sightings.rays[v][known[v]], np.eye(3), None, reprojectionError=2 * near,
                iterationsCount=300, flags=cv2.SOLVEPNP_SQPNP,
            )
            solved = solved and inliers is not None and len(inliers) >= counts[v] * _AGREE / 2
        if not solved:
            rest = ", ".join(name for i, name in enumerate(names) if i not in done)
            raise ConfigError("cameras", f"{rest}: expected people whom {', '.join(names[i] for i in done)} see at the "
                                         f"same moments, found {max(int(counts[v]), 0)} joints that they share; let "
                                         "people walk where more cameras see them")
        rotations[v], translations[v] = cv2.Rodrigues(vector)[0], shift.ravel()
        done.append(v)


def _first(rotations: np.ndarray, translations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make the first camera's frame the world."""
    turn, shift = rotations[0], translations[0]
    rotations = rotations @ turn.T
    return rotations, translations - rotations @ shift


def _filled(places: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Put joints that nobody sees into the middle of their body: they count for nothing but must be somewhere."""
    with np.errstate(invalid="ignore"):
        known = np.isfinite(places[..., 0])
        middle = np.where(known[..., None], places, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)[:, None]
    return np.where(known[..., None], places, middle[:, None])


def _lengths(places: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Return the lengths (P, L) of everybody's limbs."""
    long = np.linalg.norm(places[:, LIMBS[:, 0]] - places[:, LIMBS[:, 1]], axis=-1)
    return np.stack([np.median(long[person == p], axis=0) for p in range(person.max() + 1)])


def _scale(lengths: np.ndarray, height: float) -> tuple[float, float]:
    """Return by what lengths have to be multiplied for people of a height, and how much limbs disagree about it."""
    factors = _SHARE * height / lengths[:, : len(_SHARE)].mean(axis=0)
    factor = float(np.median(factors))
    return factor, float(np.std(factors) / factor)


def _scaled(adjusted: Adjusted, seen: np.ndarray, cameras: Sequence[Camera], factor: float, spread: float) -> PeopleRig:
    """Return the result in metres, with the points of all moments."""
    assert isinstance(adjusted.scene, Jointed)
    views, persons, moments, joints = seen.shape[:4]
    all_ = Sightings.of(cameras, seen.reshape(views, persons * moments, joints, 2))
    points = meet(adjusted.rotations, adjusted.translations, all_).reshape(persons, moments, joints, 3)
    return rescaled(PeopleRig(adjusted, seen, points, adjusted.scene.lengths, spread), factor)
