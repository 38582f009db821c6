# SPDX-License-Identifier: Apache-2.0
"""Maps of which it is known what is in them, for decoders; NumPy only.

Used by the scripts that record what reference decoders find in them, and by the tests that replay it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

#: Sigma of the blobs and size of the heat maps of the two sizes of input, 256x192 and 384x288 ...
HEATMAPS = ((2, (48, 64)), (3, (72, 96)))
#: ... and the kernels of the smoothing that go with them.
KERNELS = (11, 17)


def blobs(xy: np.ndarray, size_wh: tuple[int, int], sigma: float = 2.0) -> np.ndarray:
    """Return a Gaussian of height 1 at each of (..., 2), float32 (..., H, W)."""
    x, y = np.arange(size_wh[0]), np.arange(size_wh[1])[:, None]
    xy = np.asarray(xy, np.float64)[..., None, None, :]
    return np.exp(-((x - xy[..., 0]) ** 2 + (y - xy[..., 1]) ** 2) / (2 * sigma**2)).astype(np.float32)


def noisy_blobs(
    n: int, keypoints: int, size_wh: tuple[int, int], sigma: float = 2.0, margin: float = -2.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return where the blobs are (N, K, 2), and the maps with noise of 2 % (N, K, H, W).

    ``margin`` keeps them so many pixels from the border; negative ones lie outside.
    """
    rng = np.random.default_rng(seed)
    xy = rng.uniform(margin, np.array(size_wh) - 1 - margin, (n, keypoints, 2))
    noise = rng.uniform(-0.02, 0.02, (n, keypoints, size_wh[1], size_wh[0]))
    return xy, (rng.uniform(0.3, 1, (n, keypoints, 1, 1)) * blobs(xy, size_wh, sigma) + noise).astype(np.float32)


