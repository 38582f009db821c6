# SPDX-License-Identifier: Apache-2.0
"""Crops that are not cut yet: whoever runs the network cuts them where it runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core import warp


@dataclass(frozen=True, eq=False)
class Crops:
    """Regions of one image, as a network is to see them."""

    #: RGB uint8 (H, W, 3).
    image: np.ndarray
    #: (N, 2, 3), crops to image, from :func:`pose_ros.core.warp.region_matrix`.
    matrices: np.ndarray
    size_wh: tuple[int, int]
    #: (N,) bool: which of them are seen in a mirror.
    mirrored: np.ndarray

    def __len__(self) -> int:
        """Return how many they are."""
        return len(self.matrices)

    def __getitem__(self, rows: slice) -> Crops:
        """Return some of them."""
        return Crops(self.image, self.matrices[rows], self.size_wh, self.mirrored[rows])

    def both_ways(self) -> Crops:
        """Return all of them, and then all of them in a mirror."""
        return Crops(self.image, np.concatenate([self.matrices] * 2), self.size_wh,
                     np.concatenate([self.mirrored, ~self.mirrored]))

    def pixels(self) -> np.ndarray:
        """Cut them on the processor: RGB uint8 (N, height, width, 3), black outside of the image."""
        width, height = self.size_wh
        pixels = np.empty((len(self), height, width, 3), np.uint8)
        for target, matrix in zip(pixels, self.matrices, strict=True):
            warp.crop(self.image, matrix, self.size_wh, out=target)
        pixels[self.mirrored] = pixels[self.mirrored, :, ::-1]
        return pixels

    def seen(self) -> np.ndarray:
        """Return matrices from what the network sees, mirrored or not, to the image, (N, 2, 3)."""
        matrices = self.matrices.copy()
        # The last column of pixels becomes the first one.
        matrices[self.mirrored, :, 2] += matrices[self.mirrored, :, 0] * (self.size_wh[0] - 1)
        matrices[self.mirrored, :, 0] *= -1
        return matrices
