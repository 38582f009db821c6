# SPDX-License-Identifier: Apache-2.0
"""Replay what the scripts in test/data/networks recorded."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from pose_ros.networks.export import export
from pose_ros.networks.network import Network
from pose_ros.runtime import open_session

DATA = Path(__file__).parents[1] / "data/networks"
sys.path.append(str(DATA))
import weights  # noqa: E402

#: As torchvision's: RGB, of 0 .. 255.
MEAN, STD = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])


#: What was compared so far: (test, file and case, batch, output) -> largest difference.
DIFFERENCES: dict[tuple[str, str, int, str], float] = {}
#: Random weights -> weights.
Tune = Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]]
#: How much outputs differ between images, at least, relative to their largest value: equality would mean nothing else.
_LEAST_CONTRAST = 0.02


class Case:
    """One reference implementation of a family's file."""

    def __init__(self, family: str, name: str) -> None:
        """Read it."""
        self.name = f"{family}/{name}"
        with np.load(DATA / f"{family}.npz") as file:
            self._found = {k.removeprefix(f"{name}/"): file[k] for k in file if k.startswith(f"{name}/")}

    def __getitem__(self, key: str) -> np.ndarray:
        return self._found[key]

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Names and shapes of the reference's weights."""
        return {key: tuple(shape) for key, shape in json.loads(str(self["state"])).items()}

    def state(self, tune: Tune = dict) -> dict[str, torch.Tensor]:
        """The weights that the reference had; ``tune`` is what the script called so."""
        values = weights.stronger(weights.random_weights(self.shapes), float(self._found.get("factor", 1)))
        return {key: torch.from_numpy(value) for key, value in tune(values).items()}

    def empty(self) -> Mapping[str, torch.Tensor]:
        """Weights of the same names and shapes without any values."""
        return {key: torch.empty(shape, device="meta") for key, shape in self.shapes.items()}

    def crops(self, n: int) -> np.ndarray:
        """The images that the reference saw, RGB uint8 (n, H, W, 3)."""
        return weights.random_crops(n, tuple(self["size_wh"]))

    def error(self, n: int, name: str, output: np.ndarray) -> float:
        """Return the largest difference of an output, relative to its largest value."""
        largest = self[f"{n}/{name}/max"]
        contrast = np.ptp(output, axis=0).max() / largest
        assert n == 1 or contrast > _LEAST_CONTRAST, f"{self.name}: {name} hardly depends on the image ({contrast:.1e})"
        return self._difference(n, name, weights.sample(output), self[f"{n}/{name}"], largest)

    def difference(self, n: int, name: str, output: np.ndarray) -> float:
        """Return the same of an output that was recorded as a whole."""
        return self.away(n, name, output, self[f"{n}/{name}"])

    def away(self, n: int, name: str, output: np.ndarray, expected: np.ndarray) -> float:
        """Return the same of an output whose truth was made of what was recorded."""
        return self._difference(n, name, output, expected, np.abs(expected).max())

    def _difference(self, n: int, name: str, output: np.ndarray, expected: np.ndarray, largest: float) -> float:
        found = float(np.abs(output - expected).max() / largest)
        DIFFERENCES[os.environ["PYTEST_CURRENT_TEST"].split(" ")[0], self.name, n, name] = found
        return found


def prepared(crops: np.ndarray) -> np.ndarray:
    """Return the input of most networks, float32 (N, 3, H, W)."""
    return np.ascontiguousarray(((crops - MEAN) / STD).transpose(0, 3, 1, 2))


def run(network: Network, batch: np.ndarray) -> dict[str, np.ndarray]:
    """Run a network by PyTorch."""
    with torch.inference_mode():
        return {k: v.numpy() for k, v in zip(network.outputs, network(torch.from_numpy(batch)), strict=True)}


class Exported:
    """A network as ONNX, run by onnxruntime."""

    def __init__(self, network: Network, size_wh: tuple[int, int], folder: Path) -> None:
        """Export it."""
        export(network, size_wh, folder / "net.onnx")
        self.session = open_session(folder / "net.onnx", device="cpu", runtime="onnxruntime")
        # Hundreds of megabytes that the folder of a whole module would keep until the last test.
        (folder / "net.onnx").unlink()

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Run it."""
        return self.session.run(batch)


def runner(
    how: str, network: Network, case: Case, folders: pytest.TempPathFactory
) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Return a function that runs a network by ``torch``, or exported to ``onnx``."""
    if how == "torch":
        return partial(run, network)
    return Exported(network, tuple(case["size_wh"].tolist()), folders.mktemp("onnx"))
