# SPDX-License-Identifier: Apache-2.0
"""Read the weights of Caffe, a NetParameter in protobuf's wire format, without protobuf.

Only numbers of fields from Caffe's ``caffe.proto`` are known here; everything but names, shapes and weights is skipped.
Every length is checked against what is there, and nothing in the file is run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pose_ros.errors import ModelCorruptError

#: Wire types of protobuf.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
#: NetParameter: its layers -> in each (V1LayerParameter, LayerParameter) the numbers of name and blobs.
_LAYERS = {2: (4, 6), 100: (1, 7)}
#: BlobProto: num, channels, height and width of old files; data, double_data; shape of new ones.
_OLD_SHAPE, _DATA, _DOUBLES, _SHAPE = (1, 2, 3, 4), 5, 8, 7
#: What a layer's blobs are called.
_NAMES = ("weight", "bias")


def read(path: Path) -> dict[str, Tensor]:
    """Return ``LAYER.weight`` and ``LAYER.bias`` of all layers that have some, float32.

    Raises:
        ModelCorruptError: The file is cut off, or holds something else.
    """
    try:
        found = dict(_weights(memoryview(path.read_bytes())))
    except (ValueError, OverflowError) as error:
        raise ModelCorruptError(path.name, f"expected a .caffemodel in {path}, got what is none or cut off: {error}; "
                                           "fetch it again") from error
    if not found:
        raise ModelCorruptError(path.name, f"expected a .caffemodel in {path}, got no weights; fetch another file")
    return found


def _weights(file: memoryview) -> Iterator[tuple[str, Tensor]]:
    for number, layer in _fields(file):
        if number not in _LAYERS or not isinstance(layer, memoryview):
            continue
        name_number, blob_number = _LAYERS[number]
        name, blobs = "", []
        for inner, value in _fields(layer):
            if inner == name_number and isinstance(value, memoryview):
                name = str(value, "utf-8")
            elif inner == blob_number and isinstance(value, memoryview):
                blobs.append(value)
        if len(blobs) > len(_NAMES):
            raise ValueError(f"layer '{name}' has {len(blobs)} blobs, expected at most {len(_NAMES)}")
        for kind, blob in zip(_NAMES, blobs, strict=False):
            yield f"{name}.{kind}", _tensor(blob, f"{name}.{kind}")


def _tensor(blob: memoryview, name: str) -> Tensor:
    old, shape, parts = dict.fromkeys(_OLD_SHAPE, 1), None, []
    for number, value in _fields(blob):
        if number in old and isinstance(value, int):
            old[number] = value
        elif number == _SHAPE and isinstance(value, memoryview):
            shape = [size for n, sizes in _fields(value) if n == 1 for size in _integers(sizes)]
        elif number in (_DATA, _DOUBLES) and isinstance(value, memoryview):
            parts.append(np.frombuffer(value, "<f4" if number == _DATA else "<f8"))
    if shape is None:
        # Four numbers always: that of a bias are 1, 1, 1, N.
        shape = list(old.values())
        shape = shape[3:] if shape[:3] == [1, 1, 1] else shape
    values = np.concatenate(parts) if parts else np.empty(0, np.float32)
    if math.prod(shape) != len(values):
        raise ValueError(f"{name} has {len(values)} numbers, expected {' x '.join(map(str, shape))}")
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Return number and value of each field of a message: an integer, or bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"field {number} has the unknown wire type {kind}")
        if size > len(data) - at:
            raise ValueError(f"field {number} is {size} bytes long, {len(data) - at} are left")
        yield number, data[at : at + size]
        at += size


def _integers(value: int | memoryview) -> Iterator[int]:
    """Return the integers of a repeated field, packed or single."""
    if isinstance(value, int):
        yield value
        return
    at = 0
    while at < len(value):
        number, at = _varint(value, at)
        yield number


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return an integer and where the next thing begins."""
    value = 0
    for i, byte in enumerate(data[at : at + 10]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, at + i + 1
    raise ValueError(f"the number at byte {at} does not end")
