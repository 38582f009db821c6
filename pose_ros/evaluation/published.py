# SPDX-License-Identifier: Apache-2.0
"""The numbers that authors of a model printed for a data set, as its card has them."""

from __future__ import annotations

import re

from pose_ros.models.card import ModelCard

#: What cards call data sets.
_TITLES = {
    "300w-lp": "300W-LP", "aic": "AI Challenger", "animalpose": "Animal-Pose", "ap10k": "AP-10K", "coco": "COCO",
    "coco-wholebody": "COCO-WholeBody", "crowdpose": "CrowdPose", "freihand": "FreiHAND", "humanart": "Human-Art",
    "lapa": "LaPa", "mpii": "MPII", "onehand10k": "OneHand10K", "wflw": "WFLW",
}
_PERCENT = 100


def published(card: ModelCard, data: str, measure: str) -> list[tuple[str, float]]:
    """Return what the card of a model says of a measure on a data set, whatever the split and the boxes.

    Returns:
        The words of the card, and the number in the unit of ours: fractions where the card has percent.
    """
    title = _TITLES.get(data)
    if title is None:
        return []
    words = re.compile(rf"{re.escape(title)}( test| val| val2017| test-dev)? {re.escape(measure)}( %| px)?"
                       r"( with true boxes| \(.*\))?")
    return [(key, value / _PERCENT if " %" in key else value)
            for key, value in card.accuracy.items() if words.fullmatch(key)]  # fmt: skip
