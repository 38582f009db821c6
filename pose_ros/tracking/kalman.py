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


@dataclass(frozen=True, eq=False)
class Motion:
    """Points at one moment; any leading axes."""

    #: (..., 3) metres.
    position: np.ndarray
    #: (..., 3) metres per second.
    velocity: np.ndarray
    #: (..., 3, 3) covariance of the position, m^2.
    pp: np.ndarray
    #: (..., 3, 3) covariance of the position (rows) with the velocity (columns), m^2/s.
    pv: np.ndarray
    #: (..., 3, 3) covariance of the velocity, m^2/s^2.
    vv: np.ndarray
    #: (..., 6, 9): what errors that last add to the covariance of position and velocity, and the covariance of these
    #: with those errors. The filter does not know it, and is the same with or without.
    lasting: np.ndarray

    @classmethod
    def begin(cls, position: np.ndarray, covariance: np.ndarray) -> Motion:
        """Return points that were seen once, (..., 3) and (..., 3, 3): nothing is known of their velocity."""
        still, lasting = np.zeros(covariance.shape), np.zeros((*position.shape[:-1], 6, 9))
        lasting[..., :3, 6:] = covariance
        return cls(position, np.zeros(position.shape), covariance, still, still + _SPEED_MPS**2 * np.eye(3), lasting)

    @property
    def spread(self) -> np.ndarray:
        """(..., 3, 3) covariance of the position with what errors that last add to it, m^2."""
        return self.pp + self.lasting[..., :3, :3]

    def select(self, rows: np.ndarray) -> Motion:
        """Return the points at ``rows`` of the first axis."""
        return Motion(*(column[rows] for column in self.__dict__.values()))

    def followed(self, other: Motion) -> Motion:
        """Return these points and the other ones, along the first axis."""
        pairs = zip(self.__dict__.values(), other.__dict__.values(), strict=True)
        return Motion(*(np.concatenate(pair) for pair in pairs))

    def where(self, mask: np.ndarray, other: Motion) -> Motion:
        """Return the other points where the mask says so."""
        if not mask.any():
            return self
        pairs = zip(self.__dict__.values(), other.__dict__.values(), strict=True)
        return Motion(*(np.where(mask.reshape(mask.shape + (1,) * (a.ndim - mask.ndim)), b, a) for a, b in pairs))

    def later(self, seconds: float, noise: float, lasting_s: float = 0.0) -> Motion:
        """Return where the points should be after some time.

        Args:
            seconds: How much later.
            noise: Spectral density of the acceleration, m^2/s^3: variance that the velocity gains in each second.
            lasting_s: Time in which errors of measurements become others, seconds; 0: each is a new one.
        """
        held = self.lasting
        if lasting_s:
            step = np.eye(6) + seconds * np.eye(6, k=3)
            held = step @ held
            held[..., :6] = held[..., :6] @ step.T
            held[..., 6:] *= np.exp(-seconds / lasting_s)
        along, axes = seconds * self.vv, noise * np.eye(3)
        pv = self.pv + along
        pp = self.pp + seconds * (self.pv + np.swapaxes(self.pv, -1, -2) + along)
        return Motion(
            self.position + seconds * self.velocity, self.velocity,
            pp + seconds**3 / 3 * axes, pv + seconds**2 / 2 * axes, self.vv + seconds * axes, held,
        )  # fmt: skip

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
        off = points - self.position
        weight = inverse(self.pp + covariances)
        distance = (off * (weight @ off[..., None])[..., 0]).sum(axis=-1)
        weight /= np.maximum(distance / gate**2, 1)[..., None, None]
        gain = self.pp @ weight
        gain_v = np.swapaxes(self.pv, -1, -2) @ weight
        pp, pv = self.pp - gain @ self.pp, self.pv - gain @ self.pv
        held = self.lasting
        if lasting is not None:
            both = np.concatenate([gain, gain_v], axis=-2)
            news = both @ np.where(lasting[..., None, None], covariances, 0)
            held = held - both @ held[..., :3, :]
            shared = held[..., 6:] @ np.swapaxes(both, -1, -2)
            own = held[..., :6] - held[..., :3] @ np.swapaxes(both, -1, -2)
            held = np.concatenate([own + shared + np.swapaxes(shared, -1, -2), held[..., 6:] + news], axis=-1)
        motion = Motion(
            self.position + (gain @ off[..., None])[..., 0], self.velocity + (gain_v @ off[..., None])[..., 0],
            symmetric(pp), pv, symmetric(self.vv - gain_v @ self.pv), held,
        )  # fmt: skip
        return motion, distance


def symmetric(matrices: np.ndarray) -> np.ndarray:
    """Return matrices (..., 3, 3) without the small difference from their transposes that rounding makes."""
    return np.asarray((matrices + np.swapaxes(matrices, -1, -2)) / 2)


def inverse(matrices: np.ndarray) -> np.ndarray:
    """Return the inverses of symmetric matrices, (..., 3, 3); by cofactors, as LAPACK takes ten times as long."""
    a, b, c = matrices[..., 0, 0], matrices[..., 0, 1], matrices[..., 0, 2]
    d, e, f = matrices[..., 1, 1], matrices[..., 1, 2], matrices[..., 2, 2]
    out = np.empty(matrices.shape)
    out[..., 0, 0], out[..., 1, 1], out[..., 2, 2] = d * f - e * e, a * f - c * c, a * d - b * b
    out[..., 0, 1] = out[..., 1, 0] = c * e - b * f
    out[..., 0, 2] = out[..., 2, 0] = b * e - c * d
    out[..., 1, 2] = out[..., 2, 1] = b * c - a * e
    out /= (a * out[..., 0, 0] + b * out[..., 0, 1] + c * out[..., 0, 2])[..., None, None]
    return out