def noisy_offsets(n: int, keypoints: int, size_wh: tuple[int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the centres of disks (N, K, 2), and UDP's combined target with noise of 2 % (N, 3 K, H, W).

    For each keypoint a disk, and the way to its centre in x and y in radii.
    """
    rng = np.random.default_rng(seed)
    centres = rng.uniform(1, np.array(size_wh) - 2, (n, keypoints, 2))
    radius = 0.0546875 * max(size_wh)
    xy = centres[..., None, None, :]
    dx = (xy[..., 0] - np.arange(size_wh[0]) + np.zeros((size_wh[1], 1))) / radius
    dy = (xy[..., 1] - np.arange(size_wh[1])[:, None] + np.zeros(size_wh[0])) / radius
    maps = np.stack([dx**2 + dy**2 <= 1, dx, dy], axis=2) + rng.uniform(-0.02, 0.02, (n, keypoints, 3, *size_wh[::-1]))
    return centres, maps.reshape(n, -1, *size_wh[::-1]).astype(np.float32)


@cache
def crowd(
    people: int,
    keypoints: int,
    size_wh: tuple[int, int],
    *,
    apart: float = 1.5,
    missing: float = 0.0,
    dimensions: int = 1,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return many people as heat maps and maps of tags draw them (associative embedding).

    People overlap; keypoints of one kind are 6 pixels apart or more, and may be right at the border. The tags of two
    people differ by ``apart`` or more in each dimension, and a person's tags among themselves by up to 0.2.

    Args:
        people: How many.
        keypoints: How many each has.
        size_wh: Of the maps.
        apart: See above.
        missing: Part of the keypoints that have no blob; what the tag maps show is there all the same.
        dimensions: Numbers per tag.
        seed: Of the random numbers.

    Returns:
        To be read only: keypoints (P, K, 2), those without a blob too; heat maps (K, H, W); tags (L, K, H, W); which
        keypoints have a blob (P, K).
    """
    rng = np.random.default_rng(seed)
    limit = np.array(size_wh) - 1.0
    places = np.empty((people, keypoints, 2))
    centres = rng.uniform(0.1, 0.9, (people, 2)) * limit
    for k in range(keypoints):
        for p in range(people):
            while True:
                places[p, k] = np.clip(centres[p] + rng.normal(0, 0.12, 2) * limit, 0, limit)
                if p == 0 or np.hypot(*(places[:p, k] - places[p, k]).T).min() >= 6:
                    break
    own = (rng.permutation(people) - people / 2)[:, None] * apart + np.zeros(dimensions)
    seen = rng.random((people, keypoints)) >= missing
    seen[:, 0] |= ~seen.any(axis=1)
    tags = np.empty((dimensions, keypoints, size_wh[1], size_wh[0]), np.float32)
    heat = np.empty((keypoints, size_wh[1], size_wh[0]), np.float32)
    for k in range(keypoints):
        dx, dy = ((places[:, k, axis, None] - np.arange(size_wh[axis])) ** 2 for axis in (0, 1))
        # Every pixel says whose it would be: that of the nearest person.
        nearest = (dy[:, :, None] + dx[:, None]).argmin(axis=0)
        tags[:, k] = (own + rng.uniform(-0.1, 0.1, own.shape))[nearest].transpose(2, 0, 1)
        height = np.where(seen[:, k], rng.uniform(0.4, 1, people), rng.uniform(0.02, 0.09, people))
        heat[k] = (height[:, None, None] * np.exp(-dy / 8)[:, :, None] * np.exp(-dx / 8)[:, None]).max(axis=0)
    for array in (places, heat, tags, seen):
        array.flags.writeable = False
    return places, heat, tags, seen


def noise(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return heat maps (17, 96, 128) of noise, smooth over 3 x 3 pixels, and tags (2, 17, 96, 128) of noise."""
    rng = np.random.default_rng(seed)
    maps = rng.random((17, 98, 130), np.float32)
    smooth = sum(maps[:, i : i + 96, j : j + 128] for i in range(3) for j in range(3)) / np.float32(9)
    return smooth.astype(np.float32), rng.random((2, 17, 96, 128), np.float32)


#: People and dimensions of tags in the crowds that are recorded, and the size of the maps.
CROWDS = ((1, 1), (12, 1), (30, 1), (30, 2))
CROWD_WH = (352, 256)


@dataclass(frozen=True)
class Scene:
    """A crowd before a network with finer maps (HigherHRNet), and how its maps are looked at."""

    image_wh: tuple[int, int] = (500, 375)
    people: int = 8
    missing: float = 0.0
    flip_test: bool = False
    scales: tuple[float, ...] = (1,)

    def maps(self, size_wh: tuple[int, int], mirrored: bool) -> tuple[np.ndarray, ...]:
        """Return what the network draws for an input of some size, or for its mirror image.

        Returns:
            Heat maps and tags (34, H / 4, W / 4), and finer heat maps (17, H / 2, W / 2).
        """
        heat, tags = self._crowd((size_wh[0] // 2, size_wh[1] // 2))
        coarse = np.concatenate([heat[:, ::2, ::2] * np.float32(0.9), tags[:, ::2, ::2]])
        if not mirrored:
            return coarse, heat
        # A mirror image is not seen quite alike.
        flip = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])
        both = np.concatenate([flip, 17 + flip])
        return coarse[both, :, ::-1] * np.float32(0.95), heat[flip, :, ::-1] * np.float32(0.9)

    def _crowd(self, size_wh: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        # Of all sizes the same people, so they are drawn once, in the largest.
        step = round(max(self.scales) * 1024 / (2 * min(size_wh)) / 2)
        large = (size_wh[0] * step, size_wh[1] * step)
        _, heat, tags, _ = crowd(self.people, 17, large, apart=3, missing=self.missing)
        return heat[:, ::step, ::step], tags[0][:, ::step, ::step]


SCENES = {
    "plain": Scene(),
    "portrait": Scene(image_wh=(333, 480), people=3),
    "flipped": Scene(flip_test=True),
    "incomplete": Scene(people=4, missing=0.15, flip_test=True),
    "scales": Scene(people=4, flip_test=True, scales=(0.5, 1, 2)),
}
