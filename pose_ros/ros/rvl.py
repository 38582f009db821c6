# SPDX-License-Identifier: Apache-2.0
"""RVL: the lossless compression of depth images by Wilson, "Fast Lossless Depth Image Compression" (ISS 2017).

Runs of zeros and of values alternate. Numbers are groups of three bits, lowest first, each with a bit that says whether
another one follows; eight of these nibbles are a little-endian word, the first in its highest bits. Values are
differences from the value before, zigzag coded.
"""

from __future__ import annotations

import numpy as np

from pose_ros.errors import ImageError

#: A number of 16 bits with a sign has at most 17; a count of pixels fits, too.
_MOST_NIBBLES = 11


def decode(data: bytes | memoryview, count: int) -> np.ndarray:
    """Return ``count`` values, uint16.

    Raises:
        ImageError: The data ends too early, or says something else.
    """
    words = np.frombuffer(data, np.uint8)
    numbers = _numbers(words[: len(words) // 4 * 4].reshape(-1, 4)[:, ::-1])
    sizes, at, filled = numbers.tolist(), 0, 0
    # A run after another: where it begins among the numbers, and in the image.
    runs: list[tuple[int, int, int]] = []
    while filled < count:
        if at + 2 > len(sizes):
            raise ImageError(f"RVL data of {len(data)} bytes ends after {filled} of {count} values; it was cut off")
        zeros, values = sizes[at], sizes[at + 1]
        if zeros + values == 0 or filled + zeros + values > count or at + 2 + values > len(sizes):
            raise ImageError(f"RVL data of {len(data)} bytes does not hold {count} values; it is damaged")
        runs.append((at + 2, filled + zeros, values))
        at, filled = at + 2 + values, filled + zeros + values
    start, place, length = np.array(runs, np.int64).reshape(-1, 3).T
    within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    coded = numbers[np.repeat(start, length) + within]
    out = np.zeros(count, np.uint16)
    out[np.repeat(place, length) + within] = np.cumsum((coded >> 1) ^ -(coded & 1)).astype(np.uint16)
    return out


def _numbers(words: np.ndarray) -> np.ndarray:
    """Return all numbers, (W, 4) bytes, highest first -> int64."""
    nibbles = np.stack([words >> 4, words & 15], axis=-1).ravel()
    last = np.flatnonzero(nibbles < 8)
    if not len(last):
        return np.empty(0, np.int64)
    first = np.concatenate([[0], last[:-1] + 1])
    if (last - first >= _MOST_NIBBLES).any():
        raise ImageError("RVL data holds a number that no image needs; it is damaged")
    nibbles = nibbles[: last[-1] + 1]
    group = np.arange(len(nibbles)) - np.repeat(first, last - first + 1)
    return np.add.reduceat((nibbles & 7).astype(np.int64) << 3 * group, first)
