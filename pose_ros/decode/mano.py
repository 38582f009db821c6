# SPDX-License-Identifier: Apache-2.0
"""MANO (Romero, Tzionas and Black, SIGGRAPH Asia 2017): the surface of a right hand from rotations and a shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Vertices at the tips of thumb, index, middle, ring and little finger, those of smplx's ``vertex_ids['mano']``.
TIPS = (744, 320, 443, 554, 671)
#: The points of hand21 among MANO's 16 joints (wrist; index, middle, little, ring finger and thumb, each from its base)
#: and the five tips after them.
_HAND21 = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)


@dataclass(frozen=True, eq=False)
class HandModel:
    """The arrays of MANO, float32; metres."""

    #: (V, 3) the mean hand, flat.
    template: np.ndarray
    #: (V, 3, S) what each shape parameter moves.
    shapes: np.ndarray
    #: (V, 3, 9 (J - 1)) what each element of the rotations of all joints but the wrist moves.
    poses: np.ndarray
    #: (J, V) joints from vertices.
    regressor: np.ndarray
    #: (V, J) how much a vertex follows a joint.
    weights: np.ndarray
    #: (J,) int64; a joint comes after the one that it hangs from; -1 for the wrist.
    parents: np.ndarray
    #: (F, 3) int64, triangles of vertices.
    faces: np.ndarray

    def __call__(self, rotations: np.ndarray, betas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the vertices and the points of hands, by linear blend skinning.

        Args:
            rotations: (N, J, 3, 3) of each joint against its parent; of the wrist against the camera.
            betas: (N, S) shape parameters.

        Returns:
            Vertices (N, V, 3) and the points of hand21 (N, 21, 3), metres, float32.
        """
        n, joints = rotations.shape[:2]
        shaped = self.template + np.einsum("vcs,ns->nvc", self.shapes, betas)
        at_rest = self.regressor @ shaped
        bent = (rotations[:, 1:] - np.eye(3, dtype=np.float32)).reshape(n, 9 * (joints - 1))
        posed = shaped + (bent @ self.poses.reshape(-1, bent.shape[1]).T).reshape(shaped.shape)
        turned, placed = rotations.copy(), at_rest.copy()
        for joint in range(1, joints):
            parent = self.parents[joint]
            turned[:, joint] = turned[:, parent] @ rotations[:, joint]
            bone = at_rest[:, joint] - at_rest[:, parent]
            placed[:, joint] = placed[:, parent] + (turned[:, parent] @ bone[..., None])[..., 0]
        moved = placed - (turned @ at_rest[..., None])[..., 0]
        blended = np.einsum("vj,njab->nvab", self.weights, np.concatenate([turned, moved[..., None]], axis=3))
        vertices = (blended[..., :3] @ posed[..., None])[..., 0] + blended[..., 3]
        points = np.concatenate([placed, vertices[:, list(TIPS)]], axis=1)
        return vertices, points[:, list(_HAND21)]


def project(points: np.ndarray, camera: np.ndarray, size: float, focal: float) -> np.ndarray:
    """Return where a crop shows points, by the weak camera of Kanazawa et al. (CVPR 2018).

    Args:
        points: (N, K, 3) metres.
        camera: (N, 3): scale, which is twice the crop's size in pixels over what that spans in metres and the size; and
            x and y of the points' origin in metres from the crop's middle.
        size: Width and height of the crop in pixels.
        focal: Focal length in pixels: the larger, the flatter is what is seen.

    Returns:
        (N, K, 2) pixels from the crop's middle; NaN where a point is not in front of the camera.
    """
    scale, away = camera[:, None, 0], camera[:, None, 1:]
    # Where the scale is nought or less the hand would be nowhere.
    depth = points[..., 2] + 2 * focal / np.where(scale > 0, size * scale, np.nan)
    seen = np.where(depth > 0, depth, np.nan)[..., None]
    return np.asarray(focal * (points[..., :2] + away) / seen)
