# SPDX-License-Identifier: Apache-2.0
"""Track: ids over time. (Interface; the body follows.)"""

from __future__ import annotations

from collections.abc import Sequence

from pose_ros.core.poses import Poses


class Tracker:
    """Give every subject an id that lasts."""

    def update(self, poses: Poses, stamp_ns: int) -> tuple[Poses, Sequence[int]]:
        """Return the poses with ids, states and ages, and the ids that ended with this frame."""
        raise NotImplementedError

    def reset(self) -> Sequence[int]:
        """Forget all tracks; returns the ids that ended."""
        raise NotImplementedError
