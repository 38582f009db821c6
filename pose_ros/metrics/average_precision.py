# SPDX-License-Identifier: Apache-2.0
"""Average precision and recall as COCO computes them, of keypoints and of boxes.

Lin et al., ECCV 2014, and the evaluation code of the data sets: pycocotools for COCO, xtcocotools for the parts of
COCO-WholeBody and for CrowdPose. The numbers are theirs; what they print as -1, for nothing was there to be found, is
NaN here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pose_ros.errors import ConfigError
from pose_ros.metrics.columns import GroundTruth, Predictions
from pose_ros.metrics.matching import Matches, match
from pose_ros.metrics.oks import paired_oks

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
#: Square pixels.
RANGES = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
#: Parts of the 133 keypoints of COCO-WholeBody, each of which is judged alone.
WHOLEBODY_PARTS = {
    "body": slice(0, 17), "foot": slice(17, 23), "face": slice(23, 91), "lefthand": slice(91, 112),
    "righthand": slice(112, 133), "wholebody": slice(0, 133),
}  # fmt: skip
#: Crowd indices of CrowdPose below which images are easy and of medium difficulty (Li et al., CVPR 2019).
CROWDED = (0.2, 0.8)


@dataclass(frozen=True)
class Statistic:
    """One number of the usual summary: a mean over categories and, where none is named, over thresholds."""

    kind: str
    threshold: float | None = None
    area: str = "all"
    #: Results per image; the most of the evaluation where left out.
    most: int | None = None


KEYPOINT_STATISTICS = {
    "AP": Statistic("AP"), "AP50": Statistic("AP", 0.5), "AP75": Statistic("AP", 0.75),
    "APm": Statistic("AP", area="medium"), "APl": Statistic("AP", area="large"),
    "AR": Statistic("AR"), "AR50": Statistic("AR", 0.5), "AR75": Statistic("AR", 0.75),
    "ARm": Statistic("AR", area="medium"), "ARl": Statistic("AR", area="large"),
}  # fmt: skip
BOX_STATISTICS = {
    "AP": Statistic("AP"), "AP50": Statistic("AP", 0.5), "AP75": Statistic("AP", 0.75),
    "APs": Statistic("AP", area="small"), "APm": Statistic("AP", area="medium"), "APl": Statistic("AP", area="large"),
    "AR1": Statistic("AR", most=1), "AR10": Statistic("AR", most=10), "AR100": Statistic("AR"),
    "ARs": Statistic("AR", area="small"), "ARm": Statistic("AR", area="medium"), "ARl": Statistic("AR", area="large"),
}  # fmt: skip


class Evaluation:
    """Labels and results that have been matched; any number of summaries of them, of all images or of some.

    Matching is what takes time, and it does not depend on which images are looked at: subsets, and the thousand
    resamplings of a confidence interval, cost a fraction of it.
    """

    def __init__(
        self, truth: GroundTruth, found: Predictions, matches: Matches, areas: Sequence[str], most: Sequence[int],
        statistics: dict[str, Statistic],
    ) -> None:  # fmt: skip
        """Keep what was matched; made by :func:`of_keypoints` and :func:`of_boxes`."""
        self.matches, self.areas, self.most = matches, tuple(areas), tuple(sorted(most))
        self._statistics = statistics
        #: Images with labels or results, ascending: what weights are given for.
        self.images = np.union1d(truth.image, found.image)
        self._label_image = np.searchsorted(self.images, truth.image)
        self._result_image = np.searchsorted(self.images, found.image)[matches.row]
        self._label_category, self._category = truth.categories, found.categories[matches.row]
        self.categories = np.unique(truth.categories)

    def curves(
        self, weights: np.ndarray | None = None, areas: Sequence[str] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Return precision at :data:`RECALLS`, (T, R, K, A, M), and recall in the end, (T, K, A, M).

        Args:
            weights: (I,) how often each of ``images`` counts; once when left out.
            areas: A of the ranges of this evaluation; all when left out.

        Returns:
            For T thresholds, R recalls, K categories, A ranges of area and M numbers of results per image; NaN where
            there is no label.
        """
        wanted_areas = self.areas if areas is None else tuple(areas)
        shape = len(self.categories), len(wanted_areas), len(self.most)
        precision = np.full((len(THRESHOLDS), len(RECALLS), *shape), np.nan)
        recall = np.full((len(THRESHOLDS), *shape), np.nan)
        for k, category in enumerate(self.categories):
            rows = np.arange(*np.searchsorted(self._category, [category, category + 1]))
            labels = self._label_category == category
            for m, most in enumerate(self.most):
                chosen = rows[self.matches.rank[rows] < most]
                for i, area in enumerate(wanted_areas):
                    a = self.areas.index(area)
                    wanted = self.matches.wanted[labels, a]
                    total = wanted.sum() if weights is None else weights[self._label_image[labels]][wanted].sum()
                    if total:
                        right, wrong = self.matches.right[chosen, a].T, self.matches.wrong[chosen, a].T
                        if weights is not None:
                            often = weights[self._result_image[chosen]]
                            right, wrong = right * often, wrong * often
                        precision[:, :, k, i, m], recall[:, k, i, m] = _curve(right, wrong, float(total))
        return precision, recall

    def summary(self, weights: np.ndarray | None = None, names: Sequence[str] | None = None) -> dict[str, float]:
        """Return the numbers that COCO's evaluation prints, under their usual names.

        Args:
            weights: As of :meth:`curves`.
            names: Only these.
        """
        chosen = self._statistics if names is None else {name: self._statistics[name] for name in names}
        areas = [area for area in self.areas if area in {s.area for s in chosen.values()}]
        precision, recall = self.curves(weights, areas)
        return {name: self._statistic(s, precision, recall, areas) for name, s in chosen.items()}

    def by_category(self) -> dict[int, float]:
        """Return the average precision of each category, all areas."""
        precision, _ = self.curves(areas=["all"])
        return {int(c): _mean(precision[:, :, k, 0, -1]) for k, c in enumerate(self.categories)}

    def by_crowd(self, crowd_index: np.ndarray) -> dict[str, float]:
        """Return the average precision of easy, medium and hard images, as CrowdPose does.

        Args:
            crowd_index: (I,) of each of ``images``, in [0, 1].
        """
        level = np.digitize(crowd_index, CROWDED)
        return {name: self.summary((level == i).astype(float), ["AP"])["AP"]
                for i, name in enumerate(("APeasy", "APmedium", "APhard"))}  # fmt: skip

    def _statistic(self, s: Statistic, precision: np.ndarray, recall: np.ndarray, areas: list[str]) -> float:
        a, m = areas.index(s.area), -1 if s.most is None else self.most.index(s.most)
        values = precision[..., a, m] if s.kind == "AP" else recall[..., a, m]
        return _mean(values if s.threshold is None else values[np.flatnonzero(np.isclose(THRESHOLDS, s.threshold))])


