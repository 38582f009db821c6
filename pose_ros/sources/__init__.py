# SPDX-License-Identifier: Apache-2.0
"""Sources: Frame -> Poses, by one network that sees them all, or by a detector and one that looks at each."""

from pose_ros.sources.base import PoseSource
from pose_ros.sources.one_stage import OneStage
from pose_ros.sources.options import OneStageOptions, TopDownOptions
from pose_ros.sources.top_down import TopDown

__all__ = ["OneStage", "OneStageOptions", "PoseSource", "TopDown", "TopDownOptions"]
