# SPDX-License-Identifier: Apache-2.0
"""What top-down networks share: crop, run, look at the mirror image too, and bring the keypoints back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from pose_ros.core import warp
from pose_ros.core.crops import Crops
from pose_ros.core.frame import check_image
from pose_ros.core.options import option
from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.core.regions import check_regions, check_sides
from pose_ros.estimators.base import CropEstimator
from pose_ros.plugin import Model, read_params
from pose_ros.runtime.session import CuttingSession

#: What is mirrored: the side that a network does not know. No subject is on side 255.
_OTHER_SIDE = {"": 255, "left": RIGHT, "right": LEFT}
#: Outputs of a network by name, each (N, ...).
Outputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class CropParams:
    """What a card says in ``params`` about the crop."""

    padding: float = option(1.25, "How much larger than the subject's box the crop is.", low=0.5, high=4.0)
    align: str = option(
        "corner", "Where a pixel of the crop lies in the region, see core.warp.region_matrix; resized (DeepLabCut): "
        "pixels area on area, but keypoints from the first corner of the region's first pixel.",
        choices=("area", "udp", "corner", "resized"),
    )
    side: str = option(
        "", "The side of a body that the network knows; what is on the other side is mirrored before it looks.",
        choices=("", "left", "right"),
    )


@dataclass(frozen=True)
class CropOptions:
    """Options of all top-down estimators."""

    flip_test: bool = option(
        False, "Look at the mirrored image too and average: a little more accurate, twice the work.", live=True
    )
    padding: float = option(
        0.0, "How much larger than the subject's box the crop is; 0 takes the model's own.",
        low=0.0, high=4.0, live=True,
    )


class TopDownEstimator(CropEstimator):
    """Base of the estimators that decode one crop per subject."""

    Options = CropOptions
    #: What the card's ``params`` are; a frozen dataclass that extends :class:`CropParams`.
    Params: ClassVar[type[CropParams]] = CropParams
    options: CropOptions
    params: CropParams

    def __init__(self, model: Model, options: CropOptions | None = None) -> None:
        """Read the card.

        Raises:
            CardError: A parameter does not fit.
        """
        super().__init__(model, options)
        self.params = read_params(self.Params, self.card)
        self._cutter = self.session if isinstance(self.session, CuttingSession) and self.session.cuts else None
        resized = self.params.align == "resized"
        #: By which rule keypoints come back from the crop, and pixels get into it.
        self.align = cast(warp.Align, "corner" if resized else self.params.align)
        self._crop_align: warp.Align = "area" if resized else self.align
        #: Added to keypoints, pixels of the image: a region begins half a pixel before the centre of its first one.
        self._offset = np.float32(0.5 if resized else 0)

    @abstractmethod
    def _decode(self, outputs: Outputs) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        """Return keypoints (N, K, 2) on a grid, their scores (N, K), and the grid's width and height.

        The grid covers the region by the same rule (``params.align``) as the crop does: that of the heat maps, or the
        crop itself (``card.input_wh``). A keypoint that was not found is NaN with score 0.
        """

    @abstractmethod
    def _mirrored(self, outputs: Outputs) -> Outputs:
        """Return what the outputs for mirrored crops say about the crops themselves."""

    def estimate(self, image: np.ndarray, regions: np.ndarray, sides: np.ndarray | None = None) -> Poses:
        """Estimate one pose per region; see :class:`CropEstimator`. Regions without an area give NaN."""
        check_image(image)
        regions, sides = check_regions(regions), check_sides(sides, len(regions))
        k = len(self.skeleton)
        keypoints = np.full((len(regions), k, 2), np.nan, np.float32)
        scores = np.zeros((len(regions), k), np.float32)
        rows = np.flatnonzero(np.isfinite(regions).all(axis=1) & (regions[:, 2:4] > 0).all(axis=1))
        if len(rows):
            padding = self.options.padding or self.params.padding
            padded = warp.fit_aspect(regions[rows], self.card.input_wh, padding)
            other = sides[rows] == _OTHER_SIDE[self.params.side]
            matrices = warp.region_matrix(padded, self.card.input_wh, self._crop_align)
            outputs = self._outputs(Crops(image, matrices, self.card.input_wh, other))
            found, values, grid_wh = self._decode(outputs)
            found = np.array(found)
            # Crops were mirrored about the middle between their first and last pixel.
            last = grid_wh[0] - (grid_wh[0] / self.card.input_wh[0] if self.align == "corner" else 1)
            found[other, :, 0] = last - found[other, :, 0]
            keypoints[rows] = warp.apply(warp.region_matrix(padded, grid_wh, self.align), found) + self._offset
            scores[rows] = np.clip(values, 0, 1)
        poses = Poses(self.skeleton, keypoints, scores, sides=sides)
        return self._complete(poses, rows, padded, outputs) if len(rows) else poses

    def _complete(self, poses: Poses, rows: np.ndarray, regions: np.ndarray, outputs: Outputs) -> Poses:
        """Return poses with what else the outputs say.

        Args:
            poses: All of them, N.
            rows: Those that the network looked at, (M,).
            regions: What it saw of each, (M, 5).
            outputs: Of each, (M, ...).
        """
        return poses

    def _outputs(self, crops: Crops) -> Outputs:
        if not self.options.flip_test:
            return self._see(crops)
        both = self._see(crops.both_ways())
        straight = {name: values[: len(crops)] for name, values in both.items()}
        mirrored = self._mirrored({name: values[len(crops) :] for name, values in both.items()})
        return {name: (values + mirrored[name]) / 2 for name, values in straight.items()}

    def _see(self, crops: Crops) -> Outputs:
        if self._cutter:
            return self._cutter.run_crops(crops, self.card.preprocess)
        return self.session.run(self.card.preprocess(crops.pixels()))
