# SPDX-License-Identifier: Apache-2.0
"""MoveNet: 17 keypoints of one person in a crop, or of up to six in an image (Votel and Li, Google, 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core import warp
from pose_ros.core.frame import check_image
from pose_ros.core.options import option
from pose_ros.core.poses import Poses
from pose_ros.decode import movenet
from pose_ros.errors import CardError, ShapeError
from pose_ros.estimators.base import ImageEstimator
from pose_ros.estimators.top_down import CropOptions, CropParams, Outputs, TopDownEstimator
from pose_ros.plugin import Model


@dataclass(frozen=True)
class MoveNetParams(CropParams):
    """What a card says in ``params``."""

    padding: float = option(1.0, "How much larger than the subject's box the crop is.", low=0.5, high=4.0)
    align: str = option("area", "Where a pixel of the crop lies in the region.", choices=("area",))


@dataclass(frozen=True)
class MoveNetOptions(CropOptions):
    """Options of :class:`MoveNet`."""

    follow: bool = option(
        True, "Say where people will be in the next image, by MoveNet's own rule, so that they need not be detected in "
        "each.", live=True,
    )


class MoveNet(TopDownEstimator):
    """One person in each region; of several in a region the one in its middle.

    Where people are followed, ``subject_scores`` is the score of the surest keypoint: nobody is where none is sure.
    """

    Options = MoveNetOptions
    Params = MoveNetParams
    options: MoveNetOptions

    def __init__(self, model: Model, options: MoveNetOptions | None = None) -> None:
        """Look up the torso, from which people are followed.

        Raises:
            CardError: A parameter does not fit, or the skeleton has no shoulders and hips.
        """
        super().__init__(model, options)
        self._shoulders, self._hips = (self._pair(part) for part in ("shoulder", "hip"))

    def _pair(self, part: str) -> list[int]:
        try:
            return [self.skeleton.index[f"{side}_{part}"] for side in ("left", "right")]
        except KeyError as error:
            problem = f"skeleton: expected one with {error}, got '{self.skeleton.name}'"
            raise CardError(self.card.name, problem) from error

    def _decode(self, outputs: Outputs) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        (output,) = outputs.values()
        k = len(self.skeleton)
        if output.size != len(output) * k * 3:
            raise ShapeError("output", f"(N, 1, {k}, 3)", output.shape)
        return *movenet.decode(output.reshape(-1, k, 3), self.card.input_wh), self.card.input_wh

    def _mirrored(self, outputs: Outputs) -> Outputs:
        ((name, output),) = outputs.items()
        mirrored = output[:, :, self.skeleton.flip_index]
        return {name: mirrored * np.array([1, -1, 1], np.float32) + np.array([0, 1, 0], np.float32)}

    def estimate(self, image: np.ndarray, regions: np.ndarray, sides: np.ndarray | None = None) -> Poses:
        """Estimate one pose per region; see :class:`pose_ros.estimators.base.CropEstimator`."""
        poses = super().estimate(image, regions)
        if not self.options.follow:
            return poses
        size_wh = (image.shape[1], image.shape[0])
        following = movenet.next_regions(poses.keypoints, poses.scores, size_wh, self._shoulders, self._hips)
        following[:, 2:4] /= self.options.padding or self.params.padding
        return poses.replace(subject_scores=poses.scores.max(axis=1, initial=0), regions=following)


@dataclass(frozen=True)
class MultiPoseOptions:
    """Options of :class:`MoveNetMultiPose`."""

    min_score: float = option(0.2, "Lowest score of a person.", low=0.0, high=1.0, live=True)


class MoveNetMultiPose(ImageEstimator):
    """Up to six people and their boxes. The image stands in the middle of the input, which is black around it."""

    Options = MultiPoseOptions
    options: MultiPoseOptions

    def estimate(self, image: np.ndarray) -> Poses:
        """Estimate all poses, best first; see :class:`ImageEstimator`."""
        check_image(image)
        size_wh, k = self.card.input_wh, len(self.skeleton)
        matrix = warp.letterbox_matrix((image.shape[1], image.shape[0]), size_wh, centre=True)
        batch = self.card.preprocess(warp.crop(image, matrix, size_wh)[None])
        ((rows,),) = self.session.run(batch).values()
        if rows.ndim != 2 or rows.shape[1] != 3 * k + 5:
            raise ShapeError("output", f"(1, N, {3 * k + 5})", (1, *rows.shape))
        # The rest of a row is the box: y, x of its corners, and its score.
        rows = rows[np.isfinite(rows[:, 3 * k :]).all(axis=1) & (rows[:, -1] >= self.options.min_score)]
        rows = rows[np.argsort(-rows[:, -1], kind="stable")]
        points, scores = movenet.decode(rows[:, : 3 * k].reshape(-1, k, 3), size_wh)
        corners = rows[:, [3 * k + 1, 3 * k, 3 * k + 3, 3 * k + 2]].reshape(-1, 2, 2) * size_wh - 0.5
        return Poses(
            self.skeleton,
            warp.apply(matrix, points),
            np.clip(scores, 0, 1),
            boxes=warp.apply(matrix, corners).reshape(-1, 4),
            subject_scores=np.clip(rows[:, -1], 0, 1),
        )
