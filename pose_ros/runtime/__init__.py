# SPDX-License-Identifier: Apache-2.0
"""Run a model file, and nothing else. The only place that imports onnxruntime, openvino, ai_edge_litert or torch."""

from pose_ros.runtime.choose import RuntimeInfo, available, check, open_session
from pose_ros.runtime.session import FakeSession, Session, Tensor

__all__ = ["FakeSession", "RuntimeInfo", "Session", "Tensor", "available", "check", "open_session"]
