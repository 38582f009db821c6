# SPDX-License-Identifier: Apache-2.0
"""Write ``wand/models/wand.onnx``: how pure red, green and blue are in each pixel. Needs ``pip install onnx``.

In place of a training: a convolution of one pixel takes the mean of the other two channels away from each, a second one
of 3 x 3 smooths. What comes out is 1 where a pixel has that colour alone, and 0 where it is gray.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

others = np.full((3, 3), -0.5, np.float32)
np.fill_diagonal(others, 1.0)
smooth = np.full((3, 1, 3, 3), 1 / 9, np.float32)
graph = helper.make_graph(
    [
        helper.make_node("Conv", ["image", "others"], ["colour"]),
        helper.make_node("Relu", ["colour"], ["positive"]),
        helper.make_node("Conv", ["positive", "smooth"], ["purity"], group=3, pads=[1, 1, 1, 1]),
    ],
    "wand",
    [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 240, 320])],
    [helper.make_tensor_value_info("purity", TensorProto.FLOAT, ["N", 3, 240, 320])],
    [numpy_helper.from_array(others[:, :, None, None], "others"), numpy_helper.from_array(smooth, "smooth")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
checker.check_model(model)
save(model, Path(__file__).parent / "wand" / "models" / "wand.onnx")
