# SPDX-License-Identifier: Apache-2.0
"""People who walk through a room: where each joint is at any moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pose_ros.core.convert import conversion
from pose_ros.core.skeleton import Skeleton
from pose_ros.skeletons import catalogue
from scenes import body

#: Metres walked since the start, (T,) -> x, y in metres and yaw in radians, (T, 3).
Path = Callable[[np.ndarray], np.ndarray]
#: Length of two steps in parts of the height.
_STRIDE = 0.8
_SIDES = {"left": 0.0, "right": 0.5}


def line(start: Sequence[float] | np.ndarray, end: Sequence[float] | np.ndarray) -> Path:
    """Return a straight path from ``start`` through ``end`` and on, (x, y) metres."""
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    direction = (b - a) / np.linalg.norm(b - a)
    yaw = np.arctan2(direction[1], direction[0])
    return lambda s: np.column_stack([a + s[:, None] * direction, np.full(len(s), yaw)])


def circle(centre: Sequence[float] = (0.0, 0.0), radius: float = 1.2, start: float = 0.0) -> Path:
    """Return a circle, counterclockwise; ``start`` is the angle in radians where it begins."""

    def path(s: np.ndarray) -> np.ndarray:
        angle = start + s / radius
        return np.column_stack([
            centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle), angle + np.pi / 2
        ])  # fmt: skip

    return path


def stand(place: Sequence[float] = (0.0, 0.0), yaw: float = 0.0) -> Path:
    """Return a path that does not move."""
    return lambda s: np.broadcast_to(np.array([*place, yaw], np.float64), (len(s), 3))


def _bump(phase: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Return a smooth periodic bump of height 1."""
    return np.exp((np.cos(2 * np.pi * (phase - centre)) - 1) / (2 * np.pi * width) ** 2)


def gait(phase: np.ndarray, amount: float = 1.0) -> dict[str, np.ndarray]:
    """Return joint angles of level walking, radians; phase 0 is the left heel's strike, 1 the next one.

    The shape of the curves is that of normal gait as textbooks draw it, not a fit to data.
    """
    angles: dict[str, np.ndarray] = {}
    for side, shift in _SIDES.items():
        own = phase + shift
        angles |= {
            f"{side}_hip_flexion": 8 + 22 * np.cos(2 * np.pi * own),
            f"{side}_hip_abduction": 2 + 0 * own,
            f"{side}_knee_flexion": 4 + 14 * _bump(own, 0.14, 0.07) + 56 * _bump(own, 0.72, 0.09),
            f"{side}_ankle_dorsiflexion": 8 * _bump(own, 0.4, 0.1) - 18 * _bump(own, 0.63, 0.06),
            f"{side}_shoulder_flexion": 2 - 22 * np.cos(2 * np.pi * own),
            f"{side}_shoulder_abduction": 8 + 0 * own,
            f"{side}_elbow_flexion": 22 - 14 * np.cos(2 * np.pi * own),
        }
    swing = np.cos(2 * np.pi * phase)
    # The left hip is in front when the left heel strikes; the shoulders turn the other way.
    angles |= {"pelvis_rotation": -5 * swing, "trunk_rotation": 10 * swing, "trunk_flexion": 4 + 0 * swing}
    return {name: np.radians(amount * value) for name, value in angles.items()}


def _feet(angles: Mapping[str, np.ndarray], phase: np.ndarray) -> np.ndarray:
    """Return how far the lowest point of the feet is below the hips, in parts of the height, (T,)."""
    points, _ = body.forward(1.0, angles, np.zeros((len(phase), 3)), np.zeros(len(phase)))
    return -points[:, [i for i, name in enumerate(body.MODEL.joints) if "toe" in name or "heel" in name], 2].min(axis=1)


