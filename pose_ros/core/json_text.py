# SPDX-License-Identifier: Apache-2.0
"""Read JSON of unknown origin: of the kind and size that is expected, and not nested without end.

The parser of Python takes whatever fits into memory, where a file of lists in lists becomes 25 times its size, and
ends with a RecursionError at a depth that depends on its version and on who calls it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

#: Lists and mappings inside one another; results and calibrations need less than ten.
_DEPTH = 64
#: Bytes of a file. Configurations and calibrations have some thousand; an hour of a video's results some 100 MiB.
SMALL, LARGE = 16 << 20, 1 << 30
#: Brackets become +1 and -1, as signed bytes; all else goes.
_STEPS = bytes(1 if chr(byte) in "[{" else 255 for byte in range(256))
_OTHERS = bytes(byte for byte in range(256) if chr(byte) not in "[]{}")
_KINDS: dict[type, str] = {dict: "a mapping", list: "a list"}


def load(text: str, kind: type = dict) -> Any:
    """Return what a JSON document says.

    Args:
        text: The document.
        kind: What it has to be, ``dict`` or ``list``.

    Raises:
        ValueError: It is no JSON, is something else, or is nested beyond all need.
    """
    import numpy as np  # not for `pose-ros --help`

    # Outside of its strings, which are every other part between quotes that are not escaped.
    outside = "".join(text.replace("\\\\", "").replace('\\"', "").split('"')[::2]).encode()
    brackets = np.frombuffer(outside.translate(_STEPS, _OTHERS), np.int8)
    if len(brackets) and np.cumsum(brackets, dtype=np.int64).max() > _DEPTH:
        raise ValueError(f"expected lists and mappings nested up to {_DEPTH} deep, got more")
    data = json.loads(text)
    if not isinstance(data, kind):
        raise ValueError(f"expected {_KINDS[kind]}, got {type(data).__name__}")
    return data


def read(path: Path, kind: type = dict, most: int = SMALL) -> Any:
    """Return what a JSON file says.

    Args:
        path: The file.
        kind: What it has to be, ``dict`` or ``list``.
        most: Bytes that it may have.

    Raises:
        OSError: It cannot be read.
        ValueError: It is larger, no text, or as :func:`load`.
    """
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"expected a file of {most >> 20} MiB at most, got a larger one")
    return load(data.decode("utf-8-sig"), kind)
