# SPDX-License-Identifier: Apache-2.0
"""Make an 8-bit version of an ONNX network, with the ranges that its values have in real images (Jacob et al., 2018).

Weights get a scale per output channel, activations one per tensor. It needs the packages onnx and onnxruntime.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

#: What has weights. The last of them before each output stays as it is: a heat map's peak and the halves of a box's
#: coordinates need more than 256 levels, and these layers are small.
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
#: What else is computed in 8 bits, so that values need not be turned to and fro between layers ...
_BETWEEN = (
    "Add", "AveragePool", "Clip", "Concat", "GlobalAveragePool", "MaxPool", "Relu", "Reshape", "Resize", "Slice",
    "Split", "Transpose",
)  # fmt: skip
#: ... except in networks with one of these: the sums in transformers have outliers that leave few levels to the rest.
_TRANSFORMER = ("LayerNormalization", "Softmax")
#: Of the operators: the first whose 8-bit weights may have one scale per channel.
_OPSET = 13
#: Of the file: the first in which weights are not inputs too.
_IR = 4
#: Batches whose values are held in memory at once while their ranges are found.
_BATCHES_AT_ONCE = 16


def quantise(source: Path, target: Path, batches: Iterable[np.ndarray]) -> None:
    """Write the 8-bit version of a network.

    Args:
        source: An ``.onnx`` file with float32 weights and one input.
        target: Where to write.
        batches: What the network is to see, (N, ...) each; see :class:`pose_ros.models.card.Preprocess`.

    Raises:
        ImportError: onnx or onnxruntime is missing.
        OSError: The file cannot be written.
        Exception: Whatever the library says about a network that it cannot quantise.
    """
    from onnxruntime import quantization

    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".quantise-") as folder, _no_warnings():
        prepared = Path(folder) / "prepared.onnx"
        model = _prepared(source, prepared)
        batch = model.graph.input[0].type.tensor_type.shape.dim[0]
        types = {node.op_type for node in model.graph.node}
        quantization.quantize_static(
            prepared, target, _Reader(model.graph.input[0].name, batches, single=batch.dim_value == 1),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=[*_LAYERS, *(() if types & {*_TRANSFORMER} else _BETWEEN)],
            nodes_to_exclude=[node.name for node in _last(model)],
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            # Products of two activations, as in attention, stay as they are.
            extra_options={"MatMulConstBOnly": True, "CalibMaxIntermediateOutputs": _BATCHES_AT_ONCE},
        )  # fmt: skip


def _prepared(source: Path, target: Path) -> ModelProto:
    """Write a network with its normalisations folded into its convolutions, in operators that have scales per channel.

    onnxruntime's own ``quant_pre_process`` does so in the other order, and fails with old operators of normalisation.
    """
    import onnx
    import onnxruntime
    from onnx import version_converter

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    model = onnx.load(target)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, _IR)
    for number, node in enumerate(model.graph.node):  # they are left out by name
        node.name = f"{number} {node.name}"
    if model.opset_import[0].version < _OPSET:
        model = version_converter.convert_version(model, _OPSET)
    onnx.save(model, target)
    return model


def _last(model: ModelProto) -> Iterator[NodeProto]:
    """Yield the nodes between each output and the last layers before it, and those layers."""
    maker = {name: node for node in model.graph.node for name in node.output}
    names, seen = [output.name for output in model.graph.output], set()
    while names:
        node = maker.get(names.pop())
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        yield node
        if node.op_type not in _LAYERS:
            names += node.input


class _Reader:
    """Hands batches to the library, one subject at a time where the network takes no more."""

    def __init__(self, name: str, batches: Iterable[np.ndarray], *, single: bool) -> None:
        parts = (part for batch in batches for part in (np.split(batch, len(batch)) if single else [batch]))
        self._rest = ({name: part} for part in parts)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next input, or None after the last."""
        return next(self._rest, None)


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Hold back the library's advice to those who call it."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
