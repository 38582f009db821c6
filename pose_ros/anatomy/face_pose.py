# SPDX-License-Identifier: Apache-2.0
"""Where a head is and how it is turned: the pose of an average face that is seen where the keypoints are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pose_ros.core.camera import Camera

#: Four points have one pose; with fewer than this, one bad keypoint decides.
_FEWEST = 6
#: Keypoints below this are guesses, such as those of a whole-body network for a face that is turned away.
_MIN_SCORE = 0.2
#: Nearer than this is the lens, and farther away a face is less than a pixel, metres.
_NEAREST_M, _FARTHEST_M = 0.02, 100.0


def head_poses(
    keypoints: np.ndarray, scores: np.ndarray, rigid: Mapping[int, tuple[float, float, float]], camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rotation (N, 3, 3) and position (N, 3) of faces in the optical frame; NaN where unknown.

    The perspective-n-point problem is solved without a start value (SQPnP, Terzakis and Lourakis, ECCV 2020) and
    refined by Levenberg and Marquardt, on rays from which the lens distortion is gone.

    Args:
        keypoints: (N, K, 2) pixels of the image as it came.
        scores: (N, K); keypoints below 0.2 are not used.
        rigid: Keypoint -> where it lies in the face, metres. Six or more have to be seen.
        camera: Of the image.
    """
    import cv2

    n = len(keypoints)
    rotations, positions = np.full((n, 3, 3), np.nan), np.full((n, 3), np.nan)
    index = np.array(list(rigid), np.int64)
    model = np.array(list(rigid.values()), np.float64).reshape(-1, 3)
    rays = camera.rays(np.asarray(keypoints)[:, index])[..., :2]
    usable = np.isfinite(rays).all(axis=2) & (np.asarray(scores)[:, index] >= _MIN_SCORE)
    for row in np.flatnonzero(usable.sum(axis=1) >= _FEWEST):
        seen = usable[row]
        points, image = model[seen], np.ascontiguousarray(rays[row, seen])
        if not np.ptp(image, axis=0).max() > 0:
            continue
        ok, turn, shift = cv2.solvePnP(points, image, np.eye(3), None, flags=cv2.SOLVEPNP_SQPNP)
        if not ok:
            continue
        turn, shift = cv2.solvePnPRefineLM(points, image, np.eye(3), None, turn, shift)
        if np.isfinite(turn).all() and _NEAREST_M < shift[2, 0] < _FARTHEST_M:
            rotations[row], positions[row] = cv2.Rodrigues(turn)[0], shift[:, 0]
    return rotations, positions
