# SPDX-License-Identifier: Apache-2.0
"""How messages are broken: numbers at their limits, texts not meant, arrays too short, too long or scrambled."""

from __future__ import annotations

import array
import copy
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from fuzzing.kinds import Kind

_LIMITS = {
    "int8": (-128, 127), "uint8": (0, 255), "int16": (-(2**15), 2**15 - 1), "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1), "int64": (-(2**63), 2**63 - 1), "uint64": (0, 2**64 - 1),
}  # fmt: skip
_REALS = (math.nan, math.inf, -math.inf, 0.0, -0.0, -1.0, 1e-30, 1e30, 3e38)
_TEXTS = (
    "", " ", "\n", "rgb8", "mono16", "16UC1", "32FC1", "nv12", "bayer_rggb8", "8UC4", "64FC4", "plumb_bob",
    "equidistant", "jpeg", "16UC1; compressedDepth png", "32FC1; compressedDepth rvl", "16UC1; compressedDepth rvl",
    "%s%n", "a" * 5000, "../../etc/passwd", "coco17", "mediapipe33", "\u202e\u0000x",
)  # fmt: skip


def broken(kind: Kind, dice: random.Random) -> Any:
    """Return one of the examples of a kind with one to four changes."""
    message = copy.deepcopy(dice.choice(kind.examples))
    for _ in range(dice.randint(1, 4)):
        _change(message, dice)
    return message


def _change(message: Any, dice: random.Random) -> None:
    name, kind = dice.choice(list(message.get_fields_and_field_types().items()))
    value = getattr(message, name)
    if hasattr(value, "get_fields_and_field_types"):
        _change(value, dice)
    elif kind.startswith("sequence<") or "[" in kind:
        _change_array(message, name, value, kind, dice)
    else:
        setattr(message, name, _scalar(kind, value, dice))


def _change_array(message: Any, name: str, value: Any, kind: str, dice: random.Random) -> None:
    fixed = "[" in kind
    if isinstance(value, array.array):
        data = value[:]
        _WAYS[dice.randrange(len(_WAYS))](data, dice)
        setattr(message, name, data)
    elif isinstance(value, np.ndarray):
        if value.size:
            where = dice.randrange(value.size)
            value[where] = dice.choice(_REALS) if value.dtype.kind == "f" else dice.randrange(2)
    elif not fixed:
        items = list(value)
        way = dice.randrange(5)
        if way == 0 and items:
            del items[dice.randrange(len(items))]
        elif way == 1 and items:
            items.append(copy.deepcopy(dice.choice(items)))
        elif way == 2:
            items = []
        elif items and hasattr(items[0], "get_fields_and_field_types"):
            _change(dice.choice(items), dice)
        elif items:
            items[dice.randrange(len(items))] = dice.choice(_TEXTS) if isinstance(items[0], str) else items[0]
        setattr(message, name, items)


def _scalar(kind: str, value: Any, dice: random.Random) -> Any:
    if kind == "boolean":
        return not value
    if kind == "string":
        return dice.choice(_TEXTS)
    if kind in ("float", "double"):
        return dice.choice(_REALS)
    low, high = _LIMITS.get(kind, (0, 255))
    near = value if isinstance(value, int) else 0
    chosen = dice.choice((low, high, 0, 1, near + 1, near - 1, near * 2, near // 2, dice.randint(low, high)))
    return min(max(chosen, low), high)


def _cut(data: array.array, dice: random.Random) -> None:
    del data[dice.randrange(len(data) + 1) :]


def _grow(data: array.array, dice: random.Random) -> None:
    data.extend(data[: dice.randint(1, 64)] or array.array(data.typecode, [0]))


def _empty(data: array.array, dice: random.Random) -> None:
    del data[:]


def _scramble(data: array.array, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 16)):
        if len(data):
            where = dice.randrange(len(data)) if dice.random() < 0.5 else min(dice.randrange(64), len(data) - 1)
            data[where] = _item(data.typecode, dice)


def _swap(data: array.array, dice: random.Random) -> None:
    if len(data) > 8:
        a, b = sorted(dice.randrange(len(data)) for _ in "ab")
        data[a:b] = data[a:b][::-1]


_Way = Callable[[array.array, random.Random], None]
_WAYS: tuple[_Way, ...] = (_cut, _grow, _empty, _scramble, _scramble, _scramble, _swap)


def _item(typecode: str, dice: random.Random) -> Any:
    if typecode in "fd":
        return dice.choice(_REALS)
    size = array.array(typecode).itemsize * 8
    low, high = (-(2 ** (size - 1)), 2 ** (size - 1) - 1) if typecode.islower() else (0, 2**size - 1)
    return dice.choice((low, high, dice.randint(low, high)))
