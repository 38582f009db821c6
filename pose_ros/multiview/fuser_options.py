# SPDX-License-Identifier: Apache-2.0
"""What a fuser can be told: how exact networks are, how long subjects are followed, when a camera disagrees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pose_ros.core.options import option
from pose_ros.multiview.associate import AssociateOptions
from pose_ros.multiview.triangulate import TriangulateOptions


@dataclass(frozen=True)
class FuserOptions:
    """Options of :class:`pose_ros.multiview.fuse.Fuser`."""

    noise: float = option(
        0.007, "Standard deviation of where a keypoint with score 1 is seen, as a part of the subject's size in the "
        "image (square root of width times height).", low=0.0005, high=0.2, live=True,
    )
    max_offset: float = option(
        0.1, "A view from another time than this is not used: where everybody was is not known well enough.", unit="s",
        low=0.0, high=1.0, live=True,
    )
    max_lost: float = option(
        2.0, "Who is seen by one camera only is followed along its rays for so long; then, or when nobody sees it for "
        "so long, it is forgotten.", unit="s", low=0.0, high=60.0, live=True,
    )
    speed: float = option(
        0.5, "How much faster or slower than it should a keypoint moves (standard deviation) while one camera sees it "
        "alone.", unit="m/s", low=0.01, high=20.0, live=True,
    )
    leave_out: bool = option(
        True, "A camera that disagrees with all others is left out until it agrees; else it is only named.", live=True
    )
    max_misfit: float = option(
        1.75, "A camera disagrees if its keypoints are so many times further from where the others put them, in "
        "standard deviations, than those of the others are among themselves.", low=1.2, high=100.0, live=True,
    )


class Rules(NamedTuple):
    """All that holds while views are fused."""

    fuser: FuserOptions
    association: AssociateOptions
    triangulation: TriangulateOptions
