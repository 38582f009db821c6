# SPDX-License-Identifier: Apache-2.0
"""Lifting: bodies in metres from one camera, by a lifter, their past and the size of people."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pose_ros.anatomy.metric import HEIGHT_M, HEIGHT_SIGMA_M, BodySize, placed
from pose_ros.core.camera import Camera
from pose_ros.core.convert import Conversion, conversion
from pose_ros.core.frame import Frame
from pose_ros.core.options import option
from pose_ros.core.poses import Poses, Source
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError
from pose_ros.lifters.base import Lifter
from pose_ros.tracking.history import History

#: What a lifter's keypoints are made of where a skeleton lacks them: as mmpose does it for COCO and for AI Challenger
#: (convert_keypoint_definition of mmpose/apis/inference_3d.py, Apache-2.0). Those of MPI-INF-3DHP are by where they lie
#: in samples of both sets: its head 9 cm from the neck and the top 26, neck_nose of Human3.6M 12 and the head 14 to 19.
_STAND_INS = {
    "h36m_head": (("left_eye", "right_eye"), ("mpi_inf_3dhp_head", "mpi_inf_3dhp_head_top")),
    "neck_nose": (("mpi_inf_3dhp_head",), ("h36m_thorax", "h36m_thorax", "h36m_thorax", "h36m_head")),
}
#: Part of the keypoints that has to be known of a subject.
_LEAST_KNOWN = 0.5


@dataclass(frozen=True)
class LiftingOptions:
    """How to lift."""

    model: str = option("", "Model that lifts bodies into space where there is no depth; empty: none.")
    height: float = option(HEIGHT_M, "Height of the people; the mean of adults.", unit="m", low=0.4, high=2.5)
    height_sigma: float = option(
        HEIGHT_SIGMA_M, "Standard deviation of that: the part of it by which distances may be wrong.", unit="m",
        low=0.0, high=1.0,
    )  # fmt: skip
    shape_sigma: float = option(
        0.05, "Standard deviation of a lifted joint around the root, in each direction. Published errors are 0.04 to "
        "0.05 in all directions together, on pictures like those of the training.", unit="m", low=0.001, high=1.0,
    )  # fmt: skip
    max_gap: float = option(
        0.5, "Keypoints that were not seen for longer are not lifted, and somebody who was away for longer starts "
        "anew.", unit="s", low=0.0, high=10.0,
    )  # fmt: skip


class Lifting:
    """Give poses ``local_points``, and with a calibrated camera ``points`` and ``covariances``; keeps what it needs."""

    def __init__(self, lifter: Lifter, options: LiftingOptions | None = None) -> None:
        """Start with nobody."""
        self.lifter, self.options = lifter, options or LiftingOptions()
        self._history = History(lifter.window, lifter.step_s, self.options.max_gap)
        self._size = BodySize(self.options.height, self.options.height_sigma)

    def check(self, skeleton: Skeleton) -> None:
        """Check that poses of a skeleton can be lifted.

        Raises:
            ConfigError: The lifter's keypoints cannot be made of the skeleton's.
        """
        to_lift(skeleton, self.lifter.takes)

    def reset(self) -> None:
        """Forget everybody."""
        self._history.reset()
        self._size.reset()

    def __call__(self, poses: Poses, frame: Frame) -> Poses:
        """Lift all subjects with one call of the network.

        Args:
            poses: Of people in pixels of the image, of any skeleton from which the lifter's keypoints can be made; with
                ids, subjects have a past.
            frame: The image's stamp, size and camera. State over time depends on the stamp; an earlier one starts over.

        Returns:
            The poses with what the lifter knows of their own keypoints; its source is ``INFERRED``. Anything else is
            NaN: keypoints that the lifter does not have or that were not seen, subjects of which too little is known.

        Raises:
            ConfigError: The lifter's keypoints cannot be made of the skeleton's.
        """
        way = to_lift(poses.skeleton, self.lifter.takes)
        pixels = way.points(undistorted(poses.keypoints, frame.camera))
        keypoints, scores = self._history(poses.ids, pixels, way.scores(poses.scores), frame.stamp_ns)
        known = np.isfinite(keypoints[:, -1]).all(axis=2)
        enough = known.mean(axis=1) >= _LEAST_KNOWN
        local = np.full((len(poses), len(self.lifter.skeleton), 3), np.nan, np.float32)
        if enough.any():
            given = filled(keypoints[enough], known[enough], self.lifter.takes)
            lifted = self.lifter.lift(given, scores[enough], frame.size_wh)
            local[enough] = self.shape(lifted, given, frame.size_wh, frame.camera)
            local[_unseen(known, self.lifter)] = np.nan
        own = conversion(self.lifter.skeleton, poses.skeleton).points(local)
        poses, sigma = self._size(poses.replace(local_points=own), frame.stamp_ns)
        assert poses.local_points is not None
        found = np.isfinite(poses.local_points).all(axis=2)
        poses = poses.replace(sources=np.where(found, Source.INFERRED, poses.sources))
        return poses if frame.camera is None else placed(poses, frame.camera, sigma, self.options.shape_sigma)

    def shape(
        self, lifted: np.ndarray, keypoints: np.ndarray, size_wh: tuple[int, int], camera: Camera | None
    ) -> np.ndarray:
        """Return shapes (N, K', 3) of lifted points; what is seen as in an image is put on its rays.

        Args:
            lifted: (N, K', 3), what the lifter said.
            keypoints: (N, T, K, 2), what it was given.
            size_wh: Of the image, pixels.
            camera: That took it; without one, what is seen as in an image stays so.
        """
        scale = self.lifter.metres_per_pixel(size_wh)
        if not scale or camera is None:
            return lifted
        # What is nearer than the root looks larger. With f / z pixels to a metre at the root, a point that is d pixels
        # behind it is 1 + d / f times as far away, whatever z is.
        focal = camera.K[0, 0]
        root = keypoints[:, [-1 - self.lifter.ahead], self.lifter.takes.root]
        pixels = root + lifted[..., :2] / scale
        rays = Camera(camera.K, camera.size_wh).rays(pixels)
        points = rays * (1 + lifted[..., 2:] / scale / focal)
        centre = points[:, [self.lifter.skeleton.root]]
        return np.asarray((points - centre) * scale * focal, np.float32)


@lru_cache(maxsize=64)
def to_lift(source: Skeleton, takes: Skeleton) -> Conversion:
    """Return how to make a lifter's keypoints.

    Raises:
        ConfigError: Some cannot be made.
    """
    more = {joint: (*takes.made.get(joint, ()), *ways) for joint, ways in _STAND_INS.items()}
    way = conversion(source, dataclasses.replace(takes, name=f"{takes.name} to lift", made={**takes.made, **more}))
    if (lacking := _lacking(way)).any():
        names = ", ".join(np.array(takes.keypoints)[lacking])
        raise ConfigError("lifter", f"expected poses of which all keypoints of '{takes.name}' can be made, got "
                                    f"'{source.name}', which lacks {names}; take another estimator or lifter")
    return way


def _lacking(way: Conversion) -> np.ndarray:
    """Return which keypoints of the target (K,) are neither the source's nor made of them."""
    lacking = way.absent.copy()
    lacking[way.made] = False
    return lacking


def _unseen(known: np.ndarray, lifter: Lifter) -> np.ndarray:
    """Return which results (N, K') are guesses, as their own keypoints are not known."""
    way = conversion(lifter.takes, lifter.skeleton)
    return (way.scores(known.astype(np.float32)) == 0) & ~_lacking(way)


def undistorted(keypoints: np.ndarray, camera: Camera | None) -> np.ndarray:
    """Return pixels as a camera without distortion would see them."""
    if camera is None or camera.ideal:
        return keypoints
    return np.asarray((camera.rays(keypoints) @ camera.K.T)[..., :2], np.float32)


def filled(keypoints: np.ndarray, known: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Return keypoints (N, T, K, 2) where those that are not known are where the nearest known one of the body is."""
    if known.all():
        return keypoints
    order = _nearest(skeleton)
    first = known[:, order].argmax(axis=2)
    chosen = order[np.arange(len(skeleton)), first]
    return keypoints[np.arange(len(known))[:, None], :, chosen].swapaxes(1, 2)


@lru_cache(maxsize=16)
def _nearest(skeleton: Skeleton) -> np.ndarray:
    """Return (K, K) int64: for each keypoint all of them, by the number of edges between."""
    k = len(skeleton)
    steps = np.where(np.eye(k, dtype=bool), 0, k)
    for a, b in skeleton.edges:
        steps[a, b] = steps[b, a] = 1
    for via in range(k):
        steps = np.minimum(steps, steps[:, [via]] + steps[via])
    return np.argsort(steps, axis=1, kind="stable")
