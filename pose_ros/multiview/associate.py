# SPDX-License-Identifier: Apache-2.0
"""Associate: who is who in several cameras.

Two sights of one subject lie in one plane with both cameras (the epipolar constraint), keypoint by keypoint. Every pair
that does is a guess at where a subject is; the guess is projected into all cameras, and the one that most sights look
like is taken first, with those sights. So whoever is the same in two pairs of cameras is the same in the third (cycle
consistency), which matching pair by pair would have to repair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_ros.core.assign import assign
from pose_ros.core.options import option
from pose_ros.core.poses import Poses
from pose_ros.errors import ConfigError, ShapeError
from pose_ros.multiview import lens
from pose_ros.multiview.rig import Rig

#: So many keypoints tell people apart; those that are seen best.
_KEYPOINTS = 17
#: So many sights of another camera are tried for each one.
_CANDIDATES = 2
#: Where nobody sees anything, x / z: what is behind a camera is there.
_FAR = 1e6
#: Smallest size of a subject, pixels.
_MIN_SIZE = 16.0


@dataclass(frozen=True)
class AssociateOptions:
    """Options of :func:`associate`."""

    reach: float = option(
        0.15, "How far a keypoint may be from where a subject's position puts it and still look like it (one standard "
        "deviation), as a part of the subject's size in the image.", low=0.01, high=1.0, live=True,
    )
    min_closeness: float = option(
        0.5, "A sight that is less close to a subject's position than this (1 is there, 0 elsewhere) is not of it.",
        low=0.01, high=1.0, live=True,
    )


class _Scene:
    """What N sights at most of each of V cameras look like, as rays; padded with NaN."""

    def __init__(self, rig: Rig, views: Sequence[Poses], options: AssociateOptions) -> None:
        v, n, k = len(views), max(map(len, views)), len(views[0].skeleton)
        keypoints, self.scores = np.full((v, n, k, 2), np.nan), np.zeros((v, n, k))
        self.sides, self.parents = np.zeros((v, n), int), np.zeros((v, n), int)
        for i, poses in enumerate(views):
            here = slice(0, len(poses))
            keypoints[i, here], self.scores[i, here] = poses.keypoints, poses.scores
            self.sides[i, here], self.parents[i, here] = poses.sides, poses.parents
        self.scores[np.isnan(keypoints).any(axis=3)] = 0
        # One coordinate after the other, and infinity for what is missing: processors are fast at that.
        extent = np.ones((v, n))
        for one in np.ascontiguousarray(keypoints.transpose(3, 0, 1, 2)):
            missing = np.isnan(one)
            extent *= np.where(missing, -np.inf, one).max(axis=2) - np.where(missing, np.inf, one).min(axis=2)
        size = np.sqrt(np.where(np.isfinite(extent), np.fmax(extent, _MIN_SIZE**2), _MIN_SIZE**2))
        #: The keypoints that are looked at.
        self.best = np.sort(np.argsort(-self.scores.sum(axis=(0, 1)), kind="stable")[:_KEYPOINTS])
        self.scores = self.scores[:, :, self.best]
        kept = keypoints[:, :, self.best]
        xy, _ = lens.rays([camera.camera for camera in rig], kept.reshape(v, -1, 2))
        #: (V, N, K, 2): x / z and y / z.
        self.xy = xy.transpose(1, 2, 0).reshape(kept.shape)
        focal = np.array([np.sqrt(camera.camera.K[0, 0] * camera.camera.K[1, 1]) for camera in rig])
        #: (V, N): one standard deviation in those.
        self.reach = options.reach * size / focal[:, None]
        #: The same in single precision, 0 where not known: (V, N, K, 2), (V, N, K), and -1 / 2 sigma^2 (V, N, 1).
        self.seen = np.nan_to_num(self.xy).astype(np.float32)
        self.weights = np.where(np.isnan(self.xy[..., 0]), 0, self.scores).astype(np.float32)
        self.narrow = (-0.5 / np.square(self.reach))[..., None].astype(np.float32)
        self.centres = np.array([camera.centre for camera in rig])
        self.rotations = np.array([camera.rotation for camera in rig])
        self.translations = np.array([camera.translation for camera in rig])
        rays = np.concatenate([self.xy, np.ones((*self.xy.shape[:3], 1))], axis=3)
        #: (V, N, K, 3), in the world.
        self.rays = np.einsum("vnkc,vcd->vnkd", rays, self.rotations)

    def pairs(self) -> np.ndarray:
        """Return (H, 4): two cameras and a sight in each, which lie in planes with both."""
        v = len(self.scores)
        rays = self.rays / np.linalg.norm(self.rays, axis=3, keepdims=True)
        rays[self.scores == 0] = 0
        # (V, V, N, K, 3): normals of the planes through a ray and the centre of another camera.
        normals = np.cross(rays[:, None], (self.centres - self.centres[:, None])[:, :, None, None])
        length = np.linalg.norm(normals, axis=4, keepdims=True)
        normals /= np.where(length > 0, length, 1)
        # (V, V, K, N, N): sine of how far the rays of the second camera leave those planes, in standard deviations.
        off = normals.transpose(0, 1, 3, 2, 4) @ rays.transpose(0, 2, 3, 1)[None]
        off /= self.reach[None, :, None, None]
        root = np.sqrt(self.scores).transpose(0, 2, 1)
        weights = root[:, None, :, :, None] * root[:, :, None]
        alike = np.exp(-0.5 * off * off)
        total = weights.sum(axis=2)
        close = np.divide((alike * weights).sum(axis=2), total, out=np.zeros_like(total), where=total > 0)
        close = np.minimum(close, close.transpose(1, 0, 3, 2))
        close *= self._may_be(self.sides, self.sides) & self._may_be(self.parents, self.parents)
        close[np.arange(v), np.arange(v)] = 0
        rank = np.argsort(np.argsort(-close, axis=3), axis=3)
        good = (close > 0.5) & (rank < _CANDIDATES) & (rank.transpose(1, 0, 3, 2) < _CANDIDATES)
        first, second, i, j = np.nonzero(good & (np.arange(v)[:, None] < np.arange(v))[:, :, None, None])
        return np.stack([first, i, second, j], axis=1)

    @staticmethod
    def _may_be(some: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return (V, V, N, N): whether both say the same, or one says nothing (0)."""
        a, b = some[:, None, :, None], others[None, :, None, :]
        return np.asarray((a == b) | (a == 0) | (b == 0))

    def points(self, pairs: np.ndarray) -> np.ndarray:
        """Return (H, K, 3): where two rays come nearest to one another."""
        a, b = self.rays[pairs[:, 0], pairs[:, 1]], self.rays[pairs[:, 2], pairs[:, 3]]
        between = (self.centres[pairs[:, 2]] - self.centres[pairs[:, 0]])[:, None]
        aa, bb, ab = (a * a).sum(axis=2), (b * b).sum(axis=2), (a * b).sum(axis=2)
        ga, gb = (a * between).sum(axis=2), (b * between).sum(axis=2)
        with np.errstate(divide="ignore", invalid="ignore"):
            s, t = np.array([bb * ga - ab * gb, ab * ga - aa * gb]) / (aa * bb - ab * ab)
        centres = (self.centres[pairs[:, 0]] + self.centres[pairs[:, 2]])[:, None]
        middle: np.ndarray = (centres + s[..., None] * a + t[..., None] * b) / 2
        middle[~((s > 0) & (t > 0))] = np.nan
        return middle

    def close(self, points: np.ndarray, sides: np.ndarray, parents: np.ndarray) -> np.ndarray:
        """Return how close subjects at points (P, K, 3) are to the sights, (V, P, N) in [0, 1]."""
        close = np.zeros((len(self.xy), len(points), self.xy.shape[1]))
        for v, (rotation, translation) in enumerate(zip(self.rotations, self.translations, strict=True)):
            x, y, z = (points @ rotation.T + translation).transpose(2, 0, 1)
            there = z > 0
            with np.errstate(divide="ignore", invalid="ignore"):
                x, y = (np.where(there, part / z, _FAR).astype(np.float32)[:, None] for part in (x, y))
            # As core.closeness, with as many numbers at once as fit the processor's cache. (P, N, K)
            off = x - self.seen[v, :, :, 0]
            off *= off
            across = y - self.seen[v, :, :, 1]
            across *= across
            off += across
            off *= self.narrow[v]
            # What is missing on either side counts on neither.
            alike = np.einsum("pnk,nk->pn", np.exp(off, out=off), self.weights[v])
            total = there.astype(np.float32) @ self.weights[v].T
            np.divide(alike, total, out=close[v], where=total > 0)
            for mine, theirs in ((sides, self.sides[v]), (parents, self.parents[v])):
                close[v] *= (mine[:, None] == theirs) | (mine[:, None] == 0) | (theirs == 0)
        return close


