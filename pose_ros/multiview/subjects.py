# SPDX-License-Identifier: Apache-2.0
"""Subjects: what moves before cameras that are being calibrated, as the bundle adjustment wants it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

#: Cauchy's loss begins to let go at this many robust standard deviations.
LET_GO = 2.5


def cross(vectors: np.ndarray) -> np.ndarray:
    """Return the matrices (..., 3, 3) that make cross products with vectors (..., 3)."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    o = np.zeros_like(x)
    return np.stack([np.stack(r, -1) for r in ([o, -z, y], [z, o, -x], [-y, x, o])], -2)


def turns(vectors: np.ndarray) -> np.ndarray:
    """Return the rotations (N, 3, 3) of Rodrigues' vectors (N, 3)."""
    return np.stack([cv2.Rodrigues(vector)[0] for vector in vectors]) if len(vectors) else np.zeros((0, 3, 3))


@dataclass(frozen=True, eq=False)
class Rigid:
    """One rigid thing that moves, such as a board."""

    #: (K, 3) metres, in its own frame.
    shape: np.ndarray
    #: (T, 3, 3), (T, 3): where it is in the world.
    rotations: np.ndarray
    translations: np.ndarray
    known_size: ClassVar[bool] = True

    def points(self) -> np.ndarray:
        """See bundle.Scene."""
        return self.shape @ np.swapaxes(self.rotations, -1, -2) + self.translations[:, None]

    def _levers(self) -> np.ndarray:
        """(T, K, 3, 6): how points move with a small turn and shift."""
        points = self.points()
        return np.concatenate([-cross(points), np.broadcast_to(np.eye(3), (*points.shape, 3))], axis=-1)

    def chain(self, to_points: np.ndarray) -> np.ndarray:
        """See bundle.Scene."""
        return np.einsum("...tkni,tkib->...tnb", to_points, self._levers())

    def curvature(self, information: np.ndarray) -> np.ndarray:
        """See bundle.Scene."""
        levers = self._levers()
        return np.einsum("tkia,tkij,tkjb->tab", levers, information, levers)

    def prior(self) -> tuple[float, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """See bundle.Scene: nothing."""
        t = len(self.translations)
        return 0.0, np.zeros((t, 6, 6)), np.zeros((t, 0, 6)), np.zeros((0, 0)), np.zeros((t, 6)), np.zeros((t, 0))

    def moved(self, moments: np.ndarray, common: np.ndarray) -> Rigid:
        """See bundle.Scene."""
        turn = turns(moments[:, :3])
        shifted = (turn @ self.translations[..., None])[..., 0] + moments[:, 3:]
        return dataclasses.replace(self, rotations=turn @ self.rotations, translations=shifted)


@dataclass(frozen=True, eq=False)
class Jointed:
    """Points that move freely but for limbs, which keep their lengths more or less; of one or several subjects."""

    #: (T, K, 3) in the world; NaN where unknown.
    places: np.ndarray
    #: (L, 2) keypoints at the ends of limbs.
    limbs: np.ndarray
    #: (S, L) metres: lengths of each subject.
    lengths: np.ndarray
    #: (T,) whose moment it is.
    subjects: np.ndarray
    #: How much a length may change from moment to moment, standard deviation in metres.
    play: float
    #: Mean of all lengths, which holds the scale.
    scale: float
    known_size: ClassVar[bool] = False

    def points(self) -> np.ndarray:
        """See bundle.Scene."""
        return self.places

    def chain(self, to_points: np.ndarray) -> np.ndarray:
        """See bundle.Scene."""
        turned = np.moveaxis(to_points, -3, -2)  # (..., T, n, K, 3)
        return turned.reshape(*turned.shape[:-2], -1)

    def curvature(self, information: np.ndarray) -> np.ndarray:
        """See bundle.Scene."""
        t, k = information.shape[:2]
        out = np.zeros((t, k, 3, k, 3))
        index = np.arange(k)
        out[:, index, :, index] = np.moveaxis(information, 1, 0)
        return out.reshape(t, 3 * k, 3 * k)

    def prior(self) -> tuple[float, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """See bundle.Scene: limbs keep their lengths, and the mean of the lengths is known."""
        (t, k), limbs, count = self.places.shape[:2], len(self.limbs), self.lengths.size
        along = self.places[:, self.limbs[:, 0]] - self.places[:, self.limbs[:, 1]]
        long = np.linalg.norm(along, axis=-1)
        along /= np.maximum(long, 1e-6)[..., None]
        off = (long - self.lengths[self.subjects]) / self.play  # (T, L)
        cost = float(np.log1p(off**2 / LET_GO**2).sum() * LET_GO**2)
        trust = 1 / (1 + off**2 / LET_GO**2)
        # Derivative of each limb by the numbers of its moment, and by its length.
        slope = np.zeros((t, limbs, k, 3))
        index = np.arange(limbs)
        slope[:, index, self.limbs[:, 0]] = along / self.play
        slope[:, index, self.limbs[:, 1]] = -along / self.play
        by_moment = slope.reshape(t, limbs, 3 * k)
        lengths = np.zeros((t, limbs, count))
        lengths[np.arange(t)[:, None], index, self.subjects[:, None] * limbs + index] = -1 / self.play
        heavy, heavy_lengths = by_moment * trust[..., None], lengths * trust[..., None]
        hold = 1e4 * count / self.scale
        far = hold * (self.lengths.mean() - self.scale) if count else 0.0
        common = np.einsum("tle,tlf->ef", heavy_lengths, lengths) + (hold / max(count, 1)) ** 2
        pull = -np.einsum("tle,tl->te", heavy_lengths, off)
        pull[0] -= far * hold / max(count, 1)
        between = np.swapaxes(heavy_lengths, 1, 2) @ by_moment
        pulls = -np.einsum("tlb,tl->tb", heavy, off)
        return cost + far**2, np.swapaxes(heavy, 1, 2) @ by_moment, between, common, pulls, pull

    def moved(self, moments: np.ndarray, common: np.ndarray) -> Jointed:
        """See bundle.Scene."""
        places = self.places + moments.reshape(self.places.shape)
        return dataclasses.replace(self, places=places, lengths=self.lengths + common.reshape(self.lengths.shape))
