# SPDX-License-Identifier: Apache-2.0
"""People whose joints wander, random and everywhere the same, for networks that recognise actions. NumPy only."""

from __future__ import annotations

import numpy as np

#: Of the image.
SIZE_WH = (1920, 1080)


def random_people(people: int, moments: int, joints: int) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints (people, moments, joints, 2) in pixels, and scores (people, moments, joints), float32."""
    rng = np.random.default_rng(joints * 1000 + moments)
    start = rng.uniform(0.3, 0.7, (people, 1, joints, 2)) * SIZE_WH
    keypoints = start + rng.normal(0, 4, (people, moments, joints, 2)).cumsum(axis=1)
    return keypoints.astype(np.float32), rng.uniform(0.1, 1, (people, moments, joints)).astype(np.float32)


def random_bodies(people: int, moments: int, joints: int) -> np.ndarray:
    """Return joints (people, moments, joints, 3) in metres, float32."""
    rng = np.random.default_rng(joints * 1000 + moments)
    start = rng.normal(0, 0.4, (people, 1, joints, 3)) + np.array([0.2, 0.1, 3])
    return (start + rng.normal(0, 0.02, (people, moments, joints, 3)).cumsum(axis=1)).astype(np.float32)


#: Case -> card whose network and preprocessing it is, people, moments, clips, mirror image.
CASES = {
    "joint": ("stgcn-ntu60-2d-joint", 1, 60, 1, False),
    "joint-motion": ("stgcn-ntu60-2d-joint-motion", 1, 250, 1, False),
    "plus-bone": ("stgcnpp-ntu60-2d-bone", 2, 130, 2, False),
    "plus-bone-motion": ("stgcnpp-ntu60-2d-bone-motion", 1, 100, 1, False),
    "body-joint": ("stgcn-ntu60-3d-joint", 2, 120, 1, False),
    "body-bone": ("stgcn-ntu60-3d-bone", 1, 60, 1, False),
    "plus-body-bone-motion": ("stgcnpp-ntu60-3d-bone-motion", 2, 210, 1, False),
    "hand": ("stgcnpp-hagrid", 1, 10, 1, False),
    "maps": ("posec3d-ntu60", 1, 60, 1, False),
    "maps-flipped": ("posec3d-ntu60", 2, 110, 2, True),
    "maps-limbs": ("posec3d-ntu60-limb", 2, 40, 1, True),
    "maps-stretched": ("posec3d-k400", 1, 100, 1, False),
}


def random_inputs(n: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return inputs (n, *shape) float32 that differ much, and little over time, which is the second axis of a shape."""
    rng = np.random.default_rng(n)
    still = 20 * rng.standard_normal((n, shape[0], 1, *shape[2:]))
    if shape[2] == shape[3]:  # maps, in large cells
        still = still[..., ::8, ::8].repeat(8, axis=3).repeat(8, axis=4)
    return (still + rng.standard_normal((n, *shape))).astype(np.float32)
