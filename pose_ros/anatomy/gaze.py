# SPDX-License-Identifier: Apache-2.0
"""Where eyes look: from the middle of the eyeball through the middle of the iris."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pose_ros.anatomy.body_frames import cross, unit

#: From the middle of the corners of the eye into the head to the middle of the eyeball, and from there to the middle of
#: the iris, metres. In MediaPipe's canonical face the iris lies 3.6 mm before the corners' middle; one of 11.7 mm on an
#: eyeball of 24 mm lies 10.5 mm from the middle of that.
_INTO_THE_HEAD_M, _IRIS_RADIUS_M = 0.0069, 0.0105
#: How far above the middle of the corners that is, metres: where MediaPipe puts the irises of those who look into the
#: camera (median of 18 faces in photographs; without it gazes are 7 degrees too high).
_ABOVE_THE_CORNERS_M = 0.0012


class Eye(NamedTuple):
    """One eye of N faces."""

    #: (N, 3) middle of its corners by the pose of the head, metres in the optical frame.
    corners: np.ndarray
    #: (N, 2, 3) rays through the corners as they are seen.
    corner_rays: np.ndarray
    #: (N, 3) ray through the middle of the iris.
    iris_ray: np.ndarray
    #: (N,) bool: it can be seen.
    open: np.ndarray


def gaze_directions(eyes: list[Eye], rotations: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return unit vectors (N, 3) in the optical frame in which faces look; NaN where no iris is seen.

    The eyeball stands behind the corners of the eye as they are seen, at the depth that the pose of the head says; so
    eyes that are a little higher or wider than the average face's do not turn the gaze. The ray through the iris meets
    it where the iris is. That is the optical axis of the eye; what a person fixates is up to five degrees beside it.
    Both eyes are averaged by the area that they have in the image, which leaves the far one of a profile little say.

    Args:
        eyes: Both eyes.
        rotations: (N, 3, 3) of the head, optical frame from the face's.
        scales: (N,) size of the faces; 1 is the average.
    """
    total = np.zeros((len(rotations), 3))
    for eye in eyes:
        middle = eye.corner_rays.mean(axis=1)
        offset = rotations @ np.array([-_INTO_THE_HEAD_M, 0, _ABOVE_THE_CORNERS_M])
        centre = middle * eye.corners[:, 2:] + offset * scales[:, None]
        ray = eye.iris_ray / np.linalg.norm(eye.iris_ray, axis=1, keepdims=True)
        along = (ray * centre).sum(axis=1)
        # Beside the sphere, the point of the ray that is nearest to it.
        depth = (_IRIS_RADIUS_M * scales) ** 2 - (centre**2).sum(axis=1) + along**2
        met = ray * (along - np.sqrt(np.maximum(depth, 0)))[:, None] - centre
        weight = ((eye.corner_rays[:, 0] - eye.corner_rays[:, 1]) ** 2).sum(axis=1)[:, None]
        direction = met / np.linalg.norm(met, axis=1, keepdims=True)
        known = eye.open[:, None] & np.isfinite(direction).all(axis=1, keepdims=True) & np.isfinite(weight)
        total += np.where(known, weight * direction, 0)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.divide(total, length, out=np.full_like(total, np.nan), where=length > 0)


def gaze_frames(directions: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Return the rotations (N, 3, 3) of gaze frames: z is the gaze, y down the face, x to the subject's right.

    Args:
        directions: (N, 3); where NaN, the face's x axis is taken, as REP-155 asks.
        rotations: (N, 3, 3) of the head.
    """
    z = np.where(np.isfinite(directions), directions, rotations[:, :, 0])
    with np.errstate(invalid="ignore", divide="ignore"):
        x = unit(cross(-rotations[:, :, 2], z))
    return np.stack([x, cross(z, x), z], axis=2)
