# SPDX-License-Identifier: Apache-2.0
"""Lifters by given keypoints: what is labelled in the picture in, metres out ("ground-truth 2D" of the papers)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pose_ros import wiring
from pose_ros.core.convert import conversion
from pose_ros.core.poses import Poses
from pose_ros.datasets import Sample
from pose_ros.errors import ConfigError
from pose_ros.evaluation.estimates import Estimates, concatenate
from pose_ros.evaluation.judges.base import Runner, judged
from pose_ros.evaluation.judges.space import Space
from pose_ros.lifters.base import Lifter
from pose_ros.lifters.lifting import Lifting, filled, to_lift, undistorted
from pose_ros.models.card import ModelCard
from pose_ros.models.store import Store

if TYPE_CHECKING:
    from pose_ros.evaluation.job import Job

#: Moments in one call of the network.
_BATCH = 256


class Lifted(Space):
    """The numbers of :class:`Space`; a lifter sees the moments before and after, as its network was trained."""

    def together(self, sample: Sample) -> Hashable | None:
        """Return the video; pictures that are of none are lifted alone."""
        return (sample.sequence, sample.view) if sample.sequence else None

    def options(self, detector: ModelCard | None, card: ModelCard) -> dict[str, Any]:
        """Return options of the lifter: the moment in the middle is lifted."""
        return {"lifter": wiring.known_options(card, {"ahead": card.input_wh[1] // 2})}

    def runner(self, job: Job) -> Runner:
        """Return who lifts."""
        return _Lifts(job)


class _Lifts:
    """Lifts all subjects of a video of one camera."""

    def __init__(self, job: Job) -> None:
        store = Store()
        lifter = wiring.alone(job.config(store), store)
        assert isinstance(lifter, Lifter)
        self._lifting, self._lifter = Lifting(lifter), lifter
        self._way = to_lift(job.dataset().skeleton, lifter.takes)

    def __call__(self, samples: Sequence[Sample]) -> Estimates:
        rows = [judged(sample) for sample in samples]
        pixels = [self._way.points(undistorted(s.keypoints[r].astype(np.float32), s.camera))
                  for s, r in zip(samples, rows, strict=True)]
        points = [np.full((len(r), len(self._lifter.skeleton), 3), np.nan, np.float32) for r in rows]
        for where in _videos(samples, rows):
            lifted = self._lift(samples, where, np.stack([pixels[i][n] for i, n in where]))
            for (i, n), shape in zip(where, lifted, strict=True):
                points[i][n] = shape
        own = conversion(self._lifter.takes, self._lifter.skeleton)
        poses = [Poses(self._lifter.skeleton, xy := own.points(given), np.isfinite(xy).all(axis=2), local_points=said)
                 for given, said in zip(pixels, points, strict=True)]
        return concatenate([Estimates.of(one, row) for one, row in zip(poses, rows, strict=True)])

    def _lift(self, samples: Sequence[Sample], where: list[tuple[int, int]], pixels: np.ndarray) -> np.ndarray:
        """Return (L, K', 3) of one subject at L moments whose keypoints (L, K, 2) are given."""
        lifter, first = self._lifter, samples[where[0][0]]
        moments = np.array([samples[i].moment for i, _ in where])
        steps = np.arange(lifter.window) - (lifter.window - 1 - lifter.ahead)
        # Before the first moment and after the last one nothing moves; moments between labels are on the way.
        at = np.interp(moments[:, None] + steps, moments, np.arange(len(moments)))
        low = np.floor(at).astype(np.int64)
        high, part = np.minimum(low + 1, len(moments) - 1), (at - low)[..., None, None].astype(np.float32)
        size_wh, found = _size(first), []
        for start in range(0, len(moments), _BATCH):
            rows = slice(start, start + _BATCH)
            windows = np.where(part[rows] > 0, pixels[low[rows]] * (1 - part[rows]) + pixels[high[rows]] * part[rows],
                               pixels[low[rows]])
            known = np.asarray(np.isfinite(windows).all(axis=(1, 3)))
            windows = filled(windows, known, lifter.takes)
            scores = np.broadcast_to(known[:, None].astype(np.float32), windows.shape[:3])
            lifted = lifter.lift(windows, scores, size_wh)
            found.append(self._lifting.shape(lifted, windows, size_wh, first.camera))
        return np.concatenate(found)


def _videos(samples: Sequence[Sample], rows: Sequence[np.ndarray]) -> list[list[tuple[int, int]]]:
    """Return for each subject where it is: sample and place among its judged rows, by moment.

    Without numbers of tracks, who is alone in all pictures is one subject, and of several nobody is followed.
    """
    lonely, found = max(map(len, rows), default=0) < 2, {}  # type: ignore[var-annotated]
    for i, (sample, which) in enumerate(zip(samples, rows, strict=True)):
        for n, row in enumerate(which):
            key = (int(sample.tracks[row]) if sample.tracks is not None else 0 if lonely else (i, n))
            found.setdefault(key, {})[sample.moment] = (i, n)
    return [[where[moment] for moment in sorted(where)] for where in found.values()]


def _size(sample: Sample) -> tuple[int, int]:
    """Return the size of a picture, which lifters measure keypoints by.

    Raises:
        ConfigError: Neither the labels nor a picture say it.
    """
    if sample.size_wh is not None:
        return sample.size_wh
    if sample.camera is not None:
        return sample.camera.size_wh
    if not sample.there():
        raise ConfigError("--data", f"expected the size of {sample.where} from its camera or its picture, by which "
                                    "lifters measure keypoints, and neither is there")
    height, width = sample.read().shape[:2]
    return width, height
