# SPDX-License-Identifier: Apache-2.0
"""PoseConv3D: actions by convolutions over heat maps of the keypoints and over time (Duan et al., CVPR 2022).

Keypoints become heat maps as in mmaction2 1.2.0 (Apache-2.0; UniformSampleFrames, PoseCompact, Resize, CenterCrop,
GeneratePoseTarget).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_ros.core.options import option
from pose_ros.errors import CardError
from pose_ros.plugin import Model, read_params
from pose_ros.recognisers.base import Clip
from pose_ros.recognisers.classifying import Classifying, ClassifyingOptions, uniform

#: How much larger than all keypoints the part of the image is; smaller extents in pixels are left as they are.
_PADDING, _LEAST_PX = 0.25, 10
#: Scores below leave no peak.
_LEAST_SCORE = 1e-4
#: COCO's limbs in the order of their maps (configs of mmaction2).
_LIMBS = np.array([
    (0, 5), (0, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (11, 13), (13, 15), (6, 12), (12, 14), (14, 16), (0, 1),
    (0, 2), (1, 3), (2, 4), (11, 12),
])  # fmt: skip


@dataclass(frozen=True)
class HeatmapsParams:
    """What a card says in ``params``."""

    maps: str = option("keypoints", "What is drawn: one map for each keypoint, or limb.",
                       choices=("keypoints", "limbs"))  # fmt: skip
    sigma: float = option(0.6, "Of the peaks, in cells of the maps.", low=0.01)
    stretch: bool = option(False, "Whether the part of the image is stretched to a square, not cut off.")
    window: float = option(3.3, "Length of the clips of its training.", unit="s", low=0.0)
    step: float = option(1 / 30, "Time between two moments of its training.", unit="s", low=0.001)
    max_rate: float = option(2.0, "How often to look at most.", unit="Hz", low=0.1)
    weight: float = option(1.0, "How much it counts among several networks.", low=0.0)


@dataclass(frozen=True)
class HeatmapsOptions(ClassifyingOptions):
    """What it looks at."""

    flip_test: bool = option(
        False, "Look at the mirror image too and average: a little more accurate, twice the work.", live=True
    )


class Heatmaps(Classifying):
    """Actions by networks whose input is (N, K, T, H, W): one heat map for each keypoint or limb and moment.

    A card's ``params``: :class:`HeatmapsParams`.
    """

    Options = HeatmapsOptions
    options: HeatmapsOptions

    def __init__(self, model: Model, options: HeatmapsOptions | None = None) -> None:
        """Read the card.

        Raises:
            CardError: A parameter does not fit, or a network has another input or output.
        """
        params = read_params(HeatmapsParams, model.card)
        super().__init__(model, options, params.window, params.step, params.max_rate)
        self._params = [read_params(HeatmapsParams, each.card) for each in self._models]
        width, height = self.card.input_wh
        for each, own in zip(self._models, self._params, strict=True):
            shape = each.session.inputs[0].shape[1:]
            maps = len(_LIMBS) if own.maps == "limbs" else len(self.takes)
            if len(shape) != 4 or (shape[0], *shape[2:]) != (maps, height, width) or self.takes.name != "coco17":
                raise CardError(each.card.name, f"expected an input (N, {maps}, moments, {height}, {width}) as its "
                                                f"card says (input_wh), of coco17, got {each.session.inputs[0].shape}")

    def _weight(self, index: int) -> float:
        return self._params[index].weight

    def _where(self, clip: Clip) -> np.ndarray:
        return clip.keypoints

    def _inputs(self, clip: Clip, people: Sequence[int], stretch: slice) -> Sequence[np.ndarray] | None:
        keypoints, scores = clip.keypoints[people, stretch], clip.scores[people, stretch]
        if min(clip.size_wh) <= 0:
            return None
        scores = np.where(np.isfinite(keypoints[..., 0]) & (scores >= _LEAST_SCORE), scores, 0)
        found = []
        for model, params in zip(self._models, self._params, strict=True):
            length = model.session.inputs[0].shape[2]
            moments = uniform(keypoints.shape[1], length, self.options.clips).ravel()
            taken = keypoints[:, moments].astype(np.float32)
            if not np.isfinite(taken).any():
                return None
            taken = self._compact(taken, clip.size_wh, params.stretch)
            maps = self._maps(taken, scores[:, moments].astype(np.float32), params)
            maps = maps.reshape(self.options.clips, length, *maps.shape[1:]).swapaxes(1, 2)
            if self.options.flip_test:
                maps = np.concatenate([maps, maps[:, self._mirrored(params), :, :, ::-1]])
            found.append(maps)
        return found

    def _compact(self, keypoints: np.ndarray, size_wh: tuple[int, int], stretch: bool) -> np.ndarray:
        """Return keypoints in cells of the maps, which show a square around all of them."""
        low = np.nanmin(keypoints, axis=(0, 1, 2))
        high = np.nanmax(keypoints, axis=(0, 1, 2))
        corner, size = np.zeros(2), np.array(size_wh)
        if (high - low).min() >= _LEAST_PX:
            half = np.full(2, (high - low).max() / 2 * (1 + _PADDING))
            corner, end = np.trunc((low + high) / 2 - half), np.trunc((low + high) / 2 + half)
            size = end - corner
        cells = np.array(self.card.input_wh)
        new = cells if stretch else np.trunc(size * (cells.min() / size.min()) + 0.5)
        moved = (keypoints - corner) * (new / size).astype(np.float32) - (new - cells) // 2
        return np.asarray(moved, np.float32)

    def _maps(self, keypoints: np.ndarray, scores: np.ndarray, params: HeatmapsParams) -> np.ndarray:
        """Return maps (T, K, H, W) of keypoints (M, T, V, 2); where people overlap, the higher peak counts."""
        width, height = self.card.input_wh
        if params.maps == "limbs":
            return _limbs(keypoints, scores, (width, height), params.sigma)
        across = _bell(keypoints[..., 0], width, params.sigma)
        down = _bell(keypoints[..., 1], height, params.sigma) * scores[..., None]
        return np.asarray((down[..., :, None] * across[..., None, :]).max(axis=0))

    def _mirrored(self, params: HeatmapsParams) -> np.ndarray:
        """Return which map a mirror image shows in the place of each."""
        flip = self.takes.flip_index
        if params.maps == "keypoints":
            return flip
        pairs = [sorted(pair) for pair in _LIMBS.tolist()]
        return np.array([pairs.index(sorted(pair)) for pair in flip[_LIMBS].tolist()])


def _bell(centre: np.ndarray, length: int, sigma: float) -> np.ndarray:
    """Return a normal distribution's bell (..., length) around each centre, which ends three sigma from it."""
    cells = np.arange(length, dtype=np.float32)
    centre = np.nan_to_num(centre, nan=-1e6)[..., None]
    inside = (cells >= np.trunc(centre - 3 * sigma)) & (cells < np.trunc(centre + 3 * sigma) + 1)
    return np.where(inside, np.exp(-((cells - centre) ** 2) / (2 * sigma**2)), 0).astype(np.float32)


