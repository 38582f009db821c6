# SPDX-License-Identifier: Apache-2.0
"""Irises and eyelids by a second look at each eye (Ablavatski et al. 2020).

Every rule is that of MediaPipe's ``iris_landmark`` graphs and ``UpdateFaceLandmarksCalculator`` (Apache-2.0), except
that those cut the regions out half a pixel of the image aside.
"""

from __future__ import annotations

import numpy as np

from pose_ros.core import warp
from pose_ros.core.regions import keypoints_to_boxes
from pose_ros.core.skeleton import Skeleton
from pose_ros.decode.rois import aligned_regions
from pose_ros.errors import CardError
from pose_ros.estimators.rois import look
from pose_ros.plugin import Model

#: How much larger than the distance of the corners of an eye the region around it is.
_SCALE = 2.3
#: Points of the mesh that the contour's 71 points refine, of the right eye: lids, three rings around them, and brow.
#: Those of the left eye are their mirror images.
CONTOUR = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173,
    130, 25, 110, 24, 23, 22, 26, 112, 243, 247, 30, 29, 27, 28, 56, 190,
    226, 31, 228, 229, 230, 231, 232, 233, 244, 113, 225, 224, 223, 222, 221, 189,
    35, 124, 46, 53, 52, 65,
    143, 111, 117, 118, 119, 120, 121, 128, 245, 156, 70, 63, 105, 66, 107, 55, 193,
)  # fmt: skip
#: Of them, the edges of the lids; the iris is as far away as they are on average.
LIDS = CONTOUR[:16]
#: Centre, and four points around it, of each eye.
_IRIS = 5


class Eyes:
    """Both eyes of all faces, in one call of the network."""

    def __init__(self, model: Model, skeleton: Skeleton) -> None:
        """Read the card and the skeleton of the face.

        Args:
            model: Network that knows the right eye of the subject. Card outputs: contour (N, 71 x 3) and iris
                (N, 5 x 3) in pixels of the crop.
            skeleton: With roles ``right_eye_corners``, ``left_eye_corners`` (outer, inner), ``right_iris`` and
                ``left_iris``.

        Raises:
            CardError: They do not fit together.
        """
        self._model = model
        if len(model.card.outputs) != 2:
            raise CardError(model.card.name, f"outputs: expected contour and iris, got {model.card.outputs}")
        roles = ("right_eye_corners", "left_eye_corners", "right_iris", "left_iris")
        if not all(role in skeleton.roles for role in roles):
            raise CardError(model.card.name, f"expected a face with roles {', '.join(roles)}; got '{skeleton.name}'")
        right, left = skeleton.roles["right_eye_corners"], skeleton.roles["left_eye_corners"]
        # From the left of an upright image to the right.
        self._corners = np.array([right, left[::-1]])
        mirror = skeleton.flip_index
        #: Keypoints (2, 71) of the contours, (2, 16) of the lids and (2, 5) of the irises; right eyes and left ones.
        self.contours = np.stack([np.array(CONTOUR), mirror[list(CONTOUR)]])
        self.lids = np.stack([np.array(LIDS), mirror[list(LIDS)]])
        self.irises = np.array([skeleton.roles["right_iris"], skeleton.roles["left_iris"]])

    def __call__(self, image: np.ndarray, keypoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return contours (N, 2, 71, 2) and irises (N, 2, 5, 2) in pixels of ``image``; NaN where there is no eye.

        Args:
            image: RGB uint8 (H, W, 3).
            keypoints: (N, K, 2) of the faces.
        """
        n = len(keypoints)
        corners = keypoints[:, self._corners].reshape(2 * n, 2, 2)
        regions = aligned_regions(corners, keypoints_to_boxes(corners), start=0, end=1, target_deg=0, scale=_SCALE)
        mirrored = np.tile([False, True], n)
        defined, _, matrices, outputs = look(self._model, image, regions, align="area", mirrored=mirrored)
        found = []
        for output, count in zip(outputs, (len(CONTOUR), _IRIS), strict=True):
            points = output.reshape(2 * n, count, 3)[..., :2]
            sound = defined[:, None, None] & np.isfinite(points).all(axis=2, keepdims=True)
            # The network measures from the edge of the first pixel.
            found.append(warp.apply(matrices, np.where(sound, points - 0.5, np.nan)).reshape(n, 2, count, 2))
        return found[0], found[1]
