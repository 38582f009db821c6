# SPDX-License-Identifier: Apache-2.0
"""Give an .onnx file further outputs: what its network computes on the way, such as chances before the best is chosen.

A message of protobuf may be written in parts, one behind the other, whose lists are joined when it is read. So what is
added stands behind the file's own bytes, and nothing of them is changed.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from pathlib import Path

from pose_ros import formats

#: Fields of onnx.proto: of the model, of a graph, of a node, of an input or output, and of a tensor.
_GRAPH, _NODE, _CONSTANT, _INPUT, _OUTPUT = 7, 1, 5, 11, 12
_NODE_TAKES, _NODE_MAKES, _NAME, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_BYTES = 1, 2, 1, 2, 8, 9
#: A single number of type float.
_FLOAT, _ZERO = b"\x01", bytes(4)


def with_outputs(path: Path, wanted: Collection[str]) -> bytes:
    """Return a file with more outputs; as it is where one of them is none of its names.

    Single numbers that it asks for and that no wanted output needs, such as a threshold, are given as 0.

    Args:
        path: An .onnx file.
        wanted: Outputs, or what nodes inside make.
    """
    data = path.read_bytes()
    graphs = [part for field, part in _parts(data) if field == _GRAPH]
    found = [item for graph in graphs for item in _parts(graph)]
    nodes = [list(_parts(part)) for field, part in found if field == _NODE]
    makers = {part.decode(): node for node in nodes for field, part in node if field == _NODE_MAKES}
    inputs, outputs, constants = (
        {part.decode() for field, item in found if field == kind for number, part in _parts(item) if number == name}
        for kind, name in ((_INPUT, _NAME), (_OUTPUT, _NAME), (_CONSTANT, _TENSOR_NAME))
    )
    if not makers.keys() >= set(wanted):
        return data
    needed, open_ = set(), list(wanted)
    while open_:
        name = open_.pop()
        if name in needed:
            continue
        needed.add(name)
        open_ += [part.decode() for field, part in makers.get(name, ()) if field == _NODE_TAKES]
    added = [_part(_OUTPUT, _part(_NAME, name.encode())) for name in wanted if name not in outputs]
    added += [
        _part(_CONSTANT, bytes([_TENSOR_TYPE << 3]) + _FLOAT + _part(_TENSOR_NAME, name.encode())
              + _part(_TENSOR_BYTES, _ZERO))
        for name in sorted(inputs - constants - needed)
    ]  # fmt: skip
    return data + _part(_GRAPH, b"".join(added))


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of the fields of a message that are no numbers."""
    file = io.BytesIO(data)
    for field, kind, size in formats.fields(file, len(data)):
        if kind == 2:
            yield field, file.read(size)


def _part(field: int, content: bytes) -> bytes:
    """Return a field of a message."""
    size, length = len(content), b""
    while size > 127:
        size, length = size >> 7, length + bytes([size & 127 | 128])
    return bytes([field << 3 | 2]) + length + bytes([size]) + content
