# SPDX-License-Identifier: Apache-2.0
"""Clocks: whose stamps are late, by what moves. Time comes from stamps.

What a camera sees lags behind where the others put it by the same time everywhere, so that how far it is off grows with
how fast a keypoint moves in its image: the slope is the time. A camera that stands elsewhere than thought is off by the
same everywhere, which is the intercept, so that one is not taken for the other. Of a camera that is believed a part of
the time is hidden, as it pulls the points along. What all clocks do alike nobody sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pose_ros.multiview.rig import PosedCamera

#: What is thought of a clock is of about this time, seconds.
_MEMORY_S = 5.0
#: A time is known when it was looked at for so long (seconds), and by its standard deviation at most (seconds).
_ENOUGH_S, _SURE_S = 1.0, 0.004
#: Velocities in images are those over so long, seconds.
_MOMENT_S = 0.01
#: What is further off than so many standard deviations is a mistake.
_WRONG = 15.0
#: Keypoints of one moment are wrong together, and so are moments that follow one another: a standard deviation is so
#: many times that of independent ones.
_ALIKE = 4.0


@dataclass(frozen=True)
class Late:
    """How late the stamps of a camera are, beside the median of all cameras, and one standard deviation; seconds."""

    seconds: float
    sigma: float

    @property
    def sure(self) -> bool:
        """Whether they are late, or early, beyond doubt and by more than is usual."""
        return abs(self.seconds) > max(4 * self.sigma, 0.005)


@dataclass
class _Memory:
    since_ns: int
    stamp_ns: int
    #: Fading: 1, velocity (2), offset (2), their squares and their product.
    sums: np.ndarray = field(default_factory=lambda: np.zeros(8))

    def late(self) -> tuple[float, float]:
        """Return the time and its standard deviation; infinite, where nothing moved."""
        count, vx, vy, x, y, vv, rr, vr = self.sums
        vv, rr, vr = vv - (vx * vx + vy * vy) / count, rr - (x * x + y * y) / count, vr - (vx * x + vy * y) / count
        if not vv > 0 or self.stamp_ns - self.since_ns < _ENOUGH_S * 1e9:
            return 0.0, np.inf
        left = max(rr - vr * vr / vv, 0) / (2 * count)
        return -vr / vv, _ALIKE * float(np.sqrt(left / vv))


class Clocks:
    """Find out whose stamps are late."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._memories: dict[str, _Memory] = {}

    def count(
        self, camera: PosedCamera, stamp_ns: int, pixels: np.ndarray, sigmas: np.ndarray, points: np.ndarray,
        velocities: np.ndarray,
    ) -> None:  # fmt: skip
        """Take what a camera saw.

        Args:
            camera: Of the sights.
            stamp_ns: When.
            pixels: (..., 2) where keypoints were seen, NaN where they were not.
            sigmas: (...,) pixels, their standard deviations.
            points: (..., 3) metres in the world, where they should be.
            velocities: (..., 3) metres per second.
        """
        memory = self._memories.setdefault(camera.name, _Memory(stamp_ns, stamp_ns))
        fade = float(np.exp(-max(stamp_ns - memory.stamp_ns, 0) * 1e-9 / _MEMORY_S))
        place = camera.project(points)
        v, r = (camera.project(points + velocities * _MOMENT_S) - place) / _MOMENT_S, pixels - place
        with np.errstate(invalid="ignore"):
            known = (np.linalg.norm(r, axis=-1) < _WRONG * sigmas) & np.isfinite(v).all(axis=-1)
        v, r = v[known], r[known]
        memory.stamp_ns = stamp_ns
        memory.sums = memory.sums * fade + [
            len(v), *v.sum(axis=0), *r.sum(axis=0), (v * v).sum(), (r * r).sum(), (v * r).sum()
        ]

    def late(self) -> Mapping[str, Late]:
        """Return of whom it is known, as three cameras at least must say."""
        each = {name: memory.late() for name, memory in self._memories.items() if memory.sums[0] > 0}
        known = {name: one for name, one in each.items() if one[1] <= _SURE_S}
        if len(known) < 3:
            return {}
        middle = float(np.median([seconds for seconds, _ in known.values()]))
        return {name: Late(seconds - middle, sigma) for name, (seconds, sigma) in known.items()}
