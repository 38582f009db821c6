# SPDX-License-Identifier: Apache-2.0
"""Raised: who holds up a hand, and which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pose_ros.core.options import option
from pose_ros.core.poses import LEFT, RIGHT
from pose_ros.recognisers.base import Clip, Rule, Seen
from pose_ros.recognisers.shape import Arms, ramp, since, steady
from pose_ros.skeletons import catalogue

#: From nothing to certain, around the height that is asked for.
_WIDTH = 0.3
#: How far the elbow is above the shoulder, in parts of the upper arm: a hand at the ear hangs from an elbow that is
#: down, and is not raised.
_ELBOW = (-0.6, -0.2)
#: How far the shoulders of those who are not lying are above their hips in the image, in parts of the trunk.
_TRUNK = (0.2, 0.5)
#: What is seen is a median over this time, seconds.
_STEADY_S = 0.3


@dataclass(frozen=True)
class RaisedOptions:
    """When a hand is up."""

    min_score: float = option(0.3, "Keypoints below it are not believed.", low=0.0, high=1.0, live=True)
    height: float = option(0.2, "How far the wrist is above the shoulder, in parts of the arm's length, where half is "
                           "certain; 0.2 is the height of the mouth.", low=-0.5, high=1.0, live=True)
    image_weight: float = option(0.8, "Scores are multiplied by it where only the image is known.", low=0.0, high=1.0,
                                 live=True)


class Raised(Rule):
    """Tell raised hands; ``height`` is that of the wrist above the shoulder in parts of the arm's length."""

    Options: ClassVar[type] = RaisedOptions
    takes = catalogue.get("coco17")
    window_s, step_s = 1.0, 0.1
    actions = ("hand_raised",)
    units: Mapping[str, str] = {"height": ""}

    def see(self, clip: Clip) -> Sequence[Seen]:
        """Return all hands that are up."""
        options: RaisedOptions = self.options  # type: ignore[assignment]
        arms = Arms(clip, options.min_score)
        height = arms.above(arms.wrists, arms.shoulders) / (arms.upper + arms.fore)
        elbow = arms.above(arms.elbows, arms.shoulders) / arms.upper
        fits = np.minimum(ramp(height, options.height - _WIDTH / 2, options.height + _WIDTH / 2), ramp(elbow, *_ELBOW))
        last = round(_STEADY_S / self.step_s)
        # An image does not tell whether those who lie with their head away from the camera hold up their hands.
        trunk = steady(arms.above(arms.shoulders, arms.hips) / arms.trunk, last)
        upright = ramp(np.nan_to_num(trunk, nan=1.0), *_TRUNK)
        weight = np.where(arms.shape.flat[:, None], options.image_weight * upright, 1.0)
        scores, heights, first = steady(fits, last) * weight, steady(height, last), since(fits > 0.5)
        return [
            Seen(row, "hand_raised", float(scores[row, arm]), side=(LEFT, RIGHT)[arm],
                 onset_ns=int(clip.stamps_ns[min(first[row, arm], len(clip.stamps_ns) - 1)]),
                 values={"height": float(heights[row, arm])})
            for row, arm in np.argwhere(scores > 0).tolist()
        ]  # fmt: skip
