# SPDX-License-Identifier: Apache-2.0
"""68 points of faces by heat maps, and their depth by a second network (Bulat and Tzimiropoulos, ICCV 2017).

The rules are those of 1adrianb/face-alignment (BSD-3-Clause), which rounds coordinates to whole pixels at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core.crops import Crops
from pose_ros.core.options import option
from pose_ros.core.poses import Poses
from pose_ros.core.regions import check_regions
from pose_ros.decode.heatmap import quarter
from pose_ros.errors import CardError
from pose_ros.estimators.top_down import CropOptions, CropParams, Outputs, TopDownEstimator
from pose_ros.plugin import Model

#: Of the blobs that show the second network where points are, pixels of the crop: where they end, and their sigma.
_REACH, _SIGMA = 6, 0.25 * 13
#: Outer corners of the eyes; how far apart they are makes metres of pixels.
_CORNERS = ("right_eye_0", "left_eye_3")


@dataclass(frozen=True)
class FanParams(CropParams):
    """What a card says in ``params``."""

    shift: float = option(
        0.0, "How far below the box's middle the crop's middle is, in longer sides of the box.", low=-1.0, high=1.0
    )


class Fan(TopDownEstimator):
    """Estimate points from heat maps; a card's ``params`` are :class:`FanParams`.

    With ``needs: {depth: ...}`` in the card there are ``local_points``. The network's depth is in pixels, as x and y
    are; all three are scaled until the outer corners of the eyes are as far apart as the skeleton's ``rigid`` says,
    which is that of an average face: they are metres as far as the face is average. z points away from the camera.
    """

    Params = FanParams
    params: FanParams

    def __init__(self, model: Model, options: CropOptions | None = None) -> None:
        """Read the card.

        Raises:
            CardError: A parameter does not fit, or the networks have other inputs or outputs.
        """
        super().__init__(model, options)
        self._depth = model.needs.get("depth")
        k, (width, height) = len(self.skeleton), self.card.input_wh
        shapes = [t.shape[1:] for t in self.session.outputs]
        if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][0] != k:
            raise CardError(self.card.name, f"expected {k} heat maps (N, {k}, H, W) as only output, got {shapes}")
        if self._depth:
            (image,), (depth,) = self._depth.session.inputs, self._depth.session.outputs
            if image.shape[1:] != (3 + k, height, width) or depth.shape[1:] != (k,):
                raise CardError(self._depth.card.name, f"expected (N, {3 + k}, {height}, {width}) -> (N, {k}), got "
                                                       f"{image.shape} -> {depth.shape}")
            if not all(self.skeleton.index.get(name) in self.skeleton.rigid for name in _CORNERS):
                raise CardError(self.card.name, f"skeleton: expected one whose 'rigid' has {' and '.join(_CORNERS)}")

    def estimate(self, image: np.ndarray, regions: np.ndarray, sides: np.ndarray | None = None) -> Poses:
        """Estimate one pose per region; see :class:`pose_ros.estimators.base.CropEstimator`."""
        regions = np.array(check_regions(regions))
        shift = self.params.shift * regions[:, 2:4].max(axis=1)
        with np.errstate(invalid="ignore"):  # of regions that are nowhere
            regions[:, 0] -= shift * np.sin(regions[:, 4])
            regions[:, 1] += shift * np.cos(regions[:, 4])
        return super().estimate(image, regions, sides)

    def _outputs(self, crops: Crops) -> Outputs:
        (heatmaps,) = super()._outputs(crops).values()
        if not self._depth:
            return {"heatmaps": heatmaps}
        points, _ = quarter(heatmaps)
        # The authors count the middle of the first pixel as 0.5.
        scale = np.array(self.card.input_wh) / heatmaps.shape[:1:-1]
        blobs = _drawn((points + 0.5) * scale, self.card.input_wh)
        batch = np.concatenate([self.card.preprocess(crops.pixels()), blobs], axis=1)
        (depth,) = self._depth.session.run(batch).values()
        return {"heatmaps": heatmaps, "depth": depth}

    def _mirrored(self, outputs: Outputs) -> Outputs:
        return {name: maps[:, self.skeleton.flip_index, :, ::-1] for name, maps in outputs.items()}

    def _decode(self, outputs: Outputs) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        height, width = outputs["heatmaps"].shape[2:]
        return *quarter(outputs["heatmaps"]), (width, height)

    def _complete(self, poses: Poses, rows: np.ndarray, regions: np.ndarray, outputs: Outputs) -> Poses:
        if not self._depth:
            return poses
        width, _ = self.card.input_wh
        depth = np.where(np.isfinite(outputs["depth"]), outputs["depth"], np.nan)
        pixels = regions[:, 2:3] / width
        points = np.full((*poses.scores.shape, 3), np.nan)
        points[rows] = np.concatenate([poses.keypoints[rows], -(depth * pixels)[..., None]], axis=2)
        points -= points[:, self.skeleton.root, None]
        corners = [self.skeleton.index[name] for name in _CORNERS]
        real, found = (np.linalg.norm(np.subtract(*pair), axis=-1) for pair in (
            np.array([self.skeleton.rigid[i] for i in corners]), points[:, corners].swapaxes(0, 1)
        ))  # fmt: skip
        found[found == 0] = np.nan
        return poses.replace(local_points=points * (real / found)[:, None, None])


def _drawn(points: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Draw a blob for each point (N, K, 2) -> (N, K, H, W); none for one outside or missing.

    It is around the pixel before the point's; the one of a point near the left or upper border comes nearer to that.
    """
    whole = np.floor(np.nan_to_num(points, nan=-1e6))
    low, high = whole - _REACH, whole + _REACH
    seen = ((points > 0) & (low <= size_wh) & (high >= 1)).all(axis=2)
    axes = []
    for axis, size in enumerate(size_wh):
        first, last = low[..., axis, None], high[..., axis, None]
        begin = np.maximum(first, 1)
        pixel = np.arange(size)
        away = pixel - begin + np.maximum(-first, 1) - _REACH
        inside = (pixel >= begin - 1) & (pixel < last)
        axes.append((inside * np.exp(-((away / _SIGMA) ** 2) / 2)).astype(np.float32))
    return axes[1][..., :, None] * axes[0][..., None, :] * seen[..., None, None].astype(np.float32)
