# SPDX-License-Identifier: Apache-2.0
"""Random weights of RTMO with which it does what it is for. NumPy only."""

from __future__ import annotations

import numpy as np


def sensible(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a state dict with the right wave lengths and bins, and with boxes so large that they overlap."""
    found = {name: np.asarray(value) for name, value in state.items()}
    for name, value in state.items():
        if name.endswith("dim_t"):
            temperature = 10000.0 if name.startswith("neck.") else 300.0
            found[name] = np.power(temperature, np.arange(value.size) / value.size).astype(np.float32)
        elif name.endswith(("x_bins", "y_bins")):
            found[name] = np.linspace(-0.5, 0.5, value.size).astype(np.float32)
        elif ".out_bbox." in name and name.endswith("bias"):
            found[name] = value + np.float32([0, 0, 1.2, 1.2])
    return found