def associate(
    rig: Rig, views: Sequence[Poses], previous: Poses | None = None, options: AssociateOptions | None = None
) -> np.ndarray:
    """Find who is who.

    Hands of different sides are different, and so are parts of different subjects: ``parents`` that are not 0 must be
    the same in all cameras and in ``previous``.

    Args:
        rig: V cameras.
        views: What each of them saw at one moment.
        previous: Subjects that were there before, with ``points`` in the world where they should be now.
        options: How to.

    Returns:
        (P, V) int64: the row of each subject in each view, -1 where it is not seen. Those of ``previous`` come first,
        seen or not; then new ones, which at least two cameras see, best first.

    Raises:
        ConfigError: The views have different skeletons.
        ShapeError: There are not as many views as cameras.
    """
    options = options or AssociateOptions()
    if len(views) != len(rig):
        raise ShapeError("views", f"{len(rig)}, one for each camera", len(views))
    names = sorted({poses.skeleton.name for poses in views})
    if len(names) > 1:
        raise ConfigError("views", f"expected one skeleton, got {', '.join(names)}")
    known = 0 if previous is None else len(previous)
    groups = np.full((known, len(views)), -1)
    if max(map(len, views), default=0) == 0:
        return groups
    scene = _Scene(rig, views, options)
    if previous is not None and known and previous.points is not None:
        points = previous.points[:, scene.best].astype(np.float64)
        close = scene.close(points, previous.sides, previous.parents)
        for v, gain in enumerate(close):
            mine, rows = assign(gain, options.min_closeness).T
            groups[mine, v] = rows
    new = _new(scene, groups, options.min_closeness)
    for row in new:  # what one camera alone took for somebody who was there before
        groups[(groups == row) & (row >= 0)] = -1
    return np.concatenate([groups, new])


