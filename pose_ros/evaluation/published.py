# SPDX-License-Identifier: Apache-2.0
"""The numbers that authors of a model printed for a data set, beside what was measured here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pose_ros.models.accuracy import Result
from pose_ros.models.card import ModelCard

_PERCENT = 100


def published(card: ModelCard, data: str, measures: Iterable[str]) -> list[Result]:
    """Return what the card of a model says of some measures on a data set, whatever the split and the boxes.

    Returns:
        Results in the unit of ours: fractions where the card has percent.
    """
    known = set(measures)
    return [replace(one, value=one.value / _PERCENT, unit="") if one.unit == "%" else one
            for one in card.accuracy if one.data == data and one.measure in known]  # fmt: skip


def comparable(result: Result, split: str, boxes: str) -> bool:
    """Return whether a result is of this split and these boxes, as far as its authors say."""
    return result.split in ("", split) and result.boxes in ("", boxes)
