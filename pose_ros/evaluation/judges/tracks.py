# SPDX-License-Identifier: Apache-2.0
"""Who stays who: the ids that a pipeline gives over whole videos, by the similarity of keypoints (OKS)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pose_ros import wiring
from pose_ros.core.frame import Frame
from pose_ros.datasets import Sample
from pose_ros.errors import ConfigError
from pose_ros.evaluation.case import Case, Judged, Number
from pose_ros.evaluation.estimates import Estimates, concatenate
from pose_ros.evaluation.judges.base import Judge, Runner, judged
from pose_ros.evaluation.judges.precision import similarities
from pose_ros.evaluation.protocol import Protocol
from pose_ros.metrics.oks import oks
from pose_ros.metrics.tracks import Clear, Hota, Identity, Tracks, clear, hota, identity
from pose_ros.models.card import ModelCard
from pose_ros.models.store import Store

if TYPE_CHECKING:
    from pose_ros.evaluation.job import Job

#: Moments of a video are frames, and labels do not say how long one lasts.
_RATE_HZ = 30.0
#: Who is like a label by that much is that subject.
_SAME = 0.5
S = TypeVar("S", Clear, Hota, Identity)


class TracksOfVideos(Judge):
    """MOTA and IDF1 at an OKS of 0.5, HOTA over all, of a pipeline as it runs on a stream; intervals draw videos."""

    boxes = "detector"
    tells = False

    def check(self, protocol: Protocol, name: str, sample: Sample) -> None:
        """See :class:`Judge`."""
        if sample.tracks is None or not sample.sequence:
            raise ConfigError("--data", f"the labels of {sample.where} do not say who is who in which video, by which "
                                        "tracks are judged")

    def together(self, sample: Sample) -> Hashable | None:
        """Return the video."""
        return (sample.sequence, sample.view)

    def options(self, detector: ModelCard | None, card: ModelCard) -> dict[str, Any]:
        """Return nothing: pipelines are judged as they are."""
        return {}

    def runner(self, job: Job) -> Runner:
        """Return who follows."""
        return _Follows(job)

    def __call__(self, case: Case) -> Judged:
        """Count."""
        videos = [np.flatnonzero(case.unit == unit) for unit in range(int(case.unit.max(initial=-1)) + 1)]
        tracks = [_tracks(case, images) for images in videos]
        clears, hotas = [clear(one) for one in tracks], [hota(one) for one in tracks]
        numbers = [
            Number("MOTA", "", 3, _of(clears, lambda c: c.mota)),
            Number("IDF1", "", 3, _of([identity(one) for one in tracks], lambda i: i.idf1)),
            Number("HOTA", "", 3, _of(hotas, lambda h: h.hota)),
            Number("DetA", "", 3, _of(hotas, lambda h: float(h.det_a.mean()))),
            Number("AssA", "", 3, _of(hotas, lambda h: float(h.ass_a.mean()))),
            Number("switches", "", 0, _of(clears, lambda c: c.switches)),
        ]
        names = tuple(case.samples[images[0]].sequence for images in videos)
        similarity, _ = similarities(case)
        each = np.array([one.hota for one in hotas])
        return Judged(numbers, each, "HOTA", 1 - similarity, "1 - OKS", names, "videos")


class _Follows:
    """Runs a pipeline over a video."""

    def __init__(self, job: Job) -> None:
        store = Store()
        self._pipeline = wiring.build(job.config(store), store)

    def __call__(self, samples: Sequence[Sample]) -> Estimates:
        self._pipeline.reset()
        said = []
        for sample in samples:
            stamp_ns = 1 + round((sample.moment - samples[0].moment) / _RATE_HZ * 1e9)
            said.append(Estimates.of(self._pipeline(Frame(sample.read(), stamp_ns, camera=sample.camera)).poses))
        return concatenate(said)


def _tracks(case: Case, images: np.ndarray) -> Tracks:
    """Return one video, in the order of its moments."""
    skeleton, truth, found, alike = case.poses.skeleton, [], [], []
    starts = np.cumsum([0, *case.estimates.counts])
    for i in sorted(images, key=lambda i: case.samples[i].moment):
        sample, answers = case.samples[i], case.poses.select(np.arange(starts[i], starts[i + 1]))
        answers = answers.select(answers.ids > 0)
        rows = judged(sample)
        likeness = oks(answers.keypoints, sample.keypoints[rows], sample.visibility[rows] * case.shared,
                       sample.areas[rows], skeleton.sigmas)
        kept = (likeness >= _SAME).any(axis=1) | ~_aside(sample, answers.keypoints)
        assert sample.tracks is not None or not len(rows)
        truth.append(sample.tracks[rows] if sample.tracks is not None else rows)
        found.append(answers.ids[kept])
        alike.append(likeness[kept].T)
    return Tracks(truth, found, alike)


def _aside(sample: Sample, keypoints: np.ndarray) -> np.ndarray:
    """Return which poses (M, K, 2) are mostly in ignored boxes, or in regions that PoseTrack does not label."""
    outlines = [np.array([[a, b], [c, b], [c, d], [a, d]]) for a, b, c, d in sample.boxes[sample.ignore]]
    xs, ys = (sample.extra.get(f"ignore_regions_{axis}") or [] for axis in "xy")
    outlines += [np.stack([x, y], axis=1) for x, y in zip(xs, ys, strict=True)]
    inside = np.zeros(keypoints.shape[:2], bool)
    for outline in outlines:
        inside |= _within(keypoints, outline)
    known = np.isfinite(keypoints).all(axis=2)
    return (inside & known).sum(axis=1) > known.sum(axis=1) / 2


def _within(points: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Return which points (..., 2) are inside an outline (V, 2): a line to the right of them crosses it an odd time."""
    (x1, y1), (x2, y2) = outline.T, np.roll(outline, -1, axis=0).T
    x, y = points[..., :1], points[..., 1:]
    crossed = (y1 > y) != (y2 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((crossed & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)).sum(axis=-1) % 2 == 1)


def _of(counts: Sequence[S], number: Callable[[S], float]) -> Callable[[np.ndarray], float]:
    """Return the statistic of counts of videos, each as often as it was drawn."""

    def statistic(weights: np.ndarray) -> float:
        whole = {f.name: sum(w * getattr(one, f.name) for w, one in zip(weights, counts, strict=True))
                 for f in fields(counts[0])}
        return float(number(type(counts[0])(**whole)))

    return statistic
