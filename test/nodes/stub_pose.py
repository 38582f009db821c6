# SPDX-License-Identifier: Apache-2.0
"""A package of a third party: estimators that need no weights and whose answers are known.

The red value of the first pixel is the number of subjects; keypoint k of subject n lies at (40 n + k, k). Keypoint k
of a hand lies k / 2 pixels beside and above the middle of the region: a left hand's to the left, others to the right.

``Written`` reads its answers from the pixels: after the red value of the first one stand the float32 numbers x, y and
score of all keypoints. ``StubLifter`` makes everybody stand upright in the image's plane.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from pose_ros.core.options import option
from pose_ros.core.poses import LEFT, Poses
from pose_ros.estimators.base import CropEstimator, ImageEstimator
from pose_ros.lifters.base import Lifter


@dataclass(frozen=True)
class StubOptions:
    """Options of the stub."""

    delay: float = option(0.0, "Work for this long.", unit="s", low=0.0, high=10.0, live=True)
    load: float = option(0.0, "Take this long to load.", unit="s", low=0.0, high=10.0)
    score: float = option(0.9, "Score of every keypoint.", low=0.0, high=1.0, live=True)


class Stub(ImageEstimator):
    """Subjects where everybody knows they are."""

    Options = StubOptions

    def __init__(self, model, options=None):
        super().__init__(model, options)
        time.sleep(self.options.load)
        #: How many images were looked at.
        self.calls = 0

    def estimate(self, image):
        self.calls += 1
        time.sleep(self.options.delay)
        n, k = int(image[0, 0, 0]), len(self.skeleton)
        if n == 255:
            raise RuntimeError("the stub was told to break")
        x = 40.0 * np.arange(n)[:, None] + np.arange(k)
        keypoints = np.stack([x, np.broadcast_to(np.arange(k), x.shape)], axis=2)
        metric = np.concatenate([keypoints / 100, np.full((n, k, 1), 2.0)], axis=2)
        return Poses(self.skeleton, keypoints, np.full((n, k), self.options.score), points=metric)


class StubHand(CropEstimator):
    """Hands where somebody says that they are."""

    Options = StubOptions

    def estimate(self, image, regions, sides=None):
        n, k = len(regions), len(self.skeleton)
        sign = np.where((np.zeros(n) if sides is None else sides) == LEFT, -1, 1)
        step = np.arange(k) / 2
        x, y = regions[:, :1] + sign[:, None] * step, regions[:, 1:2] - step
        keypoints = np.stack([x, y], axis=2)
        metric = np.concatenate([keypoints / 100, np.full((n, k, 1), 2.0)], axis=2)
        scores = np.full((n, k), self.options.score)
        return Poses(self.skeleton, keypoints, scores, side_scores=np.ones(n), points=metric, regions=regions)


def write(image, keypoints, scores):
    """Write subjects (N, K, 2) with scores (N, K) into the pixels of an image (H, W, 3) for Written to read."""
    numbers = np.concatenate([keypoints, scores[..., None]], axis=2).astype(np.float32).tobytes()
    flat = image.reshape(-1)
    flat[0] = len(keypoints)
    flat[1 : 1 + len(numbers)] = np.frombuffer(numbers, np.uint8)


class Written(Stub):
    """Subjects that are written into the image."""

    def estimate(self, image):
        self.calls += 1
        time.sleep(self.options.delay)
        flat, k = image.reshape(-1), len(self.skeleton)
        size = int(flat[0]) * k * 3 * 4
        numbers = np.frombuffer(flat[1 : 1 + size].tobytes(), np.float32).reshape(-1, k, 3)
        return Poses(self.skeleton, numbers[..., :2], numbers[..., 2])


@dataclass(frozen=True)
class StubLifterOptions:
    """Options of the lifter."""

    tall: float = option(1.5, "From the highest keypoint to the lowest one.", unit="m", low=0.1, high=3.0, live=True)


class StubLifter(Lifter):
    """Flat people."""

    Options = StubLifterOptions
    window, ahead, step_s = 3, 0, 1 / 30

    def __init__(self, model, options=None):
        super().__init__(model, options)
        self.takes = self.skeleton

    def lift(self, keypoints, scores, size_wh):
        now = keypoints[:, -1]
        extent = np.ptp(now[..., 1], axis=1)[:, None, None]
        flat = (now - now[:, [self.skeleton.root]]) / extent * self.options.tall
        return np.concatenate([flat, np.zeros((*flat.shape[:2], 1))], axis=2).astype(np.float32)
