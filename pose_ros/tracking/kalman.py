# SPDX-License-Identifier: Apache-2.0
"""Kalman: points that move at nearly constant velocity, and how sure their place is.

Each point has six numbers: where it is and how fast. Its acceleration is white noise (Bar-Shalom, Li and Kirubarajan,
Estimation with Applications to Tracking and Navigation, 2001, section 6.2.2), so its velocity takes a random walk, and
the steps of time may be of any length. All points are filtered at once, each with its own covariance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Standard deviation of the velocity of a point that was seen once, metres per second along each axis.
_SPEED_MPS = 1.5
_AXES = np.arange(3)


@dataclass(frozen=True, eq=False)
class Motion:
    """Points at one moment; any axes may follow those that are named.

    In memory the same number of all points lies side by side: loops over points are fast, those over 3 x 3 are not.
    """

    #: (3, ...) metres.
    x: np.ndarray
    #: (3, ...) metres per second.
    v: np.ndarray
    #: (3, 3, ...) covariances, m^2, m^2/s and m^2/s^2; ``xv`` is that of the position (rows) with the velocity.
    xx: np.ndarray
    xv: np.ndarray
    vv: np.ndarray
    #: (6, 9, ...): what errors that last add to the covariance of position and velocity, and the covariance of these
    #: with those errors. The filter does not know it, and is the same with or without.
    lasting: np.ndarray

    @classmethod
    def begin(cls, position: np.ndarray, covariance: np.ndarray) -> Motion:
        """Return points that were seen once, (..., 3) and (..., 3, 3): nothing is known of their velocity."""
        x, xx = _first(position, 1), _first(covariance, 2)
        vv, lasting = np.zeros(xx.shape), np.zeros((6, 9, *x.shape[1:]))
        vv[_AXES, _AXES] = _SPEED_MPS**2
        lasting[:3, 6:] = xx
        return cls(x, np.zeros(x.shape), xx, np.zeros(xx.shape), vv, lasting)

    @property
    def position(self) -> np.ndarray:
        """(..., 3) metres."""
        return np.moveaxis(self.x, 0, -1)

    @property
    def velocity(self) -> np.ndarray:
        """(..., 3) metres per second."""
        return np.moveaxis(self.v, 0, -1)

    @property
    def spread(self) -> np.ndarray:
        """(..., 3, 3) covariance of the position with what errors that last add to it, m^2."""
        return _last(self.xx + self.lasting[:3, :3])

    @property
    def velocity_spread(self) -> np.ndarray:
        """(..., 3, 3) covariance of the velocity, m^2/s^2."""
        return _last(self.vv)

    def select(self, rows: np.ndarray) -> Motion:
        """Return the points at ``rows`` of the first axis."""
        return Motion(
            *(column.take(rows, axis=1 if name in ("x", "v") else 2) for name, column in self.__dict__.items())
        )

    def followed(self, other: Motion) -> Motion:
        """Return these points and the other ones, along the first axis."""
        pairs = zip(self.__dict__.items(), other.__dict__.values(), strict=True)
        return Motion(*(np.concatenate([a, b], axis=1 if name in ("x", "v") else 2) for (name, a), b in pairs))

    def where(self, mask: np.ndarray, other: Motion) -> Motion:
        """Return the other points where the mask (...) says so."""
        if not mask.any():
            return self
        if mask.all():
            return other
        pairs = zip(self.__dict__.values(), other.__dict__.values(), strict=True)
        return Motion(*(np.where(mask, b, a) for a, b in pairs))

    def later(self, seconds: float, noise: float, lasting_s: float = 0.0) -> Motion:
        """Return where the points should be after some time.

        Args:
            seconds: How much later.
            noise: Spectral density of the acceleration, m^2/s^3: variance that the velocity gains in each second.
            lasting_s: Time in which errors of measurements become others, seconds; 0: each is a new one.
        """
        held = self.lasting
        if lasting_s:
            held = held.copy()
            held[:3] += seconds * held[3:]
            held[:, :3] += seconds * held[:, 3:6]
            held[:, 6:] *= np.exp(-seconds / lasting_s)
        along = seconds * self.vv
        xv, vv = self.xv + along, self.vv.copy()
        xx = self.xx + seconds * (self.xv + self.xv.swapaxes(0, 1) + along)
        for column, gained in ((xx, seconds**3 / 3), (xv, seconds**2 / 2), (vv, seconds)):
            column[_AXES, _AXES] += noise * gained
        return Motion(self.x + seconds * self.v, self.v, xx, xv, vv, held)

    def seen(
        self, points: np.ndarray, covariances: np.ndarray, gate: float = np.inf, lasting: np.ndarray | None = None
    ) -> tuple[Motion, np.ndarray]:
        """Return the points after they were measured, and how unlikely that was.

        A measurement beyond the gate is taken for as much less certain as would put it there (Chang, Journal of Geodesy
        88, 2014): the further off it is the less it counts. To leave it out altogether would lose a foot that stops:
        where it is looks like an outlier, and more so every time it is not believed.

        Args:
            points: (..., 3) metres; must not be NaN where the result matters.
            covariances: (..., 3, 3) m^2.
            gate: Standard deviations.
            lasting: (...) whether the error lasts, as :meth:`later` says; else, and when left out, it is a new one. The
                covariance of what comes out of a filter that takes all errors for new ones follows from its gain
                (Schmidt 1966; Bar-Shalom, Li and Kirubarajan 2001, section 5.6: filters with a wrong model).

        Returns:
            The motion, and (...) the squared Mahalanobis distance of the measurement from what was expected: chi-square
            of three degrees of freedom if all is as modelled.
        """
        measured = _first(covariances, 2)
        off = _first(points, 1) - self.x
        weight = inverse(self.xx + measured)
        distance = np.einsum("i...,i...->...", off, np.einsum("ij...,j...->i...", weight, off))
        weight /= np.maximum(distance / gate**2, 1)
        # Of position and velocity at once: the covariance with the position, (6, 3), and the gain.
        cross = np.concatenate([self.xx, self.xv.swapaxes(0, 1)])
        gain = _product(cross, weight)
        step, less = np.einsum("ij...,j...->i...", gain, off), _with_transposed(gain, cross)
        held = self.lasting
        if lasting is not None:
            held = held - _product(gain, held[:3])
            shared = _with_transposed(held[:, 6:], gain)
            held[:, :6] += shared + shared.swapaxes(0, 1) - _with_transposed(held[:, :3], gain)
            held[:, 6:] += _product(gain, np.where(lasting, measured, 0))
        motion = Motion(
            self.x + step[:3], self.v + step[3:], symmetric(self.xx - less[:3, :3]), self.xv - less[:3, 3:],
            symmetric(self.vv - less[3:, 3:]), held,
        )  # fmt: skip
        return motion, distance


def _first(column: np.ndarray, axes: int) -> np.ndarray:
    """Return a column as Motion keeps it: its last axes first."""
    return np.ascontiguousarray(np.moveaxis(column, range(-axes, 0), range(axes)), np.float64)


def _last(matrices: np.ndarray) -> np.ndarray:
    """Return matrices (3, 3, ...) as others want them, (..., 3, 3)."""
    return np.moveaxis(matrices, (0, 1), (-2, -1))


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ij...,jk...->ik...", a, b)


def _with_transposed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the products of matrices and the transposes of others."""
    return np.einsum("ij...,kj...->ik...", a, b)


def symmetric(matrices: np.ndarray) -> np.ndarray:
    """Return matrices (3, 3, ...) without the small difference from their transposes that rounding makes."""
    return np.asarray((matrices + matrices.swapaxes(0, 1)) / 2)


def inverse(matrices: np.ndarray) -> np.ndarray:
    """Return the inverses of symmetric matrices, (3, 3, ...); by cofactors, as LAPACK takes ten times as long."""
    (a, b, c), (_, d, e), (_, _, f) = matrices
    out = np.empty(matrices.shape)
    out[0, 0], out[1, 1], out[2, 2] = d * f - e * e, a * f - c * c, a * d - b * b
    out[0, 1] = out[1, 0] = c * e - b * f
    out[0, 2] = out[2, 0] = b * e - c * d
    out[1, 2] = out[2, 1] = b * c - a * e
    out /= a * out[0, 0] + b * out[0, 1] + c * out[0, 2]
    return out
