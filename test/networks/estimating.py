# SPDX-License-Identifier: Apache-2.0
"""Give recorded crops to the estimator of a card, with a network in place of the card's file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from pose_ros import registry
from pose_ros.core.poses import Poses
from pose_ros.estimators.top_down import TopDownEstimator
from pose_ros.models import cards
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

#: A network: preprocessed images -> outputs by name.
How = Callable[[np.ndarray], dict[str, np.ndarray]]


class Remembered:
    """A network that runs once for each image."""

    def __init__(self, how: How) -> None:
        """Keep it."""
        self._how, self._found = how, dict[bytes, dict[str, np.ndarray]]()

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Return its outputs; images that are new make one batch."""
        keys = [image.tobytes() for image in batch]
        new = [i for i, key in enumerate(keys) if key not in self._found]
        if new:
            outputs = self._how(np.ascontiguousarray(batch[new]))
            self._found.update({keys[i]: {k: v[row] for k, v in outputs.items()} for row, i in enumerate(new)})
        return {name: np.stack([self._found[key][name] for key in keys]) for name in self._found[keys[0]]}


def estimator(name: str, how: How, size_wh: tuple[int, int], flip_test: bool = False) -> TopDownEstimator:
    """Return the estimator of a shipped card for crops of another size, without padding."""
    card = dataclasses.replace(cards.get(name), input_wh=size_wh)
    outputs = how(np.zeros((1, 3, *size_wh[::-1]), np.float32))
    tensors = [Tensor(k, (-1, *v.shape[1:])) for k, v in outputs.items() if k in (card.outputs or outputs)]
    session = FakeSession(Tensor("image", (-1, 3, *size_wh[::-1])), tensors, how)
    cls = registry.load("estimators", card.plugin)
    made = cls(Model(card, session), cls.Options(flip_test=flip_test, padding=1.0))
    assert isinstance(made, TopDownEstimator)
    return made


def estimate(made: TopDownEstimator, crops: np.ndarray) -> Poses:
    """Return poses in pixels of each crop, (N, H, W, 3) uint8: they stand side by side in one image."""
    n, height, width, _ = crops.shape
    image = crops.transpose(1, 0, 2, 3).reshape(height, n * width, 3)
    # Where the region's area is that of the pixels, its centre lies between the two in the middle.
    shift = 0.5 if made.align == "area" else 0.0
    left = np.arange(n) * width
    regions = np.stack([left + width / 2 - shift, np.full(n, height / 2 - shift), np.full(n, width), np.full(n, height),
                        np.zeros(n)], axis=1)  # fmt: skip
    poses = made.estimate(np.ascontiguousarray(image), regions.astype(np.float32))
    corners = np.stack([left, left * 0], axis=1)[:, None].astype(np.float32)
    return Poses(poses.skeleton, poses.keypoints - corners, poses.scores)
