# SPDX-License-Identifier: Apache-2.0
"""Write tiny .onnx files by hand, so that tests need neither the onnx package nor files of others.

The field numbers are those of onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_FLOAT = 1


def write(
    path: Path,
    batch: int | str = "N",
    nodes: Sequence[tuple[str, str, str]] | None = None,
    *,
    size: Sequence[int | str] = (2, 3),
    inputs: Sequence[str] = ("image",),
    ir: int = 8,
    opset: int = 13,
) -> Path:
    """Write a network with input ``image``, float32 (batch, *size), and outputs of the same shape.

    Args:
        path: Where.
        batch: A number, or a name where it may vary.
        nodes: (operator, input, output) each; every output of a node is an output of the network.
        size: All but the batch; names where they may vary.
        inputs: Names of the inputs.
        ir: Version of the file's format.
        opset: Version of the operators.
    """
    nodes = nodes or [("Neg", "image", "negative"), ("Abs", "image", "size")]
    shape = (batch, *size)
    graph = b"".join(
        _message(1, _text(1, source) + _text(2, target) + _text(4, operator)) for operator, source, target in nodes
    )
    graph += _text(2, "tiny") + b"".join(_value(11, name, shape) for name in inputs)
    graph += b"".join(_value(12, n[2], shape) for n in nodes)
    path.write_bytes(_number(1, ir) + _message(7, graph) + _message(8, _number(2, opset)))
    return path


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(body)) + body


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _value(field: int, name: str, shape: Sequence[int | str]) -> bytes:
    dims = b"".join(_message(1, _number(1, d) if isinstance(d, int) else _text(2, d)) for d in shape)
    return _message(field, _text(1, name) + _message(2, _message(1, _number(1, _FLOAT) + _message(2, dims))))
