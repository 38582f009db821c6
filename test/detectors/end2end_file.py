# SPDX-License-Identifier: Apache-2.0
"""ONNX files with the suppression of doubles inside, as mmdeploy 1.3 writes them: inputs, outputs and operators."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write(
    path: Path, boxes: np.ndarray, keypoints: np.ndarray | None = None, size_wh: tuple[int, int] = (64, 64)
) -> None:
    """Write a network that sees these boxes wherever the input is not black, with scores of 0.9, 0.8, ...

    Args:
        path: Where to write.
        boxes: (B, 4) xyxy in input pixels from the edge.
        keypoints: (B, K, 3) beside the boxes; without them there are labels, which are 0, 1, 2, ...
        size_wh: Of the input.
    """
    count = len(boxes)
    scores = (0.9 - 0.1 * np.arange(count)).astype(np.float32)
    constants = {
        "all_boxes": boxes[None].astype(np.float32), "scores": scores[None, None],
        "most": np.array([200]), "iou": np.array([0.65], np.float32), "least": np.array([0.1], np.float32),
        "first": np.array([0]), "third": np.array([2]), "last_axis": np.array([2]), "flat": np.array([-1]),
        "white": np.array(255, np.float32), "all_labels": np.arange(count),
    }  # fmt: skip
    if keypoints is not None:
        constants["all_keypoints"] = keypoints[None].astype(np.float32)
    nodes = [
        helper.make_node("ReduceMax", ["input"], ["brightest"], keepdims=0),
        helper.make_node("Div", ["brightest", "white"], ["light"]),
        helper.make_node("Mul", ["scores", "light"], ["seen"]),
        helper.make_node("NonMaxSuppression", ["all_boxes", "seen", "most", "iou", "least"], ["kept"]),
        helper.make_node("Gather", ["kept", "third"], ["column"], axis=1),
        helper.make_node("Reshape", ["column", "flat"], ["rows"]),
        helper.make_node("Gather", ["all_boxes", "rows"], ["best_boxes"], axis=1),
        helper.make_node("Gather", ["seen", "rows"], ["best_scores"], axis=2),
        helper.make_node("Transpose", ["best_scores"], ["score_column"], perm=[0, 2, 1]),
        helper.make_node("Concat", ["best_boxes", "score_column"], ["dets"], axis=2),
    ]
    outputs = [helper.make_tensor_value_info("dets", TensorProto.FLOAT, (1, "n", 5))]
    if keypoints is None:
        nodes += [helper.make_node("Gather", ["all_labels", "rows"], ["row_labels"]),
                  helper.make_node("Unsqueeze", ["row_labels"], ["labels"], axes=[0])]
        outputs.append(helper.make_tensor_value_info("labels", TensorProto.INT64, (1, "n")))
    else:
        nodes.append(helper.make_node("Gather", ["all_keypoints", "rows"], ["keypoints"], axis=1))
        outputs.append(helper.make_tensor_value_info("keypoints", TensorProto.FLOAT, (1, "n", keypoints.shape[1], 3)))
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes, "end2end", [helper.make_tensor_value_info("input", TensorProto.FLOAT, (1, 3, *size_wh[::-1]))], outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
