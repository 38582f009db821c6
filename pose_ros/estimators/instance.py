# SPDX-License-Identifier: Apache-2.0
"""Networks of animal laboratories that see one subject: DeepLabCut, and SLEAP's centered and single instances.

Their outputs are heat maps with cells of a known size, where DeepLabCut adds offsets from the cells to the keypoints;
or the keypoints themselves, where the file looks for them itself, as sleap-nn exports it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core import warp
from pose_ros.core.frame import check_image
from pose_ros.core.options import option
from pose_ros.core.poses import Poses
from pose_ros.core.whole_image import whole_image
from pose_ros.decode import cells
from pose_ros.errors import CardError
from pose_ros.estimators.base import ImageEstimator
from pose_ros.estimators.top_down import CropOptions, CropParams, Outputs, TopDownEstimator
from pose_ros.plugin import Model, read_params
from pose_ros.runtime.session import Session


@dataclass(frozen=True)
class CellParams:
    """What a card says in ``params`` about the maps."""

    stride: float = option(4.0, "Pixels of the input for each cell of the maps.", unit="px", low=0.25, high=64.0)
    middle: float = option(
        0.5, "Where in its cell a value is: 0.5 in the middle (DeepLabCut), 0 on its first pixel (SLEAP).",
        low=0.0, high=1.0,
    )
    offset_px: float = option(
        7.2801, "What the offsets are multiplied with (DeepLabCut's locref_std).", unit="px", low=0.001, high=1000.0
    )
    logits: bool = option(False, "Maps are logits (DeepLabCut's apply_sigmoid, and its TensorFlow engine).")
    refine: str = option("none", "How a keypoint is found in its cell, see decode.cells.", choices=cells.REFINEMENTS)




@dataclass(frozen=True)
class CenteredParams(CropParams, CellParams):
    """What a card of :class:`CenteredInstance` says in ``params``."""

    padding: float = option(1.0, "How much larger than the subject's box the crop is.", low=0.5, high=4.0)
    align: str = option(
        "area", "How keypoints lie in the crop, whose pixels lie area on area: so too (SLEAP), or resized "
        "(DeepLabCut), see CropParams.", choices=("area", "resized"),
    )


@dataclass(frozen=True)
class SingleParams(CellParams):
    """What a card of :class:`SingleInstance` says in ``params``."""

    align: str = option(
        "area", "How keypoints lie in an image that was scaled: area on area (SLEAP), or from its first pixel "
        "(resized; DeepLabCut).", choices=("area", "resized"),
    )
    multiple: int = option(32, "Width and height of the input are multiples of this.", low=1, high=256, unit="px")
    border: int = option(0, "Grey of the input around the image.", low=0, high=255)


@dataclass(frozen=True)
class SingleOptions:
    """Options of :class:`SingleInstance`."""

    net_height: int = option(
        0, "Height of the network's input; 0 takes that of the images it was trained with (the card's input_wh). The "
        "animal should be as large as in those.", unit="px", low=0, high=4096, live=True,
    )
    min_score: float = option(
        0.1, "Nobody is there where the mean score of the keypoints is lower.", low=0.0, high=1.0, live=True
    )


class _Reader:
    """What both estimators read of the network's outputs."""

    def __init__(self, name: str, keypoints: int, session: Session, params: CellParams, layout: str) -> None:
        """Look at the outputs.

        Raises:
            CardError: They are neither maps, with or without offsets, nor keypoints and scores.
        """
        self._k, self._last = keypoints, layout == "nhwc"
        shapes = [t.shape for t in session.outputs]
        channels = [s[3 if self._last else 1] if len(s) == 4 else s for s in shapes]
        #: Whether the file finds the keypoints itself.
        self.points = [len(s) for s in shapes] == [3, 2]
        if self.points:
            right = all(s[1] in (-1, keypoints) for s in shapes)
        else:
            right = len(channels) in (1, 2) and all(c in (-1, i * keypoints) for i, c in enumerate(channels, 1))
        if not right:
            raise CardError(name, f"outputs: expected {keypoints} heat maps, or these and {2 * keypoints} offsets, or "
                                  f"keypoints (N, {keypoints}, 2) and scores (N, {keypoints}); got "
                                  f"{', '.join(f'{t.name} {t.shape}' for t in session.outputs)}")
        self._cells = cells.Cells(params.stride, params.middle, params.offset_px, params.logits, params.refine)

    def decode(self, outputs: Outputs) -> tuple[np.ndarray, np.ndarray]:
        """Return keypoints (N, K, 2) in pixels of the input, NaN where missing, and scores (N, K)."""
        if not self.points:
            return cells.decode(*self._maps(outputs), self._cells)
        points, scores = outputs.values()
        found = np.isfinite(points).all(axis=2) & np.isfinite(scores) & (scores > 0)
        return np.where(found[..., None], points, np.nan), np.where(found, scores, 0)

    def mirrored(self, outputs: Outputs, flip_index: np.ndarray, width: int) -> Outputs:
        """Return what outputs of a mirrored input say about the input itself, as maps in front of rows and columns."""
        if self.points:
            points, scores = (value[:, flip_index] for value in outputs.values())
            points = np.concatenate([width - 1 - points[..., :1], points[..., 1:]], axis=2)
            return dict(zip(outputs, (points, scores), strict=True))
        made = cells.mirrored(*self._maps(outputs), self._cells, flip_index, width)
        kept = [value.transpose(0, 2, 3, 1) if self._last else value for value in made if value is not None]
        return dict(zip(outputs, kept, strict=True))

    def _maps(self, outputs: Outputs) -> tuple[np.ndarray, np.ndarray | None]:
        maps = [value.transpose(0, 3, 1, 2) if self._last else value for value in outputs.values()]
        return maps[0], maps[1] if len(maps) > 1 else None


