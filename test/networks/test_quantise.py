# SPDX-License-Identifier: Apache-2.0
"""8-bit networks: which layers, how near, and old files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from pose_ros.networks.export import export
from pose_ros.networks.network import Network
from pose_ros.networks.quantise import quantise
from pose_ros.runtime import open_session


class Residual(Network):
    """Two convolutions with a shortcut, and a last one."""

    def __init__(self, normalised: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 4, 1)
        self.norm = nn.LayerNorm(16) if normalised else nn.Identity()

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        x = self.a(image).relu()
        return (self.last(x + self.b(self.norm(x))),)


def batches(count: int = 4) -> list[np.ndarray]:
    return [np.random.default_rng(i).normal(size=(2, 3, 16, 16)).astype(np.float32) for i in range(count)]


def made(folder: Path, network: Network) -> tuple[Path, Counter[str]]:
    """Return the 8-bit file of a network, and how many of its operators get 8-bit values only."""
    export(network.eval(), (16, 16), folder / "float.onnx")
    quantise(folder / "float.onnx", folder / "int8.onnx", batches())
    assert {p.name for p in folder.iterdir()} == {"float.onnx", "int8.onnx"}
    model = onnx.load(folder / "int8.onnx")
    turned = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return folder / "int8.onnx", Counter(n.op_type for n in model.graph.node if turned >= {*n.input})


def difference(path: Path, network: Network) -> float:
    session, batch = open_session(path, device="cpu", runtime="onnxruntime"), batches(9)[-1]
    with torch.inference_mode():
        (expected,) = (value.numpy() for value in network(torch.from_numpy(batch)))
    return float(np.abs(session.run(batch)["output"] - expected).max() / np.abs(expected).max())


def test_all_but_the_last_layer_is_in_8_bits(tmp_path):
    network = Residual()
    path, kinds = made(tmp_path, network)
    assert (kinds["Add"], kinds["Conv"]) == (1, 2)
    model = onnx.load(path)
    whole = {t.name for t in model.graph.initializer if t.data_type == TensorProto.FLOAT and len(t.dims) == 4}
    assert [node.input[1] in whole for node in model.graph.node if node.op_type == "Conv"] == [False, False, True]
    scales = [t for t in model.graph.initializer if t.name.startswith("network.a.weight") and "scale" in t.name]
    assert [tuple(t.dims) for t in scales] == [(8,)]
    assert 1e-5 < difference(path, network) < 0.05


def test_sums_of_transformers_stay_whole(tmp_path):
    network = Residual(normalised=True)
    path, kinds = made(tmp_path, network)
    assert (kinds["Add"], kinds["Conv"]) == (0, 2)
    assert difference(path, network) < 0.05


def test_old_files_for_one_subject_are_read(tmp_path):
    """Weights that are inputs too (before version 4), operators of version 9, a batch of one."""
    rng = np.random.default_rng(0)
    shapes = {"w": (4, 3, 3, 3), "scale": (4,), "shift": (4,), "mean": (4,), "var": (4,), "v": (2, 4, 1, 1)}
    weights = {name: rng.uniform(0.1, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["x"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["x", "scale", "shift", "mean", "var"], ["y"]),
        helper.make_node("Relu", ["y"], ["z"]),
        helper.make_node("Conv", ["z", "v"], ["output"]),
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
              for name, shape in {**shapes, "image": (1, 3, 16, 16)}.items()]  # fmt: skip
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, (1, 2, 16, 16))
    tensors = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "old", inputs, [output], tensors)
    old = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=3)
    onnx.save(old, tmp_path / "old.onnx")
    quantise(tmp_path / "old.onnx", tmp_path / "new.onnx", batches())
    sessions = [open_session(tmp_path / f"{n}.onnx", device="cpu", runtime="onnxruntime") for n in ("old", "new")]
    before, after = (session.run(batches()[0])["output"] for session in sessions)
    assert before.shape == (2, 2, 16, 16)
    assert np.abs(before - after).max() < 0.05 * np.abs(before).max()


def test_a_network_without_images_to_learn_from_is_refused(tmp_path):
    export(Residual().eval(), (16, 16), tmp_path / "float.onnx")
    with pytest.raises(Exception, match="No data is collected"):
        quantise(tmp_path / "float.onnx", tmp_path / "int8.onnx", [])
    assert [p.name for p in tmp_path.iterdir()] == ["float.onnx"]
