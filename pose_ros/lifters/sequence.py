# SPDX-License-Identifier: Apache-2.0
"""Lifters that see keypoints at even steps of time: Martinez, VideoPose3D, MotionBERT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core.options import option
from pose_ros.errors import CardError, ConfigError, ShapeError
from pose_ros.lifters.base import Lifter
from pose_ros.plugin import Model, read_params
from pose_ros.skeletons import catalogue

#: A picture that is this wide is what ``pixels`` are of.
_WIDTH = 1000.0


@dataclass(frozen=True)
class SequenceParams:
    """What a card says in ``params``."""

    takes: str = option("h36m17", "Skeleton of the keypoints that the network takes.")
    step: float = option(0.0, "Time between two moments of its training; 0 where it sees but one.", unit="s", low=0.0)
    coordinates: str = option(
        "width", "Of the keypoints: 'width': -1 .. 1 over the image's width; 'side': -1 .. 1 over its shorter side; "
        "'pixels': of an image scaled to a width of 1000.", choices=("width", "side", "pixels"),
    )  # fmt: skip
    unit: float = option(
        0.0, "Metres per unit where the network says x and y as in the image, and z in the same scale, as MotionBERT "
        "does; 0 where it says metres.", unit="m", low=0.0,
    )  # fmt: skip
    centred: bool = option(True, "Whether it was trained with the root at the origin; else the root is taken away.")


@dataclass(frozen=True)
class SequenceOptions:
    """How to use the network."""

    flip_test: bool = option(
        False, "Lift the mirror image too and average: a little more accurate, twice the work.", live=True
    )
    ahead: int = option(
        0, "Moments after the one that is lifted. 0 lifts the newest one, whose future is taken to be like it; more is "
        "calmer, and as many steps late.", low=0, high=242,
    )  # fmt: skip


class SequenceLifter(Lifter):
    """Lift by one network whose input is (N, 2 or 3, T, K): x, y and, where there are three, the scores.

    The output is (N, K', 3), the moment in the middle of T, or (N, T, K', 3), every moment; a card's ``params``:
    :class:`SequenceParams`.
    """

    Options = SequenceOptions
    options: SequenceOptions

    def __init__(self, model: Model, options: SequenceOptions | None = None) -> None:
        """Read the card.

        Raises:
            CardError: A parameter does not fit, or the network has another input or output.
            ConfigError: It cannot see so far ahead.
        """
        super().__init__(model, options)
        self._params = read_params(SequenceParams, self.card)
        self.takes, self.step_s = catalogue.get(self._params.takes), self._params.step
        keypoints, self._moments = self.card.input_wh
        shapes = [t.shape[1:] for t in self.session.outputs]
        point = (len(self.skeleton), 3)
        if len(shapes) != 1 or shapes[0] not in (point, (self._moments, *point)) or keypoints != len(self.takes):
            raise CardError(
                self.card.name, f"expected an input {len(self.takes)} wide (input_wh) and one output (N, {point[0]}, "
                                f"3) or (N, {self._moments}, {point[0]}, 3), got {keypoints} and "
                                f"{[t.shape for t in self.session.outputs]}"
            )  # fmt: skip
        self._channels = self.session.inputs[0].shape[1]
        self._one = len(shapes[0]) == 2
        most = self._moments // 2 if self._one else self._moments - 1
        if self.options.ahead > most:
            raise ConfigError("lifter.ahead", f"expected at most {most} with '{self.card.name}', got "
                                              f"{self.options.ahead}")
        self.ahead = self.options.ahead
        # What it would see of the future beyond that is made of the newest moment.
        self.window = self._moments - most + self.ahead if self._one else self._moments

    def metres_per_pixel(self, size_wh: tuple[int, int]) -> float:
        """Return the scale of results that are as seen in an image; 0 where they are true shapes."""
        return self._params.unit / self._scale(size_wh) if self._params.unit else 0.0

    def _scale(self, size_wh: tuple[int, int]) -> float:
        """Return pixels per unit."""
        width, height = size_wh
        return {"width": width / 2, "side": min(width, height) / 2, "pixels": width / _WIDTH}[self._params.coordinates]

    def lift(self, keypoints: np.ndarray, scores: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
        """See :class:`Lifter`.

        Raises:
            ShapeError: They are of other moments or keypoints.
        """
        moments = (self.window, len(self.takes))
        for name, array, shape in (("keypoints", keypoints, (*moments, 2)), ("scores", scores, moments)):
            if array.ndim != 1 + len(shape) or array.shape[1:] != shape:
                raise ShapeError(name, f"(N, {', '.join(map(str, shape))})", array.shape)
        middle = np.array(size_wh, np.float32) / 2
        pixels = self._params.coordinates == "pixels"
        keypoints, scores = np.asarray(keypoints, np.float32), np.asarray(scores, np.float32)
        xy = (keypoints - (0 if pixels else middle)) / np.float32(self._scale(size_wh))
        channels = [xy[..., 0], xy[..., 1], scores][: self._channels]
        batch = np.stack(channels, axis=1)
        batch = np.pad(batch, ((0, 0), (0, 0), (0, self._moments - self.window), (0, 0)), mode="edge")
        if not self.options.flip_test:
            return self._run(batch)
        mirrored = batch[..., self.takes.flip_index]
        mirrored[:, 0] = (_WIDTH if pixels else 0) - mirrored[:, 0]
        straight, other = np.split(self._run(np.concatenate([batch, mirrored])), 2)
        return (straight + other[:, self.skeleton.flip_index] * np.array([-1, 1, 1], np.float32)) / 2

    def _run(self, batch: np.ndarray) -> np.ndarray:
        (found,) = self.session.run(np.ascontiguousarray(batch)).values()
        points = found if self._one else found[:, self.window - 1 - self.ahead]
        root = points[:, [self.skeleton.root]]
        points = points - (0 if self._params.centred else root)
        points[:, self.skeleton.root] = 0
        return points * np.float32(self._params.unit) if self._params.unit else points
