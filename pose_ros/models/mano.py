# SPDX-License-Identifier: Apache-2.0
"""Find and read MANO_RIGHT.pkl, the model of a hand, which nobody but its authors may hand on.

It is a pickle of Python 2 with arrays, expressions of chumpy and a sparse matrix of scipy. Neither of those two is
needed, and nothing in the file is run: what it names beside arrays is refused.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros import folders
from pose_ros.errors import ModelCorruptError, ModelMissingError

_NAME = "MANO"
_FILE = "MANO_RIGHT.pkl"
#: Vertices, joints, triangles, shape parameters.
_V, _J, _F, _S = 778, 16, 1538, 10
#: What we call an array -> what the file does, and its shape.
_ARRAYS = {
    "template": ("v_template", (_V, 3)), "shapes": ("shapedirs", (_V, 3, _S)),
    "poses": ("posedirs", (_V, 3, 9 * (_J - 1))), "regressor": ("J_regressor", (_J, _V)),
    "weights": ("weights", (_V, _J)),
}  # fmt: skip


def find(path: str = "") -> Path:
    """Return where the file is: at ``path``, at ``POSE_ROS_MANO``, or among the user's own models.

    Raises:
        ModelMissingError: It is not there; the message says where to get it and where to put it.
    """
    named = path or os.environ.get("POSE_ROS_MANO", "")
    place = Path(named).expanduser() if named else folders.config() / "models" / _FILE
    if place.is_dir():
        place /= _FILE
    if not place.is_file():
        raise ModelMissingError(
            _NAME, f"expected {_FILE} at {place}, found none. Its licence (research, no commercial use) forbids others "
                   f"to hand it on: register at https://mano.is.tue.mpg.de, download 'Models & Code', unpack {_FILE}, "
                   f"and put it there, or name it in POSE_ROS_MANO or in the option 'mano'"
        )
    return place


def read(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of the file under the names of :class:`pose_ros.decode.mano.HandModel`.

    Raises:
        ModelCorruptError: It is another file, is damaged, or asks to run something.
    """
    try:
        with path.open("rb") as file:
            content = _Unpickler(file, encoding="latin1").load()
        if "LEFT" in path.name.upper():
            raise ValueError("the model of the left hand: left hands are mirrored right ones here")
        if not isinstance(content, Mapping):
            raise ValueError(f"a {type(content).__name__}")
        return _arrays(content)
    except OSError as error:
        raise ModelCorruptError(_NAME, f"cannot read {path}: {error.strerror}") from error
    except Exception as error:  # damage shows in many ways
        said = f"no '{error.args[0]}'" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise ModelCorruptError(_NAME, f"expected {_FILE} of https://mano.is.tue.mpg.de at {path}, got {said}; nothing "
                                       "of it was run") from error


def _arrays(content: Mapping[str, Any]) -> dict[str, np.ndarray]:
    found = {}
    for name, (key, shape) in _ARRAYS.items():
        array = np.asarray(_evaluated(content[key]), np.float32)
        if name == "shapes" and array.ndim == 3:
            array = array[..., :_S]  # some files have more; the first ones are those of the paper
        if array.shape != shape or not np.isfinite(array).all():
            raise ValueError(f"'{key}' of shape {array.shape} in place of {shape}, or with numbers that are none")
        found[name] = np.ascontiguousarray(array)
    # The wrist hangs from nothing, which is the largest uint32 there.
    parents = np.asarray(_evaluated(content["kintree_table"]), np.int64)[0]
    parents[:1] = -1
    faces = np.asarray(_evaluated(content["f"]), np.int64)
    if parents.shape != (_J,) or not ((parents[1:] >= 0) & (parents[1:] < np.arange(1, _J))).all():
        raise ValueError(f"'kintree_table' with the joints {parents}")
    if faces.shape != (_F, 3) or faces.min() < 0 or faces.max() >= _V:
        raise ValueError(f"'f' with {faces.shape} triangles")
    return {**found, "parents": parents, "faces": faces}


class _Standin:
    """Stands for an object of a library that is not needed; keeps what the file says of it."""

    state: Mapping[str, Any] = {}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.state = state


class _Expression(_Standin):
    """``chumpy.ch.Ch``, an array ``x``."""

    def value(self) -> np.ndarray:
        return np.asarray(self.state["x"])


class _Selection(_Standin):
    """``chumpy.reordering.Select``: elements of another expression."""

    def value(self) -> np.ndarray:
        picked = np.asarray(_evaluated(self.state["a"])).ravel()[self.state["idxs"]]
        return picked.reshape(self.state.get("preferred_shape", picked.shape))


class _Sparse(_Standin):
    """``scipy.sparse.csc_matrix``: the rows and values of each column, one column after the other."""

    def value(self) -> np.ndarray:
        dense = np.zeros(self.state["_shape"], np.float32)
        columns = np.repeat(np.arange(dense.shape[1]), np.diff(self.state["indptr"]))
        np.add.at(dense, (self.state["indices"], columns), self.state["data"])
        return dense


def _evaluated(value: Any) -> Any:
    return value.value() if isinstance(value, (_Expression, _Selection, _Sparse)) else value


def _made(kind: Callable[[], Any], *_: object) -> Any:
    """Do what ``copy_reg._reconstructor`` does, for the classes above alone."""
    return kind()


def _from_buffer(buffer: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], order: Any) -> np.ndarray:
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


def _as_bytes(text: str, encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


#: The function by which NumPy's own pickles make an array; it has moved between versions.
_RECONSTRUCT = np.zeros(1).__reduce__()[0]
#: All that may be named in the file, under the names that any version of Python and of the libraries wrote.
_KNOWN: Mapping[str, Any] = {
    "numpy.core.multiarray._reconstruct": _RECONSTRUCT, "numpy._core.multiarray._reconstruct": _RECONSTRUCT,
    "numpy.core.numeric._frombuffer": _from_buffer, "numpy._core.numeric._frombuffer": _from_buffer,
    "numpy.ndarray": np.ndarray, "numpy.dtype": np.dtype, "_codecs.encode": _as_bytes,
    "chumpy.ch.Ch": _Expression, "chumpy.reordering.Select": _Selection,
    "scipy.sparse.csc.csc_matrix": _Sparse, "scipy.sparse._csc.csc_matrix": _Sparse,
    "copy_reg._reconstructor": _made, "copyreg._reconstructor": _made,
    "__builtin__.object": object, "builtins.object": object, "__builtin__.set": set, "builtins.set": set,
}  # fmt: skip


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in _KNOWN:
            raise ValueError(f"one that asks to run {full}")
        return _KNOWN[full]
