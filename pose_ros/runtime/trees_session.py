# SPDX-License-Identifier: Apache-2.0
"""Run cascades of regression trees (dlib's shape predictors) with NumPy, all subjects at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pose_ros import formats
from pose_ros.errors import DeviceError
from pose_ros.runtime import dlib_file
from pose_ros.runtime.batched import BatchedSession, select
from pose_ros.runtime.session import Settings, Tensor

FORMATS = formats.CASCADES


def version() -> str:
    """Return the version of the library."""
    return np.__version__


def devices() -> tuple[str, ...]:
    """Return the kinds of devices that are here."""
    return ("cpu",)


class TreesSession(BatchedSession):
    """One stage of a cascade at a time, because what a stage looks at depends on what the one before found.

    The input is (N, 1 + 2 K + P, 1, 1): the number of a stage, then x and y of the K points before it, then the P
    pixels that it looks at. Stage 0 looks at nothing and says where the points are at first. Outputs:

    * ``points`` (N, K, 2): after that stage; 0 and 1 are the borders of the subject's rectangle.
    * ``places`` (N, T, P, 3): for each of stages 1 .. T, the number of the point near which a pixel lies, and how far
      from it in x and y while the points are as stage 0 says.
    """

    def __init__(self, path: Path, device: str, settings: Settings) -> None:
        """Read the file.

        Raises:
            DeviceError: Another precision than float32 is asked for.
            ModelCorruptError: It is no whole shape predictor.
        """
        name = settings.name or path.name
        if settings.precision != "float32":
            raise DeviceError(device, f"trees compare pixels in float32, got precision={settings.precision}; ask for "
                                      f"precision=float32")
        self._cascade = cascade = dlib_file.read(path, name)
        self._places = np.concatenate([cascade.anchors[..., None].astype(np.float32), cascade.offsets], axis=2)
        count, (_, pixels) = len(cascade.shape), cascade.anchors.shape
        found = [Tensor("points", (-1, count, 2)), Tensor("places", (-1, *self._places.shape))]
        super().__init__(name, [Tensor("pixels", (-1, 1 + 2 * count + pixels, 1, 1))],
                         select(name, found, settings.outputs), f"numpy {version()}", device, most=settings.batch)

    def _infer(self, batch: np.ndarray, names: Sequence[str]) -> Sequence[np.ndarray]:
        values = batch.reshape(batch.shape[:2])
        made = {"places": np.broadcast_to(self._places, (len(values), *self._places.shape))}
        if "points" in names:
            stages = np.nan_to_num(values[:, 0]).clip(0, len(self._places)).astype(int)
            made["points"] = np.empty((len(values), *self._cascade.shape.shape), np.float32)
            for stage in np.unique(stages):
                rows = stages == stage
                made["points"][rows] = self._stage(int(stage), values[rows, 1:]) if stage else self._cascade.shape
        return [made[name] for name in names]

    def _stage(self, stage: int, values: np.ndarray) -> np.ndarray:
        """Return points (N, K, 2) after a stage, of the points before it and its pixels (N, 2 K + P)."""
        points, pixels = np.split(values, [self._cascade.shape.size], axis=1)
        looks = self._cascade.pixels[stage - 1]
        above = pixels[:, looks[..., 0]] - pixels[:, looks[..., 1]] > self._cascade.thresholds[stage - 1]
        node = np.zeros((len(values), len(looks)), np.intp)
        trees = np.arange(len(looks))
        for _ in range((looks.shape[1] + 1).bit_length() - 1):
            node = 2 * node + np.where(above[np.arange(len(values))[:, None], trees, node], 1, 2)
        leaves = self._cascade.leaves[stage - 1].reshape(-1, points.shape[1])
        rows = node - looks.shape[1] + (looks.shape[1] + 1) * trees
        found = np.empty_like(points)
        # From the first tree to the last one: float32 rounds as in dlib then. One subject's leaves fit into a cache.
        steps = np.empty((1 + len(trees), points.shape[1]), np.float32)
        for before, row, after in zip(points, rows, found, strict=True):
            steps[0] = before
            np.take(leaves, row, axis=0, out=steps[1:], mode="clip")
            np.add.reduce(steps, axis=0, out=after)
        return found.reshape(len(found), -1, 2)
