# SPDX-License-Identifier: Apache-2.0
"""Networks that draw one heat map per keypoint: Hourglass, SimpleBaseline, HRNet, ViTPose and their kin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core.options import option
from pose_ros.decode.heatmap import BLUR_KERNEL, DECODERS, Decoder, combined
from pose_ros.errors import CardError, ConfigError
from pose_ros.estimators.top_down import CropOptions, CropParams, Outputs, TopDownEstimator
from pose_ros.plugin import Model

#: Columns by which the heat map of a mirrored crop has to move right. Where a heat-map pixel shows its corner,
#: mirroring misses it by 3/4 pixel at a quarter of the input's size, and these families were tested with a whole one.
_FLIP_SHIFT = {"area": 0, "udp": 0, "corner": 1}


@dataclass(frozen=True)
class HeatmapParams(CropParams):
    """What a card says in ``params``."""

    decoder: str = option(
        "argmax", "Rule to find the keypoint, see decode.heatmap; combined is for disks and offsets.",
        choices=(*DECODERS, "combined"),
    )
    blur_kernel: int = option(BLUR_KERNEL, "Smoothing of all but argmax, heat-map pixels, odd.", low=1, high=99)
    background: int = option(0, "Last heat maps that are of no keypoint.", low=0, high=1)


@dataclass(frozen=True)
class HeatmapOptions(CropOptions):
    """Options of :class:`HeatmapEstimator`."""

    decoder: str = option(
        "", "Rule to find the keypoint in a heat map; empty takes the model's own.", choices=("", *DECODERS), live=True
    )


class HeatmapEstimator(TopDownEstimator):
    """Estimate keypoints from heat maps; a card's ``params`` are those of :class:`HeatmapParams`."""

    Options = HeatmapOptions
    Params = HeatmapParams
    options: HeatmapOptions
    params: HeatmapParams

    def __init__(self, model: Model, options: HeatmapOptions | None = None) -> None:
        """Read the card.

        Raises:
            CardError: A parameter does not fit, or the network has other outputs than its heat maps.
            ConfigError: The decoder that is asked for is for other networks.
        """
        super().__init__(model, options)
        kernel = self.params.blur_kernel
        if kernel % 2 == 0:
            raise CardError(self.card.name, f"params.blur_kernel: expected an odd number, got {kernel}")
        self._decoder()
        #: Maps for each keypoint.
        self.maps = 3 if self.params.decoder == "combined" else 1
        k = (len(self.skeleton) + self.params.background) * self.maps
        if [(len(t.shape), t.shape[1]) for t in self.session.outputs] not in ([(4, -1)], [(4, k)]):
            shapes = ", ".join(str(t.shape) for t in self.session.outputs)
            raise CardError(self.card.name, f"expected {k} heat maps (N, {k}, H, W) as only output, got {shapes}")

    def _decoder(self) -> Decoder:
        """Return the rule that is in force.

        Raises:
            ConfigError: The one that is asked for is for other networks.
        """
        if self.params.decoder != "combined":
            return DECODERS[self.options.decoder or self.params.decoder]
        if self.options.decoder:
            raise ConfigError("estimator.decoder", f"expected none, because model '{self.card.name}' draws offsets and "
                                                   f"has a decoder of its own; got '{self.options.decoder}'")
        return combined

    def _decode(self, outputs: Outputs) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        (heatmaps,) = outputs.values()
        heatmaps = heatmaps[:, : len(self.skeleton) * self.maps]
        height, width = heatmaps.shape[2:]
        return *self._decoder()(heatmaps, self.params.blur_kernel), (width, height)

    def _mirrored(self, outputs: Outputs) -> Outputs:
        ((name, heatmaps),) = outputs.items()
        # Those of the background stay where they are.
        groups = np.arange(heatmaps.shape[1] // self.maps)
        groups[: len(self.skeleton)] = self.skeleton.flip_index
        index = (groups[:, None] * self.maps + np.arange(self.maps)).ravel()
        heatmaps = heatmaps[:, index, :, ::-1]
        if self.maps == 3:  # disk, and the way to its centre in x and y
            heatmaps[:, 1::3] *= -1
        shift = _FLIP_SHIFT[self.align]
        if shift:
            heatmaps = np.concatenate([heatmaps[..., :shift], heatmaps[..., :-shift]], axis=3)
        return {name: heatmaps}
