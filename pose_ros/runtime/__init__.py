# SPDX-License-Identifier: Apache-2.0
"""Run a model file, and nothing else. The only place that imports onnxruntime, openvino, ai_edge_litert or torch."""
