# SPDX-License-Identifier: Apache-2.0
"""A hand model with the layout of MANO_RIGHT.pkl and nothing of its content, and the same file as Python 2 wrote it.

NumPy only: neither chumpy nor scipy is needed to write their objects.
"""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

VERTICES, JOINTS, TRIANGLES = 778, 16, 1538
#: Of each finger (index, middle, little, ring, thumb): where its three joints begin, and which way it points.
_FINGERS = (((0, 0, 0.025), (-1, 0, 0.1)), ((0, 0, 0), (-1, 0, 0)), ((0.015, 0, -0.04), (-0.9, 0, -0.3)),
            ((0.005, 0, -0.02), (-1, 0, -0.1)), ((0.06, 0, 0.03), (-0.6, -0.3, 0.7)))  # fmt: skip
_BONE = 0.03
_TIPS = (320, 443, 671, 554, 744)


def arrays() -> dict[str, np.ndarray]:
    """Return the arrays under the names of the file: a hand of blobs of vertices around sticks."""
    rng = np.random.default_rng(5)
    joints = [np.array([0.095, 0.006, 0.006])]
    for start, way in _FINGERS:
        step = _BONE * np.array(way) / np.linalg.norm(way)
        joints += [np.array(start) + i * step for i in range(3)]
    at = np.array(joints)
    nearest = np.arange(VERTICES) % JOINTS
    template = at[nearest] + rng.normal(0, 0.006, (VERTICES, 3))
    for finger, vertex in enumerate(_TIPS):
        way = np.array(_FINGERS[finger][1])
        nearest[vertex] = 3 * finger + 3
        template[vertex] = at[3 * finger + 3] + _BONE * way / np.linalg.norm(way)
    away = ((template[:, None] - at) ** 2).sum(axis=2)
    weights = np.exp(-away / 2e-4)
    regressor = (np.arange(JOINTS)[:, None] == nearest) * rng.random((JOINTS, VERTICES))
    regressor[rng.random(regressor.shape) < 0.5] = 0
    parents = np.array([2**32 - 1, *(0 if i % 3 == 1 else i - 1 for i in range(1, JOINTS))], np.uint32)
    return {
        "v_template": template, "weights": weights / weights.sum(axis=1, keepdims=True),
        "shapedirs": rng.normal(0, 0.002, (VERTICES, 3, 10)), "posedirs": rng.normal(0, 0.001, (VERTICES, 3, 135)),
        "J_regressor": regressor / regressor.sum(axis=1, keepdims=True),
        "kintree_table": np.stack([parents, np.arange(JOINTS, dtype=np.uint32)]),
        "f": rng.integers(0, VERTICES, (TRIANGLES, 3)).astype(np.uint32),
        "hands_components": np.eye(45), "hands_mean": np.zeros(45),
    }  # fmt: skip


class Ch:
    """What chumpy's ``Ch`` leaves in a pickle."""

    def __init__(self, **state: Any) -> None:
        self.__dict__ = state


class Select(Ch):
    """What chumpy's ``Select`` leaves."""


class Sparse(Ch):
    """What scipy's ``csc_matrix`` leaves."""


#: As the libraries of that time called them.
_NAMES: dict[Any, str] = {
    Ch: "chumpy.ch Ch", Select: "chumpy.reordering Select", Sparse: "scipy.sparse.csc csc_matrix",
    np.ndarray: "numpy ndarray", np.dtype: "numpy dtype",
    np.zeros(1).__reduce__()[0]: "numpy.core.multiarray _reconstruct",
}  # fmt: skip


class _Python2(pickle._Pickler):  # type: ignore[name-defined]
    """Writes as Python 2 did: no texts but bytes, and the names of that time."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_global(self, obj: Any, name: str | None = None) -> None:
        """Write a name."""
        if obj not in _NAMES:
            super().save_global(obj, name)
            return
        self.write(b"c" + _NAMES[obj].replace(" ", "\n").encode() + b"\n")
        self.memoize(obj)

    def _save_text(self, text: str | bytes) -> None:
        data = text if isinstance(text, bytes) else text.encode()
        self.write(b"T" + struct.pack("<i", len(data)) + data)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = _save_text


def write(path: Path, **changes: Any) -> Path:
    """Write the file with objects of chumpy and scipy in it; ``changes`` replace its entries, None removes them."""
    found: dict[str, Any] = arrays()
    shapes = found["shapedirs"]
    more = np.concatenate([shapes, shapes], axis=2)
    index = np.arange(more.size).reshape(more.shape)[..., :10].ravel()
    found["shapedirs"] = Select(a=Ch(x=more), idxs=index, preferred_shape=shapes.shape)
    dense = found["J_regressor"]
    columns, rows = np.nonzero(dense.T)
    found["J_regressor"] = Sparse(
        _shape=dense.shape, data=dense[rows, columns], indices=rows.astype(np.int32), maxprint=50,
        indptr=np.searchsorted(columns, np.arange(VERTICES + 1)).astype(np.int32),
    )  # fmt: skip
    found |= {"bs_style": "lbs", "bs_type": "lrotmin", **changes}
    with path.open("wb") as file:
        _Python2(file, protocol=2).dump({key: value for key, value in found.items() if value is not None})
    return path
