# SPDX-License-Identifier: Apache-2.0
"""Aim: what a direction that somebody shows meets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

#: What the ground is called.
FLOOR = "floor"
#: Nobody points at the ground farther away than this, metres.
_FAR_M = 10.0


@dataclass(frozen=True)
class Targets:
    """What can be shown, in the frame of the image."""

    #: Name -> (3,) metres.
    places: Mapping[str, np.ndarray] = field(default_factory=dict)
    #: Largest angle between a direction and the way to a place that is meant, radians.
    max_angle: float = 0.26
    #: (4,) unit vector away from the ground, and the ground's height along it, metres; None: not known.
    floor: np.ndarray | None = None

    def met_by(self, ray: np.ndarray) -> tuple[np.ndarray | None, str]:
        """Return the place (3,) that is meant and its name: that nearest to the ray by angle, else the ground.

        Args:
            ray: (6,) start, metres, and unit vector.
        """
        start, direction = ray[:3], ray[3:]
        if self.places:
            ways = np.array(list(self.places.values())) - start
            cosines = (ways @ direction) / np.maximum(np.linalg.norm(ways, axis=1), 1e-9)
            best = int(cosines.argmax())
            if cosines[best] >= np.cos(self.max_angle):
                return np.asarray(start + ways[best]), list(self.places)[best]
        if self.floor is not None:
            down = -float(direction @ self.floor[:3])
            above = float(start @ self.floor[:3] - self.floor[3])
            if above > 0 and down * _FAR_M > above:
                return start + direction * above / down, FLOOR
        return None, ""
