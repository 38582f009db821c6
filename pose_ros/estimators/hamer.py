# SPDX-License-Identifier: Apache-2.0
"""HaMeR (Pavlakos et al., CVPR 2024): the pose and the surface of a hand in 3D, through the hand model MANO."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core import warp
from pose_ros.core.frame import check_image
from pose_ros.core.options import option
from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.core.regions import boxes_to_regions, check_regions, check_sides, keypoints_to_boxes
from pose_ros.decode.mano import HandModel, project
from pose_ros.decode.rois import enclosing_regions, turned
from pose_ros.errors import CardError
from pose_ros.estimators.base import CropEstimator
from pose_ros.estimators.rois import look
from pose_ros.models import mano
from pose_ros.plugin import Model

#: Pixels of the square that the authors' camera looks at; the network gets its middle.
_SIZE = 256
#: Focal length of that camera, pixels. It was chosen by the authors, and is of no camera that took a picture.
_FOCAL = 5000.0
#: A crop that makes the image smaller than this is smoothed before, as the authors do.
_SHRINKS = 1.1
#: Outputs of the card of the network that finds the hand: landmarks, presence, side, world landmarks.
_HAND_OUTPUTS = 4


@dataclass(frozen=True)
class HamerOptions:
    """Options of :class:`Hamer`."""

    mano: str = option(
        "", "Where MANO_RIGHT.pkl is; empty: where POSE_ROS_MANO says, or in the folder of your own models."
    )
    side: str = option(
        "right", "Side of a hand of which nothing says it.", choices=("left", "right"), live=True
    )
    padding: float = option(
        2.0, "How much larger than the box around the hand's keypoints the crop is.", low=1.0, high=4.0, live=True
    )
    min_presence: float = option(
        0.5, "Where the network that finds the hand's box is less sure of a hand, HaMeR does not look.",
        low=0.0, high=1.0, live=True,
    )


def _hand_model(options: HamerOptions) -> HandModel:
    return HandModel(**mano.read(mano.find(options.mano)))


class Hamer(CropEstimator):
    """21 points of each hand, also in metres around the wrist (``local_points``), and its surface (:meth:`mesh`).

    The network knows right hands; left ones are mirrored before it looks. It wants an upright box around the 21 points
    and the side. Where the card ``needs`` a ``hand`` (a network of MediaPipe's), that finds both, tells whether there
    is a hand at all (``subject_scores`` and ``scores``: HaMeR has none) and where to look next. Without it regions are
    taken for such boxes, and every score is 1.

    ``local_points`` have the axes of the optical frame; a hand at the border of the image is seen as if the camera
    turned towards it, as the authors do. They have the size of the hand that HaMeR guesses. How far away it is cannot
    be known without the real camera, so there are no ``points`` from here.

    Card outputs: rotations (N, 16, 3, 3), betas (N, 10) and camera (N, 3).
    """

    Options = HamerOptions
    steady = False
    options: HamerOptions

    def __init__(self, model: Model, options: HamerOptions | None = None) -> None:
        """Read MANO.

        Raises:
            ModelError: As :meth:`check` does.
            CardError: A card names other outputs.
        """
        super().__init__(model, options)
        if len(self.card.outputs) != 3:
            raise CardError(self.card.name, f"outputs: expected rotations, betas, camera; got {self.card.outputs}")
        self._finder = model.needs.get("hand")
        if self._finder is not None:
            card = self._finder.card
            fits = card.params.get("presence") == "probability" and "points" in card.params.get("roi", {})
            if not fits or len(card.outputs) != _HAND_OUTPUTS or card.skeleton != self.card.skeleton:
                raise CardError(self.card.name, f"needs.hand: expected a network like mediapipe-hand-landmark-full, "
                                                f"got '{card.name}'")
        self.hand = _hand_model(self.options)

    @classmethod
    def check(cls, options: HamerOptions) -> None:
        """Look for MANO.

        Raises:
            ModelMissingError: It is not here; the message says where to get it.
            ModelCorruptError: It is something else.
        """
        _hand_model(options)

    def estimate(self, image: np.ndarray, regions: np.ndarray, sides: np.ndarray | None = None) -> Poses:
        """Estimate one pose per region; see :class:`CropEstimator`."""
        return self._hands(image, regions, sides)[0]

    def mesh(
        self, image: np.ndarray, regions: np.ndarray, sides: np.ndarray | None = None
    ) -> tuple[Poses, np.ndarray, np.ndarray]:
        """Return the surfaces of hands besides what :meth:`estimate` says of them.

        Returns:
            Poses; vertices (N, 778, 3) float32 where ``local_points`` are, NaN where there is no hand; and triangles of
            vertices (N, 1538, 3) int64, those of MANO, which run the other way round in left hands: outside stays
            outside.
        """
        poses, vertices = self._hands(image, regions, sides)
        faces = np.where((poses.sides == LEFT)[:, None, None], self.hand.faces[:, ::-1], self.hand.faces)
        return poses, vertices, faces

    def _hands(
        self, image: np.ndarray, regions: np.ndarray, sides: np.ndarray | None
    ) -> tuple[Poses, np.ndarray]:
        """Return poses and vertices (N, 778, 3)."""
        check_image(image)
        regions, sides = check_regions(regions), check_sides(sides, len(regions))
        boxes, sides, side_scores, presence, following = self._found(image, regions, sides)
        k = len(self.skeleton)
        keypoints = np.full((len(boxes), k, 2), np.nan, np.float32)
        local_points = np.full((len(boxes), k, 3), np.nan, np.float32)
        vertices = np.full((len(boxes), len(self.hand.template), 3), np.nan, np.float32)
        defined = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:4] > 0).all(axis=1)
        rows = np.flatnonzero(defined & (presence >= self.options.min_presence))
        if len(rows):
            crops, matrices = self._crops(image, boxes[rows], sides[rows] == LEFT)
            raw = self.session.run(self.card.preprocess(crops))
            outputs = [raw[name] for name in self.card.outputs]
            sound = np.all([np.isfinite(x).reshape(len(x), -1).all(axis=1) for x in outputs], axis=0)
            rows, (rotations, betas, camera) = rows[sound], [x[sound] for x in outputs]
            surface, points = self.hand(rotations, betas)
            middle = np.array(self.card.input_wh) / 2
            keypoints[rows] = warp.apply(matrices[sound], project(points, camera, _SIZE, _FOCAL) + middle)
            mirror = np.where((sides[rows] == LEFT)[:, None, None], [-1, 1, 1], 1)
            wrist = points[:, self.skeleton.root, None]
            local_points[rows] = turned((points - wrist) * mirror, boxes[rows, 4])
            vertices[rows] = turned((surface - wrist) * mirror, boxes[rows, 4])
        seen = np.isfinite(keypoints).all(axis=2)
        poses = Poses(
            self.skeleton, keypoints, np.where(seen, presence[:, None], 0), boxes=keypoints_to_boxes(keypoints),
            subject_scores=presence, sides=sides, side_scores=side_scores, local_points=local_points, regions=following,
        )  # fmt: skip
        return poses, vertices

    def _found(
        self, image: np.ndarray, regions: np.ndarray, sides: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
        """Return boxes of hands as regions (N, 5); sides, scores of these, and whether there is a hand, each (N,).

        And where to look in the next image (N, 5), or None where nothing tells.
        """
        n = len(regions)
        if self._finder is None:
            own = RIGHT if self.options.side == "right" else LEFT
            return regions, np.where(sides > 0, sides, own), np.zeros(n), np.ones(n), None
        defined, _, matrices, (landmarks, presence, right, _) = look(self._finder, image, regions)
        points = warp.apply(matrices, landmarks.reshape(n, -1, 3)[..., :2])
        points[~defined] = np.nan
        right = np.nan_to_num(right.reshape(n), nan=0.5).clip(0, 1)
        sides = np.where(sides > 0, sides, np.where(right > 0.5, RIGHT, LEFT))
        presence = np.where(defined, np.nan_to_num(presence.reshape(n)).clip(0, 1), 0)
        boxes = boxes_to_regions(keypoints_to_boxes(points))
        following = enclosing_regions(points, **self._finder.card.params["roi"])
        return boxes, sides, np.where(sides == RIGHT, right, 1 - right), presence, following

    def _crops(self, image: np.ndarray, boxes: np.ndarray, mirrored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return crops (N, H, W, 3), and the matrices from their pixels to those of the image (N, 2, 3)."""
        size_wh = self.card.input_wh
        padded = warp.fit_aspect(boxes, size_wh, self.options.padding)
        matrices = warp.region_matrix(padded, size_wh, "corner")
        # A pixel x of a mirrored crop is pixel W - x of the other one.
        matrices[mirrored, :, 2] += size_wh[0] * matrices[mirrored, :, 0]
        matrices[mirrored, :, 0] *= -1
        crops = np.empty((len(boxes), size_wh[1], size_wh[0], 3), np.uint8)
        for crop, matrix, height in zip(crops, matrices, padded[:, 3], strict=True):
            factor = float(height) / _SIZE / 2
            source = warp.smoothed(image, (factor - 1) / 2) if factor > _SHRINKS else image
            warp.crop(source, matrix, size_wh, out=crop)
        return crops, matrices
