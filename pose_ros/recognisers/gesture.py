# SPDX-License-Identifier: Apache-2.0
"""Small networks that tell what a hand shows by one image, or what the tip of its forefinger draws.

Points become numbers as in Kazuhito Takahashi's and Katsuya Hyodo's programs (Apache-2.0;
hand-gesture-recognition-using-onnx, app.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_ros.core.options import option
from pose_ros.errors import CardError, ShapeError
from pose_ros.plugin import Model, read_params
from pose_ros.recognisers.base import Clip, Recogniser, Seen

#: The keypoint of ``hand21`` that draws.
_TIP = "forefinger4"


@dataclass(frozen=True)
class GestureParams:
    """What a card says in ``params``."""

    sees: str = option(
        "shape", "'shape': all points of the newest image, around the wrist; 'path': where the tip of the "
        "forefinger was, from where it came.", choices=("shape", "path"),
    )  # fmt: skip
    logits: bool = option(True, "Whether the network leaves the softmax to the plugin.")
    step: float = option(0.0, "Time between two places of a path in its training.", unit="s", low=0.0)


@dataclass(frozen=True)
class GestureOptions:
    """How to look."""

    mirror: bool = option(
        True, "Look at the mirror image, as the program does with which the training was recorded: what turns "
        "clockwise for whoever shows it to the camera is called so.", live=True,
    )  # fmt: skip


class Gesture(Recogniser):
    """Gestures by networks whose input is (N, 2 V) or (N, 2 T): x and y of the points of a hand, or of a path.

    A card's ``params``: :class:`GestureParams`.
    """

    Options = GestureOptions
    options: GestureOptions
    subject = "hand"

    def __init__(self, model: Model, options: GestureOptions | None = None) -> None:
        """Read the card.

        Raises:
            CardError: A parameter does not fit, or the network has another input or output.
        """
        super().__init__(model, options)
        self._params = read_params(GestureParams, self.card)
        (numbers, _), shape = self.card.input_wh, self.session.inputs[0].shape[1:]
        self._path = self._params.sees == "path"
        outputs = [t.shape[1:] for t in self.session.outputs]
        fits = numbers % 2 == 0 if self._path else numbers == 2 * len(self.takes)
        if not fits or shape != (numbers,) or outputs != [(len(self.actions),)] or _TIP not in self.takes.index:
            raise CardError(self.card.name, f"expected an input (N, {numbers}) as its card says (input_wh), of hand21, "
                                            f"and one output (N, {len(self.actions)}) of its classes, got "
                                            f"{self.session.inputs[0].shape} and {outputs}")
        if self._path and not self._params.step:
            raise CardError(self.card.name, "params.step: expected the time between two places of a path")
        self.step_s = self._params.step if self._path else 0.0
        self.window_s = (numbers // 2 - 1) * self.step_s

    def see(self, clip: Clip) -> Sequence[Seen]:
        """See :class:`Recogniser`; all classes of each hand that is seen whole, or at all moments of a path.

        Raises:
            ShapeError: The clip is of other moments or another skeleton.
        """
        if clip.keypoints.shape[1:] != (self.steps, len(self.takes), 2):
            raise ShapeError("clip.keypoints", f"(N, {self.steps}, {len(self.takes)}, 2)", clip.keypoints.shape)
        points = clip.keypoints[:, :, self.takes.index[_TIP]] if self._path else clip.keypoints[:, -1]
        points = (points - points[:, :1]) * ((-1, 1) if self.options.mirror else (1, 1))
        if self._path:
            size = np.array(clip.size_wh, float)
            scale = np.where(size > 0, size, np.nan)
        else:
            scale = np.abs(points).max(axis=(1, 2), keepdims=True)
            scale = np.where(scale > 0, scale, np.nan)
        batch = (points / scale).reshape(len(points), np.prod(points.shape[1:])).astype(np.float32)
        (rows,) = np.nonzero(np.isfinite(batch).all(axis=1))
        if not len(rows):
            return []
        (found,) = self.session.run(np.ascontiguousarray(batch[rows])).values()
        if self._params.logits:
            powers = np.exp(found - found.max(axis=1, keepdims=True))
            found = powers / powers.sum(axis=1, keepdims=True)
        return [
            Seen(int(row), name, float(chance), int(clip.sides[row]))
            for row, chances in zip(rows, found, strict=True)
            for name, chance in zip(self.actions, chances, strict=True)
        ]