def _new(scene: _Scene, groups: np.ndarray, minimum: float) -> np.ndarray:
    """Return the groups of those that are in none yet, or alone."""
    taken = np.zeros(scene.scores.shape[:2], bool)
    for v, rows in enumerate(groups[(groups >= 0).sum(axis=1) > 1].T):
        taken[v, rows[rows >= 0]] = True
    pairs = scene.pairs()
    pairs = pairs[~(taken[pairs[:, 0], pairs[:, 1]] | taken[pairs[:, 2], pairs[:, 3]])]
    first, second = (pairs[:, 0], pairs[:, 1]), (pairs[:, 2], pairs[:, 3])
    sides = np.maximum(scene.sides[first], scene.sides[second])
    parents = np.maximum(scene.parents[first], scene.parents[second])
    close = scene.close(scene.points(pairs), sides, parents)
    close[close < minimum] = 0
    close *= ~taken[:, None]
    found: list[np.ndarray] = []
    if not len(pairs):
        return np.empty((0, len(taken)), np.int64)
    chosen = close.argmax(axis=2)
    best = np.take_along_axis(close, chosen[..., None], axis=2)[..., 0]
    while True:
        guess = int(np.where((best > 0).sum(axis=0) >= 2, best.sum(axis=0), 0).argmax())
        rows = np.where(best[:, guess] > 0, chosen[:, guess], -1)
        if (rows >= 0).sum() < 2:
            break
        found.append(rows)
        for v in np.flatnonzero(rows >= 0).tolist():
            close[v, :, rows[v]] = 0
            # Those that wanted the same sight take the next one.
            lost = np.flatnonzero(chosen[v] == rows[v])
            chosen[v, lost] = close[v, lost].argmax(axis=1)
            best[v, lost] = close[v, lost, chosen[v, lost]]
    return np.array(found, np.int64).reshape(-1, len(taken))
