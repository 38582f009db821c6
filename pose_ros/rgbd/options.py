# SPDX-License-Identifier: Apache-2.0
"""Depth options: how keypoints get metres from a depth image, and how good the depth camera is."""

from __future__ import annotations

from dataclasses import dataclass

from pose_ros.core.options import option


@dataclass(frozen=True)
class DepthOptions:
    """Options of :func:`pose_ros.rgbd.measure.measured` and :class:`pose_ros.rgbd.buffer.DepthBuffer`."""

    max_time_difference: float = option(
        0.02, "How far the stamps of image and depth may lie apart; half a frame at most.", unit="s", low=0.0, high=1.0,
        live=True,
    )
    min_range: float = option(0.15, "Nearer depth is no measurement.", unit="m", low=0.0, high=100.0, live=True)
    max_range: float = option(10.0, "Farther depth is no measurement.", unit="m", low=0.1, high=200.0, live=True)
    patch: float = option(
        0.04, "Radius of the patch around a hip; around smaller parts it is smaller.", unit="m", low=0.001, high=0.5,
        live=True,
    )
    min_share: float = option(
        0.2, "Least part of a patch that has to lie on one surface.", low=0.03, high=1.0, live=True
    )
    foreground: bool = option(
        True, "Choose among the surfaces in a patch; otherwise take the median of all of it.", live=True
    )
    surface_gap: float = option(
        0.06, "Depths farther apart, noise not counted, are two surfaces.", unit="m", low=0.001, high=1.0, live=True
    )
    limb_check: bool = option(
        True, "Refuse depths that make a limb too long or too short, and complete them from limbs of known length.",
        live=True,
    )
    joint_offset: float = option(
        1.0, "How far behind the skin joints are, in parts of the table in docs/depth.md; 0: on the skin.", low=0.0,
        high=3.0, live=True,
    )
    noise_base: float = option(
        0.003, "Standard deviation of depth z is noise_base + noise_square z^2: the part for all z.", unit="m", low=0.0,
        high=1.0, live=True,
    )
    noise_square: float = option(
        0.0015, "Standard deviation of depth z is noise_base + noise_square z^2: the part that grows.", unit="1/m",
        low=0.0, high=1.0, live=True,
    )
    keypoint_noise: float = option(
        0.015, "Standard deviation of where a keypoint with score 1 is seen, as a part of the subject's size in the "
        "image (square root of width times height); the variance of others is that over their score.",
        low=0.0, high=0.5, live=True,
    )
    pixel_noise: float = option(
        1.0, "The same for subjects of any size; both add up.", unit="px", low=0.0, high=100.0, live=True
    )
    min_score: float = option(
        0.1, "A keypoint with a lower score is taken for hidden: it is not measured, but completed from its limbs.",
        low=0.0, high=1.0, live=True,
    )
