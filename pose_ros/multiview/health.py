# SPDX-License-Identifier: Apache-2.0
"""Health: which cameras agree with the others, over the last seconds. Time comes from stamps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

#: What is thought of a camera is a mean over about this time, seconds.
_MEMORY_S = 2.0
#: Fewer sights than this say nothing of a camera.
_ENOUGH = 50.0


@dataclass(frozen=True)
class CameraHealth:
    """How well one camera agreed with the others lately."""

    #: When it saw anything last, nanoseconds.
    stamp_ns: int = 0
    #: How many sights of keypoints, fading, the rest is made of.
    sights: float = 0.0
    #: Share of them that is too far from where the others put the keypoint.
    dropped: float = 0.0
    #: Root mean square distance of the others, pixels.
    residual: float = 0.0
    #: Whether it is not used because it disagrees: most likely its extrinsics are wrong, or it was moved.
    left_out: bool = False


@dataclass
class _Counts:
    """Fading sums."""

    stamp_ns: int
    agree: float = 0.0
    against: float = 0.0
    squares: float = 0.0


@dataclass
class Judge:
    """Decide which cameras to leave out."""

    health: Mapping[str, CameraHealth] = field(default_factory=dict)
    _counts: dict[str, _Counts] = field(default_factory=dict)

    def trusted(self, names: list[str]) -> list[str]:
        """Return the cameras that are not left out."""
        return [name for name in names if not self.health.get(name, CameraHealth()).left_out]

    def count(self, name: str, stamp_ns: int, agree: float, against: float, squares: float) -> None:
        """Take what a camera saw.

        Args:
            name: The camera.
            stamp_ns: When.
            agree: How many sights were where the other cameras put the keypoint.
            against: How many were not.
            squares: Sum of the squared distances of those that were, square pixels.
        """
        counts = self._counts.setdefault(name, _Counts(stamp_ns))
        fade = float(np.exp(-max(stamp_ns - counts.stamp_ns, 0) * 1e-9 / _MEMORY_S))
        counts.stamp_ns = stamp_ns
        counts.agree = counts.agree * fade + agree
        counts.against = counts.against * fade + against
        counts.squares = counts.squares * fade + squares

    def decide(self, limit: float) -> None:
        """Leave out the camera that disagrees most, above ``limit``; take those back that agree again.

        Two that disagree cannot both be left out at once: without the worse one, the other may agree.
        """
        health = {}
        for name, counts in self._counts.items():
            total = counts.agree + counts.against
            health[name] = CameraHealth(
                counts.stamp_ns,
                total,
                counts.against / total if total else 0.0,
                float(np.sqrt(counts.squares / counts.agree)) if counts.agree else 0.0,
                name in self.health and self.health[name].left_out,
            )
        for name, one in health.items():
            if one.left_out and one.dropped < limit / 2:
                health[name] = dataclasses.replace(one, left_out=False)
        # Between two cameras nobody can tell which one is wrong.
        inside = [name for name, one in health.items() if not one.left_out]
        suspects = [name for name in inside if health[name].sights >= _ENOUGH and health[name].dropped > limit]
        if suspects and len(inside) > 2:
            worst = max(suspects, key=lambda name: health[name].dropped)
            health[worst] = dataclasses.replace(health[worst], left_out=True)
        self.health = health