class CenteredInstance(TopDownEstimator):
    """The subject in each region; a card's ``params`` are those of :class:`CenteredParams`."""

    Params = CenteredParams
    params: CenteredParams

    def __init__(self, model: Model, options: CropOptions | None = None) -> None:
        """Read the card.

        Raises:
            CardError: A parameter does not fit, or the network has other outputs.
        """
        super().__init__(model, options)
        card = self.card
        self._reader = _Reader(card.name, len(self.skeleton), self.session, self.params, card.preprocess.layout)

    def _decode(self, outputs: Outputs) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        return *self._reader.decode(outputs), self.card.input_wh

    def _mirrored(self, outputs: Outputs) -> Outputs:
        return self._reader.mirrored(outputs, self.skeleton.flip_index, self.card.input_wh[0])


class SingleInstance(ImageEstimator):
    """The one subject of an image, seen whole; a card's ``params`` are those of :class:`SingleParams`.

    ``subject_scores`` is the mean of the keypoints' scores. The input may be of any size; ``input_wh`` says how high
    the images were that the network was trained with. A network whose input is fixed sees the image fitted into that.
    """

    Options = SingleOptions
    options: SingleOptions

    def __init__(self, model: Model, options: SingleOptions | None = None) -> None:
        """Read the card.

        Raises:
            CardError: A parameter does not fit, or the network has other outputs.
        """
        super().__init__(model, options)
        card = self.card
        self.params = read_params(SingleParams, card)
        self._reader = _Reader(card.name, len(self.skeleton), self.session, self.params, card.preprocess.layout)
        shape = self.session.inputs[0].shape
        self._fixed = -1 not in (shape[2:4] if card.preprocess.layout == "nchw" else shape[1:3])

    def estimate(self, image: np.ndarray) -> Poses:
        """Estimate the pose in an image; see :class:`ImageEstimator`."""
        check_image(image)
        batch, matrix = self._input(image)
        points, scores = self._reader.decode(self.session.run(self.card.preprocess(batch[None])))
        points, scores = warp.apply(matrix, points), scores.clip(0, 1)
        if self.params.align == "resized":
            points = points + (1 - matrix[0, 0]) / 2
        subjects = scores.mean(axis=1)
        there = (subjects >= self.options.min_score) & (scores > 0).any(axis=1)
        return Poses(self.skeleton, points, scores, subject_scores=subjects).select(there)

    def _input(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the network's input (H, W, 3) uint8, and the matrix from its pixels to the image's."""
        params, size_wh = self.params, self.card.input_wh
        if self._fixed:
            matrix = warp.letterbox_matrix((image.shape[1], image.shape[0]), size_wh, centre=True)
            return warp.crop(image, matrix, size_wh, border=params.border), matrix
        return whole_image(image, self.options.net_height or size_wh[1], params.multiple, border=params.border)
