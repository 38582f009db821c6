# SPDX-License-Identifier: Apache-2.0
"""How large a face is: irises have nearly the same size in all people, whatever their age."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Mean and relative spread of the diameter of the visible iris (Ruefer, Schroeder and Erb, Cornea 2005:
#: 11.71 +- 0.42 mm).
IRIS_M, _IRIS_SPREAD = 0.01171, 0.036
#: Relative spread of the size of faces, adults and children: our choice.
_FACE_SPREAD = 0.08
#: How well a diameter is measured, pixels; both eyes err alike. Irises of 2 to 12 pixels in photographs of 15 faces
#: would alone let the sizes of the faces spread by 17 %.
_NOISE_PX = 1.4


def iris_diameters(points: np.ndarray, iris: Sequence[int]) -> np.ndarray:
    """Return the diameters (N,) of irises in the unit of ``points``; NaN where unknown.

    Args:
        points: (N, K, D).
        iris: Its centre, and the ends of two diameters: 1 is opposite of 3, and 2 of 4. An iris that looks aside is an
            ellipse, so the longer one counts.
    """
    if len(iris) < 5:
        return np.full(len(points), np.nan)
    ring = points[:, list(iris[1:5])]
    return np.linalg.norm(ring[:, :2] - ring[:, 2:], axis=2).max(axis=1)


def face_scales(diameters: np.ndarray, diameters_px: np.ndarray) -> np.ndarray:
    """Return how much larger than an average adult's each face is, (N,); 1 where no iris is known.

    The sizes that the irises and the average face say are weighed by how well each is known: a large picture of an iris
    decides (three quarters of the weight at 45 pixels, half at 20), one of five pixels says next to nothing.

    Args:
        diameters: (N, E) of the irises in metres, as they would be if the face had the average size.
        diameters_px: (N, E) of the same in pixels.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio, noise = np.log(IRIS_M / diameters), (_NOISE_PX / diameters_px) ** 2
    known = np.isfinite(ratio) & np.isfinite(noise)
    count = known.sum(axis=1)
    mean = np.where(known, ratio, 0).sum(axis=1) / np.maximum(count, 1)
    variance = _IRIS_SPREAD**2 + np.where(known, noise, 0).sum(axis=1) / np.maximum(count, 1)
    weight = _FACE_SPREAD**2 / (_FACE_SPREAD**2 + variance)
    return np.where(count > 0, np.exp(weight * mean), 1.0)
