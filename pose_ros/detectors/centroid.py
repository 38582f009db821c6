# SPDX-License-Identifier: Apache-2.0
"""Networks that mark the middle of each subject: SLEAP's centroid models (Pereira et al., Nature Methods 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core import warp
from pose_ros.core.frame import check_image
from pose_ros.core.options import option
from pose_ros.core.regions import Detections, nms
from pose_ros.core.whole_image import whole_image
from pose_ros.decode.peaks import RULES, find_peaks
from pose_ros.detectors.base import Detector
from pose_ros.errors import CardError
from pose_ros.plugin import Model, read_params


@dataclass(frozen=True)
class CentroidParams:
    """What a card says in ``params``."""

    box: float = option(
        96.0, "Width and height of the subjects' boxes in pixels of the input: SLEAP's crop_size.", unit="px", low=1.0,
        high=4096.0,
    )
    stride: float = option(2.0, "Pixels of the input for each cell of the map.", unit="px", low=0.25, high=64.0)
    middle: float = option(0.0, "Where in its cell a value is: 0 on its first pixel (SLEAP).", low=0.0, high=1.0)
    multiple: int = option(32, "Width and height of the input are multiples of this.", low=1, high=256, unit="px")


@dataclass(frozen=True)
class CentroidOptions:
    """Options of :class:`CentroidDetector`."""

    score_threshold: float = option(0.2, "Lowest value of a subject's middle.", low=0.0, high=1.0, live=True)
    nms_iou: float = option(
        0.8, "Of two boxes that overlap by more than this, the better one stays; they are all of one size.", low=0.0,
        high=1.0, live=True,
    )
    net_height: int = option(
        0, "Height of the network's input; 0 takes that of the images it was trained with (the card's input_wh).",
        unit="px", low=0, high=4096, live=True,
    )
    max_detections: int = option(100, "Most detections in one image.", low=1, high=1000, live=True)


class CentroidDetector(Detector):
    """Boxes of one size around the peaks of one map; a card's ``params`` are those of :class:`CentroidParams`.

    The network's output is that map, or where the file finds the peaks itself, as sleap-nn exports it, the middles
    (1, N, 2), their values (1, N) and which of them count (1, N).
    """

    Options = CentroidOptions
    options: CentroidOptions

    def __init__(self, model: Model, options: CentroidOptions | None = None) -> None:
        """Read the card.

        Raises:
            CardError: A parameter does not fit, or the network has other outputs.
        """
        super().__init__(model, options)
        self.params = read_params(CentroidParams, self.card)
        shapes = [t.shape for t in self.session.outputs]
        self._last = self.card.preprocess.layout == "nhwc"
        if [len(s) for s in shapes] != [3, 2, 2] and [(len(s), s[3 if self._last else 1]) for s in shapes] not in (
            [(4, 1)], [(4, -1)]
        ):  # fmt: skip
            raise CardError(self.card.name, f"outputs: expected one map, or middles, values and which count; got "
                                            f"{', '.join(f'{t.name} {t.shape}' for t in self.session.outputs)}")

    def detect(self, image: np.ndarray) -> Detections:
        """Find the subjects; see :class:`Detector`."""
        check_image(image)
        height = self.options.net_height or self.card.input_wh[1]
        batch, matrix = whole_image(image, height, self.params.multiple)
        points, scores = self._peaks(list(self.session.run(self.card.preprocess(batch[None])).values()))
        best = np.argsort(-scores, kind="stable")
        best = best[scores[best] >= self.options.score_threshold]
        half = self.params.box / 2
        corners = np.stack([points[best] - half, points[best] + half], axis=1)
        boxes = warp.apply(matrix, corners).reshape(-1, 4)
        keep = nms(boxes, scores[best], self.options.nms_iou)[: self.options.max_detections]
        return Detections(boxes[keep], scores[best][keep].clip(0, 1))

    def _peaks(self, outputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return middles (N, 2) in pixels of the input and their values (N,)."""
        if len(outputs) == 3:
            points, scores, valid = (output[0] for output in outputs)
            rows = valid.astype(bool) & np.isfinite(points).all(axis=1) & np.isfinite(scores)
            return points[rows], scores[rows]
        heatmap = outputs[0][0, :, :, 0] if self._last else outputs[0][0, 0]
        found = find_peaks(heatmap[None], 1, self.options.score_threshold, RULES["sleap"])
        return (found.points + self.params.middle) * self.params.stride, found.scores
