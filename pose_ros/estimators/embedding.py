# SPDX-License-Identifier: Apache-2.0
"""Bottom-up networks with associative embedding: HigherHRNet, and the HRNet that it grew from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from pose_ros.core import warp
from pose_ros.core.frame import check_image
from pose_ros.core.options import from_mapping, option
from pose_ros.core.poses import Poses
from pose_ros.decode import embedding
from pose_ros.decode.enlarge import enlarged
from pose_ros.errors import CardError, ConfigError
from pose_ros.estimators.base import ImageEstimator
from pose_ros.plugin import Model

#: Sides of the network's input are multiples of this, ...
_GRID = 64
#: ... and at other scales of this.
_STEP = 32
#: An image that is longer than this many times its height is made smaller than the network's input.
_MAX_ASPECT = 4


@dataclass(frozen=True)
class EmbeddingParams:
    """What a card says in ``params``."""

    align: str = option("corner", "Where a pixel of the maps lies, see core.warp.region_matrix.",
                        choices=("corner", "udp"))
    order: str = option("", "Keypoints, by number, in the order in which people are put together; empty is their own.")


@dataclass(frozen=True)
class EmbeddingOptions:
    """Options of :class:`EmbeddingEstimator`."""

    flip_test: bool = option(
        False, "Look at the mirrored image too and average: a little more accurate, twice the work.", live=True
    )
    scales: str = option(
        "1", "Sizes to look at, relative to the model's own, such as '0.5 1 2': more accurate, and slow.", live=True
    )
    full_size: bool = option(
        True, "Enlarge the maps to the size of the input, as the authors do: more accurate, more work.", live=True
    )
    min_keypoint_score: float = option(
        0.1, "Lower peaks of a heat map are no keypoints to begin with.", low=0.0, high=1.0, live=True
    )
    max_tag_distance: float = option(
        1.0, "A keypoint whose tag differs by more from all people's is somebody else's.", low=0.0, high=100.0,
        live=True,
    )


class EmbeddingEstimator(ImageEstimator):
    """Find people by tags. The network's outputs are the maps of :class:`pose_ros.networks.higherhrnet.HigherHRNet`.

    ``input_wh`` of the card is the length of the image's shorter side; the longer one follows, in steps of 64. A file
    whose input is fixed sees the whole image, fitted into that.
    """

    Options = EmbeddingOptions
    options: EmbeddingOptions

    def __init__(self, model: Model, options: EmbeddingOptions | None = None) -> None:
        """Read the card.

        Raises:
            CardError: A parameter does not fit, or the network has other outputs.
            ConfigError: ``scales`` cannot be read.
        """
        super().__init__(model, options)
        k, name = len(self.skeleton), self.card.name
        try:
            self.params = from_mapping(EmbeddingParams, self.card.params, "params")
            self.order = _numbers(self.params.order, int, "params.order") or list(range(k))
        except ConfigError as error:
            raise CardError(name, str(error)) from error
        self.align = cast(warp.Align, self.params.align)
        if sorted(self.order) != list(range(k)):
            raise CardError(name, f"params.order: expected each of 0 .. {k - 1} once, got {self.params.order}")
        found = [t.shape[1:2] if len(t.shape) == 4 else () for t in self.session.outputs]
        if found not in ([(2 * k,)], [(2 * k,), (k,)]):
            shapes = ", ".join(str(t.shape) for t in self.session.outputs)
            raise CardError(name, f"expected maps (N, {2 * k}, H, W), and perhaps (N, {k}, 2 H, 2 W), got {shapes}")
        height, width = self.session.inputs[0].shape[2:]
        #: Size of the input where that is fixed.
        self.fixed_wh = (width, height) if min(width, height) > 0 else None
        self._scales()

    def estimate(self, image: np.ndarray) -> Poses:
        """Estimate all poses; see :class:`ImageEstimator`."""
        check_image(image)
        heatmaps, tags, region = self._maps(image)
        keypoints, scores, subject_scores = embedding.people(
            heatmaps, tags, order=self.order, udp=self.align == "udp",
            min_score=self.options.min_keypoint_score, max_distance=self.options.max_tag_distance,
        )  # fmt: skip
        best = np.argsort(-subject_scores, kind="stable")
        matrix = warp.region_matrix(region, (heatmaps.shape[2], heatmaps.shape[1]), self.align)
        return Poses(self.skeleton, warp.apply(matrix, keypoints[best]), np.clip(scores[best], 0, 1),
                     subject_scores=np.clip(subject_scores[best], 0, 1))

    def _maps(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return heat maps (K, H, W), tags (L, K, H, W), and the region of the image (5,) that they show."""
        scales = self._scales()
        base = self._size(image, 1.0, min(scales))
        summed, tags, size = np.float32(0), np.empty(0), None
        for scale in scales:
            heat, own_tags = self._run(image, self._size(image, scale, min(scales)))
            if size is None:
                size = base if self.options.full_size else (heat.shape[2], heat.shape[1])
            summed = summed + enlarged(heat, size, self.align)
            if scale == 1 or len(scales) == 1:
                tags = np.stack([enlarged(t, size, self.align) for t in own_tags])
        return summed / np.float32(len(scales)), tags, self._region(image, base)

    def _run(self, image: np.ndarray, size_wh: tuple[int, int]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return what the network draws: heat maps (K, H, W), and tags (K, H, W), of the mirrored image too."""
        crop = warp.crop(image, warp.region_matrix(self._region(image, size_wh), size_wh, self.align), size_wh)
        crops = np.stack([crop, crop[:, ::-1]] if self.options.flip_test else [crop])
        first, *finer = self.session.run(self.card.preprocess(crops)).values()
        k = len(self.skeleton)
        heats, tags = [], []
        for row, mirrored in enumerate((False, True)[: len(crops)]):
            coarse = first[row]
            if finer:
                fine = finer[0][row]
                coarse = enlarged(coarse, (fine.shape[2], fine.shape[1]), self.align)
                coarse[:k] = (coarse[:k] + fine) / 2
            heat, tag = coarse[:k], coarse[k:]
            if mirrored:
                heat, tag = (maps[self.skeleton.flip_index, :, ::-1] for maps in (heat, tag))
            heats.append(heat)
            tags.append(tag)
        return np.mean(heats, axis=0), tags

    def _size(self, image: np.ndarray, scale: float, smallest: float) -> tuple[int, int]:
        """Return the size of the network's input for an image."""
        if self.fixed_wh:
            return self.fixed_wh
        height, width = image.shape[:2]
        short = _up(smallest * min(self.card.input_wh))
        long = _up(short * min(max(height, width) / min(height, width), _MAX_ASPECT))
        a, b = (round(side * scale / smallest / _STEP) * _STEP for side in (short, long))
        return (a, b) if width < height else (b, a)

    def _region(self, image: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
        """Return the region of the image (5,) that the network's input shows."""
        height, width = image.shape[:2]
        if self.align == "udp":
            # Pixel centres on pixel centres, from the first one on.
            scale = max(max(width - 1, 1) / (size_wh[0] - 1), max(height - 1, 1) / (size_wh[1] - 1))
            w, h = ((size - 1) * scale for size in size_wh)
            return np.array([w / 2, h / 2, w, h, 0])
        whole = np.array([[int(width / 2 + 0.5), int(height / 2 + 0.5), width, height, 0]])
        return warp.fit_aspect(whole, size_wh)[0]

    def _scales(self) -> list[float]:
        """Return the sizes to look at, largest first.

        Raises:
            ConfigError: They cannot be read, or the network's input is fixed.
        """
        where, given = "estimator.scales", self.options.scales
        scales = sorted(_numbers(given, float, where), reverse=True)
        if 1 not in scales or not 0.1 <= scales[-1] <= scales[0] <= 8:
            raise ConfigError(where, f"expected numbers between 0.1 and 8, and 1 among them, got '{given}'")
        if len(scales) > 1 and self.fixed_wh:
            raise ConfigError(where, f"expected 1, because the input of this file is fixed to {self.fixed_wh}; "
                                     f"got '{given}'")
        return scales


def _up(length: float) -> int:
    """Return a length as a multiple of the grid."""
    return int((length + _GRID - 1) // _GRID * _GRID)


def _numbers(text: str, kind: type, where: str) -> list[Any]:
    try:
        return [kind(word) for word in text.replace(",", " ").split()]
    except ValueError as error:
        raise ConfigError(where, f"expected numbers, got '{text}'") from error
