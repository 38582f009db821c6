# SPDX-License-Identifier: Apache-2.0
"""Heat maps and part affinity fields of people of whom it is known where they are; NumPy only.

Used by the script that records what reference implementations find in them, and by the tests that replay it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

#: Pixels of the input per pixel of the maps.
STRIDE = 8
#: Of the blobs, as OpenPose was trained; a limb's field is this wide on either side.
_SIGMA, _WIDTH = 7.0, 8.0
_FACE = {"nose": (0, -1.2), "neck": (0, -0.9), "right_eye": (-0.07, -1.28), "left_eye": (0.07, -1.28),
         "right_ear": (-0.15, -1.22), "left_ear": (0.15, -1.22), "head": (0, -1.5), "chest": (0, -0.45),
         "mid_hip": (0, 0)}  # fmt: skip
_SIDE = {"shoulder": (0.22, -0.88), "elbow": (0.36, -0.5), "wrist": (0.42, -0.1), "hip": (0.13, 0), "knee": (0.16, 0.5),
         "ankle": (0.18, 1.0), "big_toe": (0.3, 1.1), "small_toe": (0.36, 1.05), "heel": (0.1, 1.08)}  # fmt: skip
_BODY = {**_FACE, **{f"{side}_{k}": (sign * x, y) for k, (x, y) in _SIDE.items()
                     for side, sign in (("left", 1), ("right", -1))}}  # fmt: skip

_ARMS = ("right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist")
_LEGS = ("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle")
_EYES = ("right_eye", "left_eye", "right_ear", "left_ear")
_FEET = ("left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel")


class Kind(NamedTuple):
    """A model of OpenPose: its keypoints, limbs, and the channels of their fields."""

    keypoints: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]
    channels: tuple[tuple[int, int], ...]


def _pairs(text: str) -> tuple[tuple[int, int], ...]:
    numbers = [int(n) for n in text.replace(",", " ").replace("-", " ").split()]
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


#: From src/openpose/pose/poseParameters.cpp.
KINDS = {
    "body25": Kind(
        ("nose", "neck", *_ARMS, "mid_hip", *_LEGS, *_EYES, *_FEET),
        _pairs("1-8 1-2 1-5 2-3 3-4 5-6 6-7 8-9 9-10 10-11 8-12 12-13 13-14 1-0 0-15 15-17 0-16 16-18 2-17 5-18 14-19 "
               "19-20 14-21 11-22 22-23 11-24"),
        _pairs("0,1 14,15 22,23 16,17 18,19 24,25 26,27 6,7 2,3 4,5 8,9 10,11 12,13 30,31 32,33 36,37 34,35 38,39 "
               "20,21 28,29 40,41 42,43 44,45 46,47 48,49 50,51"),
    ),
    "coco18": Kind(
        ("nose", "neck", *_ARMS, *_LEGS, *_EYES),
        _pairs("1-2 1-5 2-3 3-4 5-6 6-7 1-8 8-9 9-10 1-11 11-12 12-13 1-0 0-14 14-16 0-15 15-17 2-16 5-17"),
        _pairs("12,13 20,21 14,15 16,17 22,23 24,25 0,1 2,3 4,5 6,7 8,9 10,11 28,29 30,31 34,35 32,33 36,37 18,19 "
               "26,27"),
    ),
    "mpi15": Kind(
        ("head", "neck", *_ARMS, *_LEGS, "chest"),
        _pairs("0-1 1-2 2-3 3-4 1-5 5-6 6-7 1-14 14-8 8-9 9-10 14-11 11-12 12-13"),
        _pairs("0,1 2,3 4,5 6,7 8,9 10,11 12,13 14,15 16,17 18,19 20,21 22,23 24,25 26,27"),
    ),
}  # fmt: skip


class Scene(NamedTuple):
    """Who is there, and what a network would draw."""

    #: (N, K, 2) in pixels of the input, centre of the first at (0, 0); NaN where not visible.
    people: np.ndarray
    #: (K + 1, H, W), the background last, and (2 limbs, H, W).
    heatmaps: np.ndarray
    fields: np.ndarray


def bodies(kind: str, centres: np.ndarray, sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return people (N, K, 2) of which nobody stands like another; sizes (N,) are those of the trunk, pixels."""
    template = np.array([_BODY[name] for name in KINDS[kind].keypoints])
    shapes = template + rng.normal(0, 0.02, (len(centres), *template.shape))
    return centres[:, None] + sizes[:, None, None] * shapes