def _limbs(keypoints: np.ndarray, scores: np.ndarray, size_wh: tuple[int, int], sigma: float) -> np.ndarray:
    """Return maps (T, L, H, W) of the limbs between keypoints (M, T, V, 2), by the distance from the nearest."""
    width, height = size_wh
    start, end = (np.nan_to_num(keypoints[:, :, _LIMBS[:, i]], nan=-1e6) for i in (0, 1))
    value = scores[:, :, _LIMBS].min(axis=3)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    maps = np.zeros((*value.shape[1:], height, width), np.float32)
    for person, moment, limb in zip(*np.nonzero(value), strict=True):
        a, b = start[person, moment, limb], end[person, moment, limb]
        # A limb shorter than a cell is the peak of where it begins.
        squared = float(((b - a) ** 2).sum())
        if squared < 1:
            b = a
        low, high = np.trunc(np.minimum(a, b) - 3 * sigma), np.trunc(np.maximum(a, b) + 3 * sigma) + 1
        part = ((x - a[0]) * (b - a)[0] + (y - a[1]) * (b - a)[1]) / max(squared, 1)
        nearest = a + np.clip(part, 0, 1)[..., None] * (b - a)
        away = (x - nearest[..., 0]) ** 2 + (y - nearest[..., 1]) ** 2
        inside = (x >= low[0]) & (x < high[0]) & (y >= low[1]) & (y < high[1])
        drawn = np.where(inside, np.exp(-away / (2 * sigma**2)) * value[person, moment, limb], 0)
        np.maximum(maps[moment, limb], drawn, out=maps[moment, limb])
    return maps