@dataclass(frozen=True)
class Person:
    """One walking person."""

    path: Path
    height_m: float = 1.75
    #: Along the path; 0 stands (or walks on the spot).
    speed_mps: float = 1.2
    #: Of the gait, at time 0.
    phase: float = 0.0
    #: Size of the movements: 1 walks, 0 stands.
    gait: float = 1.0
    #: More joint angles, or others: seconds (T,) -> name of body.ANGLES or body.CURLS -> radians (T,).
    moves: Callable[[np.ndarray], Mapping[str, np.ndarray]] | None = None
    #: When the person is there, seconds.
    present_s: tuple[float, float] = (-np.inf, np.inf)

    def angles(self, times_s: np.ndarray) -> dict[str, np.ndarray]:
        """Return all joint angles, name -> (T,) radians."""
        times_s = np.asarray(times_s, np.float64)
        # Whoever walks on the spot takes a second for two steps.
        rate = self.speed_mps / (_STRIDE * self.height_m) if self.speed_mps else 1.0
        own = {name: np.zeros(len(times_s)) for name in body.ANGLES}
        own |= gait(self.phase + rate * times_s, self.gait)
        for name, value in (self.moves(times_s) if self.moves else {}).items():
            own[name] = np.broadcast_to(value, times_s.shape)
        return own

    def at(self, times_s: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return points of body.MODEL (T, J, 3), angles and segment rotations; points are NaN while absent."""
        times_s = np.asarray(times_s, np.float64)
        place = self.path(self.speed_mps * times_s)
        angles = self.angles(times_s)
        position = np.column_stack([place[:, :2], self._hips(angles, times_s)])
        points, rotations = body.forward(self.height_m, angles, position, place[:, 2])
        there = (times_s >= self.present_s[0]) & (times_s <= self.present_s[1])
        return np.where(there[:, None, None], points, np.nan), angles, rotations

    def _hips(self, angles: Mapping[str, np.ndarray], times_s: np.ndarray) -> np.ndarray:
        """Return the height of the hips, (T,), so that nothing goes through the floor.

        While walking it goes up and down smoothly with every step, as hips do: a constant and two harmonics.
        """
        if self.moves:
            return self.height_m * _feet(angles, times_s)
        cycle = np.arange(64) / 64
        spectrum = np.fft.rfft(_feet(gait(cycle, self.gait), cycle))
        spectrum[np.setdiff1d(np.arange(len(spectrum)), [0, 2, 4])] = 0
        wave = np.fft.irfft(spectrum)
        lift = (_feet(gait(cycle, self.gait), cycle) - wave).max()
        rate = self.speed_mps / (_STRIDE * self.height_m) if self.speed_mps else 1.0
        turns = np.exp(2j * np.pi * (self.phase + rate * times_s)[:, None] * np.array([0, 2, 4]))
        value = (turns * spectrum[[0, 2, 4]] * np.array([1, 2, 2]) / 64).real.sum(axis=1)
        return self.height_m * (value + lift)


@dataclass(frozen=True, eq=False)
class Truth:
    """Where everybody was, at T moments."""

    #: (T,) seconds.
    times_s: np.ndarray
    #: (N,) int64: 1 .. N.
    ids: np.ndarray
    #: (N,) metres.
    heights_m: np.ndarray
    #: (T, N, J, 3) metres in the world: all that the model has, by body.MODEL; NaN while a person is not there.
    model: np.ndarray
    #: Name of body.ANGLES -> (T, N) radians.
    angles: Mapping[str, np.ndarray]
    #: Name of body.SEGMENTS -> (T, N, 3, 3), from the segment's axes (x forward, y left, z up) to the world.
    rotations: Mapping[str, np.ndarray]

    def points(self, skeleton: Skeleton | str) -> np.ndarray:
        """Return the points of a skeleton, (T, N, K, 3) metres in the world; NaN where the model has no such joint."""
        target = catalogue.get(skeleton) if isinstance(skeleton, str) else skeleton
        flat = self.model.reshape(-1, *self.model.shape[2:])
        return conversion(body.MODEL, target).points(flat).reshape(*self.model.shape[:2], len(target), 3)

    def lengths(self, skeleton: Skeleton | str) -> dict[tuple[int, int], np.ndarray]:
        """Return the length of each edge of a skeleton for each person, (N,) metres: median over time."""
        target = catalogue.get(skeleton) if isinstance(skeleton, str) else skeleton
        points = self.points(target)
        return {
            (a, b): np.nanmedian(np.linalg.norm(points[:, :, a] - points[:, :, b], axis=-1), axis=0)
            for a, b in target.edges
        }


def at(people: Sequence[Person], times_s: np.ndarray | Sequence[float] | float) -> Truth:
    """Return where people are at ``times_s`` (T,)."""
    times_s = np.atleast_1d(np.asarray(times_s, np.float64))
    each = [person.at(times_s) for person in people]
    return Truth(
        times_s,
        np.arange(1, len(people) + 1),
        np.array([person.height_m for person in people]),
        np.stack([points for points, _, _ in each], axis=1),
        {name: np.stack([angles[name] for _, angles, _ in each], axis=1) for name in body.ANGLES},
        {name: np.stack([rotations[name] for _, _, rotations in each], axis=1) for name in body.SEGMENTS},
    )


def walker(height_m: float = 1.75) -> list[Person]:
    """Return one person who walks in a circle."""
    return [Person(circle(), height_m)]


def crossing(n: int = 3, seconds: float = 6.0, spread_m: float = 0.7, speed_mps: float = 1.2) -> list[Person]:
    """Return n people of different heights on straight paths that cross near the origin in the middle of the time.

    They pass one another at ``spread_m`` or so, not through one another.
    """
    people = []
    for i in range(n):
        angle = np.pi * (2 * i / n + 0.1 * (i % 2))
        ahead = np.array([np.cos(angle), np.sin(angle)])
        middle = spread_m * np.array([-ahead[1], ahead[0]]) * (0.6 + 0.4 * i / max(n - 1, 1))
        way = speed_mps * seconds / 2
        people.append(_nth(i, line(middle - way * ahead, middle), speed_mps))
    return people


def circling(n: int = 3, radius: float = 1.5, speed_mps: float = 1.0) -> list[Person]:
    """Return n people who walk on one circle, evenly spread, for as long as one likes."""
    return [_nth(i, circle((0, 0), radius, 2 * np.pi * i / n), speed_mps) for i in range(n)]


def _nth(i: int, path: Path, speed_mps: float) -> Person:
    """Return one of several people: between 1.60 and 1.96 m tall, each at another moment of the step."""
    return Person(path, 1.6 + 0.06 * (3 * i % 7), speed_mps, phase=0.37 * i % 1)
