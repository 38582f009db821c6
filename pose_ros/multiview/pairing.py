# SPDX-License-Identifier: Apache-2.0
"""Pairing: which people of two cameras are the same, before anybody knows where the cameras stand."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.errors import ConfigError

#: Share of the image's diagonal by which a joint may be off and still agree.
NEAR = 0.005
#: Two people are the same when this share of their joints agrees; moments that they need in common.
AGREE, COMMON = 0.5, 15
#: More joints do not make RANSAC better.
_MOST_PAIRS = 2000


class Pairs:
    """Which people of two cameras are the same, by the essential matrix that most joints agree with."""

    def __init__(
        self, names: Sequence[str], cameras: Sequence[Camera], tracks: Sequence[np.ndarray], rounds: int = 500
    ) -> None:
        self.names, self.tracks, self._rounds = names, tracks, rounds
        self.rays = [camera.rays(track)[..., :2] for camera, track in zip(cameras, tracks, strict=True)]
        self.near = [NEAR * float(np.hypot(*c.size_wh)) / float(c.K[0, 0]) for c in cameras]
        #: (V, V): how many joints agree, counted the more the better they tell depth.
        self.gain = np.zeros((len(names), len(names)))
        #: (V, V): how many joints agree, counted the more the nearer their rays meet.
        self.fit = np.zeros((len(names), len(names)))
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
        for i, j in np.argwhere(both.any(axis=3).sum(axis=2) >= COMMON):
            essential = self._essential(a, b, [(i, j)], near)
            if essential is None:
                continue
            shares = np.array([[self._share(essential, a, b, m, n, near) for n in range(both.shape[1])]
                               for m in range(both.shape[0])])  # fmt: skip
            mutual = (shares >= shares.max(axis=1, keepdims=True)) | (shares >= shares.max(axis=0, keepdims=True))
            agree = [(int(m), int(n)) for m, n in np.argwhere(mutual & (shares > AGREE))]
            count = float(sum(shares[m, n] * both[m, n].sum() for m, n in agree))
            best = max(best, (count, agree))
        if not best[1]:
            return
        essential = self._essential(a, b, best[1], near)
        if essential is None:
            return
        off = np.concatenate([self._off(essential, a, b, i, j) for i, j in best[1]]) / near**2
        self.fit[a, b] = self.fit[b, a] = np.maximum(1 - off, 0).sum()
        first, second = self._joined(a, b, best[1])
        _, turn, shift, mask = cv2.recoverPose(essential, first, second, np.eye(3))
        good = mask.ravel() > 0
        if good.sum() < 5 * COMMON:
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
        essential, _ = cv2.findEssentialMat(first, second, np.eye(3), cv2.RANSAC, 0.999, near, self._rounds)
        return None if essential is None or essential.shape != (3, 3) else essential

    def _off(self, essential: np.ndarray, a: int, b: int, i: int, j: int) -> np.ndarray:
        """Return how far two people's joints are from agreeing with an essential matrix (Sampson's, squared)."""
        first, second = self.rays[a][i].reshape(-1, 2), self.rays[b][j].reshape(-1, 2)
        known = np.isfinite(first[:, 0] + second[:, 0])
        one = np.ones((known.sum(), 1))
        first, second = np.hstack([first[known], one]), np.hstack([second[known], one])
        right, left = first @ essential.T, second @ essential
        squares: np.ndarray = (second * right).sum(axis=1) ** 2
        return squares / ((right[:, :2] ** 2).sum(axis=1) + (left[:, :2] ** 2).sum(axis=1))

    def _share(self, essential: np.ndarray, a: int, b: int, i: int, j: int, near: float) -> float:
        """Return which share of two people's joints agrees with an essential matrix."""
        off = self._off(essential, a, b, i, j)
        return float((off < near**2).mean()) if len(off) >= COMMON else 0.0

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
