# SPDX-License-Identifier: Apache-2.0
"""Label files that need a library of their own: MATLAB's, HDF5 and CDF. Files that may hold code are never opened."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from pose_ros.errors import DatasetError


def package(name: str, what: str) -> Any:
    """Return a package of the extra ``datasets``.

    Raises:
        DatasetError: It is not installed; the message says how to get it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        top = name.partition(".")[0]
        raise DatasetError(what, f"it is read with {top}: pip install 'pose_ros[datasets]'") from error


def mat(path: Path) -> dict[str, Any]:
    """Return the variables of a MATLAB file up to version 7; structs have attributes, and single values no axes."""
    io = package("scipy.io", path.name)
    variables: dict[str, Any] = io.loadmat(path, squeeze_me=True, struct_as_record=False)
    return variables


def hdf5(path: Path) -> Any:
    """Return an open HDF5 file, such as one of MATLAB's version 7.3."""
    return package("h5py", path.name).File(path, "r")