def draw(
    kind: str, people: np.ndarray, size_wh: tuple[int, int], noise: float = 0.0, rng: np.random.Generator | None = None
) -> Scene:
    """Return the scene with these people in an input of this size; values differ from keypoint to keypoint."""
    _, limbs, channels = KINDS[kind]
    width, height = size_wh[0] // STRIDE, size_wh[1] // STRIDE
    rng = rng or np.random.default_rng(0)
    # Where the pixels of the maps are in the input.
    x, y = ((np.arange(n) + 0.5) * STRIDE - 0.5 for n in (width, height))
    y = y[:, None]
    heatmaps = np.zeros((people.shape[1] + 1, height, width))
    fields, counts = np.zeros((2 * len(limbs), height, width)), np.zeros((2 * len(limbs), height, width))
    for person in people:
        for part, (px, py) in enumerate(person):
            if np.isfinite(px):
                blob = rng.uniform(0.7, 1) * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * _SIGMA**2))
                heatmaps[part] = np.maximum(heatmaps[part], blob)
        for (a, b), pair in zip(limbs, channels, strict=True):
            way = person[b] - person[a]
            length = np.hypot(*way)
            if not length > 0:
                continue
            unit = way / length
            along = (x - person[a][0]) * unit[0] + (y - person[a][1]) * unit[1]
            across = np.abs((x - person[a][0]) * unit[1] - (y - person[a][1]) * unit[0])
            near = (along > -_WIDTH) & (along < length + _WIDTH) & (across <= _WIDTH)
            for channel, value in zip(pair, unit, strict=True):
                fields[channel] += near * value
                counts[channel] += near
    heatmaps[-1] = 1 - heatmaps[:-1].max(axis=0)
    fields /= np.maximum(counts, 1)
    heatmaps[:-1] += rng.uniform(-noise, noise, heatmaps[:-1].shape)
    fields += rng.uniform(-noise, noise, fields.shape)
    return Scene(people, heatmaps.astype(np.float32), fields.astype(np.float32))


def scenes(kind: str) -> dict[str, Scene]:
    """Return scenes of nobody, one, five who overlap, thirty, people at the border, and people who are half hidden."""
    rng = np.random.default_rng(7)
    size = (656, 368)
    grid = np.stack(np.meshgrid(np.linspace(34, 622, 10), (65, 185, 305)), -1).reshape(-1, 2)
    grid += rng.normal(0, 2, (30, 2))
    hidden = bodies(kind, np.array([[120.0, 190], [330, 200], [540, 190]]), np.array([95.0, 100, 90]), rng)
    hidden[rng.random(hidden.shape[:2]) < 0.3] = np.nan
    found = {
        "nobody": np.empty((0, len(KINDS[kind].keypoints), 2)),
        "one": bodies(kind, np.array([[300.0, 200]]), np.array([110.0]), rng),
        "five": bodies(kind, np.array([[100.0, 190], [190, 200], [265, 180], [430, 210], [500, 190]]),
                       np.array([100.0, 95, 85, 90, 105]), rng),
        "thirty": bodies(kind, grid, rng.uniform(34, 40, 30), rng),
        "border": bodies(kind, np.array([[20.0, 200], [330, 330], [640, 190]]), np.array([100.0, 90, 110]), rng),
        "hidden": hidden,
    }  # fmt: skip
    return {name: draw(kind, _visible(people, size), size, 0.005, rng) for name, people in found.items()}


def _visible(people: np.ndarray, size_wh: Sequence[int]) -> np.ndarray:
    inside = ((people >= 0) & (people <= np.array(size_wh) - 1)).all(axis=2, keepdims=True)
    return np.where(inside, people, np.nan)


def noise(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return heat maps and fields that show nothing, in which dozens of people are found all the same."""
    rng = np.random.default_rng(11)
    keypoints, limbs, _ = KINDS[kind]

    def smooth(channels: int, sigma: float, height: float) -> np.ndarray:
        reach = np.arange(-int(3 * sigma), int(3 * sigma) + 1)
        kernel = np.exp(-(reach**2) / (2 * sigma**2))
        maps = rng.normal(0, 1, (channels, 46 + len(kernel) - 1, 62 + len(kernel) - 1))
        for axis in (1, 2):
            maps = np.apply_along_axis(np.convolve, axis, maps, kernel, "valid")
        return (height * maps / maps.std()).astype(np.float32)

    return smooth(len(keypoints) + 1, 2, 0.3), smooth(2 * len(limbs), 8, 0.4)
