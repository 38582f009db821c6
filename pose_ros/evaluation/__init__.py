# SPDX-License-Identifier: Apache-2.0
"""Models over labelled data: what they answer, kept so that a run can go on, and the field's numbers for it."""

from pose_ros.evaluation.job import Job
from pose_ros.evaluation.run import estimate
from pose_ros.evaluation.score import Scores, score

__all__ = ["Job", "Scores", "estimate", "score"]