def of_keypoints(truth: GroundTruth, found: Predictions, sigmas: Sequence[float], most: int = 20) -> Evaluation:
    """Evaluate keypoints by their similarity to those of labels (OKS).

    Args:
        truth: With keypoints.
        found: With keypoints of the same skeleton.
        sigmas: Of the skeleton.
        most: Results of an image that count.

    Raises:
        ConfigError: There are no keypoints.
    """
    if truth.keypoints is None or truth.visibility is None or found.keypoints is None:
        raise ConfigError("keypoints", "expected keypoints in labels and results, got boxes only; use of_boxes()")
    similarity = partial(paired_oks, found.keypoints, truth.keypoints, truth.visibility, truth.areas, sigmas,
                         truth.boxes)  # fmt: skip
    areas = ("all", "medium", "large")
    ranges = np.array([RANGES[area] for area in areas])
    judged = replace(truth, ignore=truth.ignore | ~(truth.visibility > 0).any(axis=1))
    matches = match(judged, found, similarity, THRESHOLDS, ranges, most)
    return Evaluation(truth, found, matches, areas, [most], KEYPOINT_STATISTICS)


def of_boxes(truth: GroundTruth, found: Predictions, most: tuple[int, int, int] = (1, 10, 100)) -> Evaluation:
    """Evaluate boxes by their overlap with those of labels (IoU; with crowds: the part that lies inside).

    Args:
        truth: Boxes.
        found: Boxes.
        most: Results of an image and a category that count, for three statistics of recall.
    """
    def similarity(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return paired_iou(found.boxes[rows], truth.boxes[columns], truth.crowd[columns])

    matches = match(truth, found, similarity, THRESHOLDS, np.array(list(RANGES.values())), max(most))
    names = dict(zip(("AR1", "AR10"), sorted(most), strict=False))
    statistics = {name: Statistic(s.kind, s.threshold, s.area, names.get(name)) for name, s in BOX_STATISTICS.items()}
    return Evaluation(truth, found, matches, list(RANGES), most, statistics)


def paired_iou(found: np.ndarray, truth: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Return the intersection over union of boxes in the same row, (P, 4) and (P, 4) -> (P,) in [0, 1].

    Args:
        found: xyxy pixels.
        truth: xyxy pixels.
        crowd: (P,) bool: where the label outlines a crowd, the union is the result alone.
    """
    sides = np.minimum(found[:, 2:], truth[:, 2:]) - np.maximum(found[:, :2], truth[:, :2])
    overlap = np.where((sides > 0).all(axis=1), sides[:, 0] * sides[:, 1], 0.0)
    own, other = ((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) for box in (found, truth))
    union = np.where(crowd, own, own + other - overlap)
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=overlap > 0)


def _curve(right: np.ndarray, wrong: np.ndarray, total: float) -> tuple[np.ndarray, np.ndarray]:
    """Return precision (T, R) and final recall (T,) of ranked results (T, M)."""
    hits, misses = np.cumsum(right, axis=1, dtype=np.float64), np.cumsum(wrong, axis=1, dtype=np.float64)
    recall, precision = hits / total, hits / (misses + hits + np.spacing(1))
    # The best that can be had at this recall or a higher one; 0 behind the last result.
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    precision = np.concatenate([precision, np.zeros((len(precision), 1))], axis=1)
    at = np.stack([np.searchsorted(row, RECALLS) for row in recall])
    return np.take_along_axis(precision, at, axis=1), recall.max(axis=1, initial=0)


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
