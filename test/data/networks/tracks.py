# SPDX-License-Identifier: Apache-2.0
"""Keypoints over time that are random and everywhere the same, for networks that lift. NumPy only."""

from __future__ import annotations

import numpy as np

#: Of the image.
SIZE_WH = (1000, 1002)


def random_tracks(n: int, moments: int) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints (n, moments, 17, 2) that wander over the image, in pixels, and scores (n, moments, 17)."""
    rng = np.random.default_rng(n)
    start = rng.uniform(0.2, 0.8, (n, 1, 17, 2)) * SIZE_WH
    steps = rng.normal(0, 8, (n, moments, 17, 2)).cumsum(axis=1)
    return (start + steps).astype(np.float32), rng.uniform(0, 1, (n, moments, 17)).astype(np.float32)
