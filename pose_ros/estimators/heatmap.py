# SPDX-License-Identifier: Apache-2.0
"""Networks that draw one heat map per keypoint: Hourglass, SimpleBaseline, HRNet, ViTPose and their kin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from pose_ros.core import warp
from pose_ros.core.frame import check_image
from pose_ros.core.options import from_mapping, option
from pose_ros.core.poses import Poses
from pose_ros.core.regions import check_regions
from pose_ros.decode.heatmap import BLUR_KERNEL, DECODERS
from pose_ros.errors import CardError, ConfigError
from pose_ros.estimators.base import CropEstimator
from pose_ros.plugin import Model

#: Columns by which the heat map of a mirrored crop has to move right. Where a heat-map pixel shows its corner,
#: mirroring misses it by 3/4 pixel at a quarter of the input's size, and these families were tested with a whole one.
_FLIP_SHIFT = {"area": 0, "udp": 0, "corner": 1}


@dataclass(frozen=True)
class HeatmapParams:
    """What a card says in ``params``."""

    padding: float = option(1.25, "How much larger than the subject's box the crop is.", low=0.5, high=4.0)
    align: str = option(
        "corner", "Where a heat-map pixel lies in the crop, see core.warp.region_matrix.", choices=tuple(_FLIP_SHIFT)
    )
    decoder: str = option("argmax", "Rule to find the keypoint, see decode.heatmap.", choices=tuple(DECODERS))
    blur_kernel: int = option(BLUR_KERNEL, "Smoothing of dark and udp, heat-map pixels, odd.", low=1, high=99)


@dataclass(frozen=True)
class HeatmapOptions:
    """Options of :class:`HeatmapEstimator`."""

    flip_test: bool = option(
        False, "Look at the mirrored image too and average: a little more accurate, twice the work.", live=True
    )


class HeatmapEstimator(CropEstimator):
    """Estimate keypoints from heat maps; a card's ``params`` are those of :class:`HeatmapParams`."""

    Options = HeatmapOptions
    options: HeatmapOptions

    def __init__(self, model: Model, options: HeatmapOptions | None = None) -> None:
        """Read the card.

        Raises:
            CardError: A parameter does not fit, or the network has other outputs than one heat map per keypoint.
        """
        super().__init__(model, options)
        try:
            self.params = from_mapping(HeatmapParams, self.card.params, "params")
        except ConfigError as error:
            raise CardError(self.card.name, str(error)) from error
        self._align = cast(warp.Align, self.params.align)
        kernel = self.params.blur_kernel
        if kernel % 2 == 0:
            raise CardError(self.card.name, f"params.blur_kernel: expected an odd number, got {kernel}")
        k = len(self.skeleton)
        if [(len(t.shape), t.shape[1]) for t in self.session.outputs] not in ([(4, -1)], [(4, k)]):
            shapes = ", ".join(str(t.shape) for t in self.session.outputs)
            raise CardError(self.card.name, f"expected {k} heat maps (N, {k}, H, W) as only output, got {shapes}")

    def estimate(self, image: np.ndarray, regions: np.ndarray) -> Poses:
        """Estimate one pose per region; see :class:`CropEstimator`. Regions without an area give NaN."""
        check_image(image)
        regions = check_regions(regions)
        k = len(self.skeleton)
        keypoints = np.full((len(regions), k, 2), np.nan, np.float32)
        scores = np.zeros((len(regions), k), np.float32)
        rows = np.flatnonzero(np.isfinite(regions).all(axis=1) & (regions[:, 2:4] > 0).all(axis=1))
        if len(rows):
            padded = warp.fit_aspect(regions[rows], self.card.input_wh, self.params.padding)
            heatmaps = self._heatmaps(image, padded)
            found, values = DECODERS[self.params.decoder](heatmaps, self.params.blur_kernel)
            # The heat map covers the region by the same rule as the crop does, with fewer steps.
            to_image = warp.region_matrix(padded, heatmaps.shape[:1:-1], self._align)
            keypoints[rows], scores[rows] = warp.apply(to_image, found), np.clip(values, 0, 1)
        return Poses(self.skeleton, keypoints, scores)

    def _heatmaps(self, image: np.ndarray, regions: np.ndarray) -> np.ndarray:
        """Return (N, K, H, W)."""
        size_wh = self.card.input_wh
        crops = np.empty((len(regions), size_wh[1], size_wh[0], 3), np.uint8)
        for target, matrix in zip(crops, warp.region_matrix(regions, size_wh, self._align), strict=True):
            warp.crop(image, matrix, size_wh, out=target)
        if not self.options.flip_test:
            return self._run(crops)
        both = self._run(np.concatenate([crops, crops[:, :, ::-1]]))
        straight, mirrored = both[: len(crops)], both[len(crops) :, self.skeleton.flip_index, :, ::-1]
        shift = _FLIP_SHIFT[self._align]
        if shift:
            mirrored = np.concatenate([mirrored[..., :shift], mirrored[..., :-shift]], axis=3)
        return (straight + mirrored) / 2

    def _run(self, crops: np.ndarray) -> np.ndarray:
        (heatmaps,) = self.session.run(self.card.preprocess(crops)).values()
        return heatmaps
