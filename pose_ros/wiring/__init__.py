# SPDX-License-Identifier: Apache-2.0
"""Wire a pipeline from names: the only place that knows all rooms."""

from pose_ros.wiring.names import known_options, looks_where_told, models, parse_model
from pose_ros.wiring.options import BLOCKS, FURTHER, PARTS, ComputeOptions, ModelOptions, PipelineOptions, RunOptions
from pose_ros.wiring.pipelines import build
from pose_ros.wiring.single import alone, recogniser

__all__ = [
    "BLOCKS", "FURTHER", "PARTS", "ComputeOptions", "ModelOptions", "PipelineOptions", "RunOptions", "alone", "build",
    "known_options", "looks_where_told", "models", "parse_model", "recogniser",
]
