# SPDX-License-Identifier: Apache-2.0
"""World: where the origin of a rig is, and which way is up."""

from __future__ import annotations

import numpy as np

from pose_ros.errors import ConfigError
from pose_ros.multiview.people import ANKLE, JOINTS
from pose_ros.multiview.rig import PosedCamera, Rig

#: Share of the ankles, the slowest, that belong to feet flat on the floor: of a walk three fifths do.
_STILL = 0.3
_LEAST_STEPS = 10
#: Who walks swings his legs; who leans more than this bends or does sports.
_LEAN_DEG = 15.0
#: How much the direction from feet to shoulders counts against the floor, in steps.
_UPRIGHT = 0.3
_ROUNDS = 5


def moved(rig: Rig, rotation: np.ndarray, translation: np.ndarray, frame_id: str = "world") -> Rig:
    """Return the rig in another world: ``x_new = rotation @ x_old + translation``."""
    cameras = [
        PosedCamera(c.name, c.camera, c.rotation @ rotation.T, c.translation - c.rotation @ rotation.T @ translation)
        for c in rig
    ]
    return Rig(cameras, frame_id)


def on_board(rig: Rig, rotation: np.ndarray, translation: np.ndarray) -> Rig:
    """Return the rig in the frame of a board that lies in its world as told: x along its rows, z up out of it."""
    # The board's own z points into it.
    flip = np.diag([1.0, -1.0, -1.0])
    return moved(rig, flip @ rotation.T, -flip @ rotation.T @ translation)


def on_floor(rig: Rig, points: np.ndarray, height: float) -> Rig:
    """Return the rig with z up and the floor at z = 0; the first camera stands above the origin and looks along x.

    Args:
        rig: The cameras.
        points: (P, T, J, 3) metres in its world: JOINTS of people who walk on the floor.
        height: Of the people, metres.

    Raises:
        ConfigError: Nobody is seen standing.
    """
    shoulders, ankles = (
        np.stack([points[:, :, JOINTS.index(f"{side}_{joint}")] for side in ("left", "right")], axis=2)
        for joint in ("shoulder", "ankle")
    )
    upright = (shoulders - ankles)[np.isfinite(shoulders + ankles).all(axis=-1)]
    steps = np.linalg.norm(np.diff(ankles, axis=1), axis=-1)
    slow = np.nanquantile(steps, _STILL) if np.isfinite(steps).any() else 0.0
    standing = ankles[:, 1:][steps <= slow]
    if len(standing) < _LEAST_STEPS or not len(upright):
        raise ConfigError("--world", f"expected {_LEAST_STEPS} ankles that stand on the floor, saw {len(standing)}; "
                                     "take another world, such as --world first")
    upright /= np.linalg.norm(upright, axis=1, keepdims=True)
    up = np.median(upright, axis=0)
    up /= np.linalg.norm(up)
    lean = float(np.degrees(np.median(np.arccos(np.clip(upright @ up, -1, 1)))))
    if lean > _LEAN_DEG:
        raise ConfigError("--world", f"expected people who stand and walk upright, they lean by {lean:.0f} degrees and "
                                     "so do not say which way is up; take another world, such as --world first")
    weights, level = np.ones(len(standing)), float(np.median(standing @ up))
    for _ in range(_ROUNDS):
        middle = (weights[:, None] * standing).sum(axis=0) / weights.sum()
        off = standing - middle
        spread = (weights[:, None] * off).T @ off / weights.sum()
        # A path along one line leaves the floor's slope across it to how people stand.
        share = _UPRIGHT * np.trace(spread) / len(standing) ** 0.5
        up = _lowest(spread, up, share)
        level = float(middle @ up)
        distance = standing @ up - level
        sigma = max(1.4826 * float(np.median(np.abs(distance))), 0.005)
        weights = 1 / (1 + (distance / (2 * sigma)) ** 2) ** 2
    level -= ANKLE * height
    first = rig.cameras[0]
    ahead = first.rotation[2] - (first.rotation[2] @ up) * up
    if np.linalg.norm(ahead) < 0.1:  # it looks straight down: the top of its image is ahead
        ahead = -first.rotation[1] + (first.rotation[1] @ up) * up
    x = ahead / np.linalg.norm(ahead)
    rotation = np.stack([x, np.cross(up, x), up])
    origin = first.centre - (first.centre @ up - level) * up
    return moved(rig, rotation, -rotation @ origin)


def _lowest(spread: np.ndarray, up: np.ndarray, share: float) -> np.ndarray:
    """Return the direction in which points (3, 3 covariance) spread least, but not far from up."""
    # Minimises n' S n + share |n - up|^2 for |n| = 1; `up` is near, so a few rounds of a linear step do.
    n = up
    for _ in range(_ROUNDS):
        n = np.linalg.solve(spread - (n @ spread @ n) * np.eye(3) + share * np.eye(3), share * up)
        n /= np.linalg.norm(n)
    return n
