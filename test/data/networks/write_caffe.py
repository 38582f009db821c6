# SPDX-License-Identifier: Apache-2.0
"""Write .caffemodel files, for tests and for references that read them; NumPy only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def caffemodel(state: Mapping[str, np.ndarray], *, old: bool = False) -> bytes:
    """Return the file of a network with these weights, ``LAYER.weight`` and ``LAYER.bias``.

    ``old`` writes what Caffe wrote in 2014: V1LayerParameter, and four numbers for every shape.
    """
    layers: dict[str, list[np.ndarray]] = {}
    for name, value in state.items():  # weight comes before bias
        layers.setdefault(name.rpartition(".")[0], []).append(value)
    number, name_number, blob_number = (2, 4, 6) if old else (100, 1, 7)
    found = _field(1, b"a network")
    for name, values in layers.items():
        blobs = (_field(blob_number, _blob(value, old)) for value in values)
        found += _field(number, _field(name_number, name.encode()) + b"".join(blobs))
    return found


def _blob(value: np.ndarray, old: bool) -> bytes:
    if old:
        shape = (1,) * (4 - value.ndim) + value.shape
        head = b"".join(_varint(number << 3) + _varint(size) for number, size in enumerate(shape, 1))
    else:
        head = _field(7, _field(1, b"".join(map(_varint, value.shape))))
    return head + _field(5, np.ascontiguousarray(value, "<f4").tobytes())


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
