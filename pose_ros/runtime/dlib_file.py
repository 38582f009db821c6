# SPDX-License-Identifier: Apache-2.0
"""Read dlib's ``shape_predictor`` files (``.dat``), version 1, without dlib; nothing in them is run.

Such a file is a row of whole numbers, each with one byte ahead that holds its length (low bits) and sign (highest bit).
A float is two of them, mantissa and exponent of 2; a list begins with its length, a matrix with its size, negated.
Format after dlib's ``serialize.h``, ``float_details.h`` and ``shape_predictor.h`` (Boost Software License).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose_ros.errors import ModelCorruptError

#: Bytes that are split into numbers at a time; what is looked at fits into a processor's cache.
_BLOCK = 1 << 15
#: No number of a shape predictor has more than 4 bytes; room for the longest that a byte ahead can promise.
_MASKS = np.array([0, 0xFF, 0xFFFF, 0xFFFFFF, 0x7FFFFFFF] + [0] * 11, np.uint32)
_ROOM = 16
#: What dlib writes for numbers that are none begins here.
_NO_EXPONENT = 32000


@dataclass(frozen=True)
class Cascade:
    """T stages of R regression trees with S splits (and S + 1 leaves) each, which move K points."""

    #: (K, 2) float32: where the points are at first; 0 and 1 are the rectangle's borders.
    shape: np.ndarray
    #: (T, P) int32: the point near which each of P pixels of a stage lies.
    anchors: np.ndarray
    #: (T, P, 2) float32: how far from there, in the first shape.
    offsets: np.ndarray
    #: (T, R, S, 2) int32: the two pixels of which a split takes the difference. Below split i are 2 i + 1 and 2 i + 2.
    pixels: np.ndarray
    #: (T, R, S) float32: differences above take the first way.
    thresholds: np.ndarray
    #: (T, R, S + 1, K, 2) float32: how the points move.
    leaves: np.ndarray


def read(path: Path, model: str) -> Cascade:
    """Read a shape predictor.

    Args:
        path: The file.
        model: What to call it in messages.

    Raises:
        ModelCorruptError: It is no whole shape predictor; nothing of what it promises was allocated.
    """

    def need(ok: object, problem: str) -> None:
        if not ok:
            raise ModelCorruptError(model, f"expected a whole shape_predictor of dlib at {path}, got {problem}; "
                                           f"fetch it again")

    numbers, whole = _numbers(np.fromfile(path, np.uint8))
    need(whole, "one that ends within a number: it is cut off")

    def at(place: int) -> int:
        need(place < len(numbers), f"only {len(numbers)} numbers: it is cut off")
        return int(numbers[place])

    need(at(0) == 1, f"version {at(0)} in place of 1")
    values, columns = -at(1), -at(2)
    need(values > 0 and values % 2 == 0 and columns == 1, f"a first shape of {values} x {columns}")
    here = 3 + 2 * values
    stages, trees, splits = at(here), at(here + 1), at(here + 2)
    need(min(stages, trees, splits) > 0 and splits & (splits + 1) == 0,
         f"{stages} stages of {trees} trees with {splits} splits")
    leaf, here = 2 + 2 * values, here + 1
    tree = 2 + 4 * splits + (splits + 1) * leaf
    end = here + stages * (1 + trees * tree)
    pixels = at(end + 1)
    need(pixels > 0, f"{pixels} pixels")
    expected = end + 2 + stages * (2 + 5 * pixels)
    need(len(numbers) == expected, f"{len(numbers)} numbers where {stages} stages of {trees} trees need {expected}")

    def counted(rows: np.ndarray, *counts: int) -> np.ndarray:
        """Return rows without what stands ahead of each, which has to be the same for all."""
        need((rows[..., : len(counts)] == counts).all(), "parts of different sizes")
        return rows[..., len(counts) :]

    def floats(rows: np.ndarray) -> np.ndarray:
        need((np.abs(rows[..., 1::2]) < _NO_EXPONENT).all(), "a number that is infinite or none")
        with np.errstate(over="ignore"):
            found = np.ldexp(rows[..., ::2].astype(np.float32), rows[..., 1::2])
        need(np.isfinite(found).all(), "a number that is too large")
        return found

    forests = counted(numbers[here:end].reshape(stages, -1), trees).reshape(stages, trees, tree)
    nodes = counted(forests[..., : 1 + 4 * splits], splits).reshape(stages, trees, splits, 4)
    tails = counted(forests[..., 1 + 4 * splits :], splits + 1).reshape(stages, trees, splits + 1, leaf)
    tables = np.split(numbers[end:], [1 + stages * (1 + pixels)])
    anchors, offsets = (counted(counted(table, stages).reshape(stages, -1), pixels) for table in tables)
    need((nodes[..., :2] >= 0).all() and (nodes[..., :2] < pixels).all(), "a split that looks at no pixel")
    need((anchors >= 0).all() and (anchors < values // 2).all(), "a pixel near no point")
    leaves = np.empty((stages, trees, splits + 1, values), np.float32)
    for target, rows in zip(leaves, tails, strict=True):  # the largest part, and one stage at a time is enough
        target[:] = floats(counted(rows, -values, -1))
    return Cascade(
        floats(numbers[3 : 3 + 2 * values]).reshape(-1, 2), anchors, floats(offsets).reshape(stages, pixels, 2),
        nodes[..., :2].copy(), floats(nodes[..., 2:])[..., 0], leaves.reshape(*leaves.shape[:3], -1, 2),
    )


def _numbers(data: np.ndarray) -> tuple[np.ndarray, bool]:
    """Split bytes into numbers (M,) int32, and say whether the last one is whole.

    Where a number begins is known only from the one before. So in every block each byte is taken for a beginning, and
    jumps to the next one are joined to jumps of 2, 4, 8 ... numbers: each doubles the beginnings that are known.
    """
    size = len(data)
    data = np.append(data, np.zeros(_ROOM + 4, np.uint8))
    words = np.ndarray((size + _ROOM,), "<u4", data, strides=(1,))
    places = np.arange(_BLOCK + _ROOM)
    found = [np.empty(0, np.int32)]
    begin = 0
    while begin < size:
        count = min(_BLOCK, size - begin)
        jumps = places[: count + _ROOM].copy()
        jumps[:count] += 1 + (data[begin : begin + count] & 15)
        starts = np.zeros(1, np.intp)
        while starts[-1] < count:
            starts = np.concatenate([starts, jumps.take(starts)])
            if starts[-1] < count:
                jumps = jumps.take(jumps)
        inside = int(np.searchsorted(starts, count))
        after, starts = begin + int(starts[inside]), starts[:inside] + begin
        heads = data.take(starts)
        values = (words[starts + 1] & _MASKS.take(heads & 15)).astype(np.int32)
        np.negative(values, out=values, where=heads >= 128)
        found.append(values)
        begin = after
    return np.concatenate(found), begin == size
