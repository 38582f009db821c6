# SPDX-License-Identifier: Apache-2.0
"""Networks that draw heat maps and part affinity fields of all people at once: OpenPose and its kin."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from pose_ros.core import warp
from pose_ros.core.frame import check_image
from pose_ros.core.options import option
from pose_ros.core.poses import Poses
from pose_ros.core.whole_image import whole_image
from pose_ros.decode import paf
from pose_ros.decode.peaks import RULES
from pose_ros.errors import CardError
from pose_ros.estimators.base import ImageEstimator
from pose_ros.plugin import Model, read_params

_PAIR = re.compile(r"(\d+)([-,])(\d+)")


@dataclass(frozen=True)
class PafParams:
    """What a card says in ``params``."""

    limbs: str = option("", "Limbs as pairs of keypoints, such as '1-2 1-5', in the order of grouping.")
    channels: str = option("", "For each limb the channels of its field, such as '12,13 20,21'.")
    attach: str = option("", "Limbs that only complete a person who lacks one of their keypoints.")
    uncounted: str = option("", "Keypoints that are no sign of a person, such as '19 20 21'.")
    rule: str = option("openpose", "How peaks are found and limbs judged, see decode.peaks.", choices=tuple(RULES))
    upsample: int = option(8, "How much the heat maps are enlarged to find peaks.", low=1, high=16)
    multiple: int = option(16, "Width and height of the input are multiples of this.", low=1, high=256, unit="px")
    fit: str = option(
        "corner", "How the image gets into the input: in its upper left corner, pixels on pixels, and the width "
        "rounded; or in its middle, area on area, and the width rounded up.",
        choices=("corner", "centre"),
    )
    border: int = option(0, "Grey of the input around the image.", low=0, high=255)
    min_aspect: float = option(0.0, "Width of the input is at least this times its height.", low=0.0, high=100.0)
    max_aspect: float = option(4.0, "Width of the input is at most this times its height.", low=0.01, high=100.0)
    offset: float = option(
        0.5, "Added to keypoints in the image: a pixel's centre is half a pixel off in COCO.", unit="px", low=-4, high=4
    )
    peak_threshold: float = option(0.05, "Lowest value of a keypoint in its heat map.", low=0.0, high=1.0)
    limb_threshold: float = option(0.05, "Lowest value of the field along a limb.", low=0.0, high=1.0)
    limb_fraction: float = option(0.95, "Part of a limb's points that has to exceed that.", low=0.0, high=1.0)
    min_keypoints: int = option(3, "Fewest keypoints of a subject.", low=2, high=100)
    min_score: float = option(0.4, "Lowest score of a subject per keypoint, limbs included.", low=0.0, high=2.0)


@dataclass(frozen=True)
class PafOptions:
    """Options of :class:`PafEstimator`."""

    net_height: int = option(
        0, "Height of the network's input: larger finds smaller people and takes longer; 0 takes the model's own.",
        unit="px", low=0, high=2048, live=True,
    )
    peak_threshold: float = option(
        0.0, "Lowest value of a keypoint in its heat map; 0 takes the model's own.", low=0.0, high=1.0, live=True
    )
    limb_fraction: float = option(
        0.0, "Part of a limb's points at which its field has to be seen; 0 takes the model's own.",
        low=0.0, high=1.0, live=True,
    )
    min_keypoints: int = option(
        0, "Fewest keypoints of a subject; 0 takes the model's own.", low=0, high=100, live=True
    )
    min_score: float = option(
        0.0, "Lowest score of a subject per keypoint, limbs included; 0 takes the model's own.",
        low=0.0, high=2.0, live=True,
    )


class PafEstimator(ImageEstimator):
    """Keypoints of all subjects from heat maps and part affinity fields.

    ``scores`` are the values of the heat maps; ``subject_scores`` the sum of those and of the limbs' divided by how
    many keypoints and limbs there could be.

    Card outputs: heat maps (one per keypoint and, if any, the background's last), part affinity fields. The input may
    be of any size; ``input_wh`` gives the height that is taken.
    """

    Options = PafOptions
    options: PafOptions

    def __init__(self, model: Model, options: PafOptions | None = None) -> None:
        """Read the card.

        Raises:
            CardError: A parameter does not fit, or the network has other outputs or one size of input.
        """
        super().__init__(model, options)
        self.params = read_params(PafParams, self.card)
        self._graph = self._read_graph()
        chw = self.card.preprocess.layout == "nchw"
        shapes = [t.shape for t in self.session.outputs]
        needed = (len(self.skeleton), 1 + max(c for pair in self._graph.channels for c in pair))
        found = [shape[1 if chw else 3] for shape in shapes if len(shape) == 4]
        if len(self.card.outputs) != 2 or len(found) != 2 or any(
            f not in (-1, n, n + (i == 0)) for i, (f, n) in enumerate(zip(found, needed, strict=True))
        ):
            raise CardError(self.card.name, f"outputs: expected {needed[0]} heat maps (and one of the background) and "
                                            f"{needed[1]} channels of fields, got {self.card.outputs} of {shapes}")
        size = self.session.inputs[0].shape[2:4] if chw else self.session.inputs[0].shape[1:3]
        if -1 not in size[1:]:
            raise CardError(self.card.name, f"expected a network for inputs of any size, got one of {size}")

    def estimate(self, image: np.ndarray) -> Poses:
        """Estimate all poses in an image; see :class:`ImageEstimator`."""
        check_image(image)
        params = self.params
        batch, matrix = whole_image(
            image, self.options.net_height or self.card.input_wh[1], params.multiple, corner=params.fit == "corner",
            border=params.border, aspects=(params.min_aspect, params.max_aspect),
        )
        outputs = self.session.run(self.card.preprocess(batch[None]))
        heatmaps, fields = (outputs[name][0] for name in self.card.outputs)
        if self.card.preprocess.layout == "nhwc":
            heatmaps, fields = heatmaps.transpose(2, 0, 1), fields.transpose(2, 0, 1)
        # Fine pixels lie in those of the input area on area, as enlarging puts them.
        scale = batch.shape[0] / (heatmaps.shape[1] * params.upsample)
        offset = params.offset / (matrix[0, 0] * scale)
        points, scores, subjects = paf.decode(
            heatmaps[: len(self.skeleton)], fields, params.upsample, self._graph, RULES[params.rule],
            self._limits(), offset,
        )
        points = warp.apply(matrix, (points + 0.5) * scale - 0.5)
        return Poses(self.skeleton, points, scores.clip(0, 1), subject_scores=subjects.clip(0, 1))

    def _limits(self) -> paf.Limits:
        def pick(name: str) -> float:
            return getattr(self.options, name) or getattr(self.params, name)

        return paf.Limits(
            peak=pick("peak_threshold"), field=self.params.limb_threshold, fraction=pick("limb_fraction"),
            keypoints=int(pick("min_keypoints")), score=pick("min_score"),
        )

    def _read_graph(self) -> paf.Graph:
        params, k = self.params, len(self.skeleton)
        limbs, attach = (self._pairs(name, "-", k) for name in ("limbs", "attach"))
        channels = self._pairs("channels", ",", 1000)
        uncounted = params.uncounted.split()
        if not limbs or len(limbs) != len(channels):
            raise CardError(self.card.name, f"params.channels: expected one pair for each of the limbs, got "
                                            f"{len(channels)} for {len(limbs)}")
        if not set(attach) <= set(limbs):
            raise CardError(self.card.name, f"params.attach: expected some of the limbs, got '{params.attach}'")
        if not all(word.isdecimal() and int(word) < k for word in uncounted):
            raise CardError(self.card.name, f"params.uncounted: expected keypoints 0 .. {k - 1}, got "
                                            f"'{params.uncounted}'")
        return paf.Graph(limbs, channels, frozenset(attach), frozenset(map(int, uncounted)))

    def _pairs(self, name: str, mark: str, below: int) -> tuple[tuple[int, int], ...]:
        found = []
        for word in getattr(self.params, name).split():
            match = _PAIR.fullmatch(word)
            if not match or match[2] != mark or max(int(match[1]), int(match[3])) >= below:
                raise CardError(self.card.name, f"params.{name}: expected pairs such as '0{mark}1' of numbers below "
                                                f"{below}, got '{word}'")
            found.append((int(match[1]), int(match[3])))
        return tuple(found)
