# SPDX-License-Identifier: Apache-2.0
"""Show a folder of images to two versions of a model: what it sees there, and how far apart their answers are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros import datasets, registry
from pose_ros.cli import console
from pose_ros.core.convert import converts
from pose_ros.core.nms import oks
from pose_ros.core.poses import Poses
from pose_ros.core.regions import Detections, boxes_to_regions, iou, keypoints_to_boxes
from pose_ros.datasets import Sample
from pose_ros.detectors.base import Detector
from pose_ros.errors import ConfigError, DatasetError, SourceError
from pose_ros.estimators.base import CropEstimator, ImageEstimator
from pose_ros.media.images import Images
from pose_ros.media.sources import open_source
from pose_ros.metrics import gather
from pose_ros.metrics.average_precision import of_keypoints
from pose_ros.models.card import ModelCard
from pose_ros.plugin import Model, NetworkPlugin
from pose_ros.runtime.session import Session
from pose_ros.skeletons import catalogue

#: Keypoints that the better version is less sure of than this are noise in both.
_SURE = 0.3
_COCO = "coco17"


@dataclass(frozen=True)
class View:
    """One image, and where an estimator of crops should look in it."""

    path: Path
    regions: np.ndarray
    #: Its annotations.
    truth: Sample | None = None


class Tap:
    """A session that keeps what it is given."""

    def __init__(self, session: Session) -> None:
        """Pass everything on to ``session``."""
        self._session = session
        self.batches: list[np.ndarray] = []

    def __getattr__(self, name: str) -> Any:
        """Return what the session has."""
        return getattr(self._session, name)

    def run(self, batch: np.ndarray, outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Run the network; see :class:`pose_ros.runtime.session.Session`."""
        self.batches.append(batch)
        return self._session.run(batch, outputs)


class Trial:
    """Images for one model. Every second one is to learn from, the others are to judge by."""

    def __init__(
        self, card: ModelCard, folder: Path, detector: Detector | None = None, annotations: Path | None = None,
        most: int = 200,
    ) -> None:  # fmt: skip
        """Find the images, and the subjects in them where the model has to be told.

        Args:
            card: The model.
            folder: Of images.
            detector: Finds the subjects where there are no annotations; may be None for models that need none.
            annotations: Keypoints of people in the format of COCO; looked for beside the images when left out.
            most: Take no more images than this.

        Raises:
            SourceError: The folder has no images.
            ConfigError: Fewer than two of them can be used, or there is no detector where one is needed.
        """
        self.card, self.skeleton = card, catalogue.get(card.skeleton) if card.skeleton else None
        kind = registry.load(f"{card.kind}s", card.plugin)
        self._crops = issubclass(kind, CropEstimator)
        self._plugin: type[NetworkPlugin] = kind
        source = open_source(str(folder))
        if not isinstance(source, Images):
            raise SourceError(str(folder), "expected a folder of images")
        found = annotations or _beside(folder)
        self.truth = _read(found) if found and card.kind == "estimator" else None
        if self._crops and self.truth is None and detector is None:
            raise ConfigError("--images", f"'{card.name}' has to be told where subjects are: expected annotations, or "
                                          f"a detector as in 'DETECTOR+{card.name}'")
        #: Whether it is told by annotations where the subjects are.
        self.told = self._crops and self.truth is not None
        self._detector = detector
        views: list[View] = []
        with console.progress("looking for subjects") as progress:
            for number, path in enumerate(source.paths):
                if len(views) == most:
                    break
                views += self._view(path)
                progress(number + 1, min(len(source.paths), most))
        if len(views) < 2:
            what = "with subjects that were found or annotated" if self._crops else "that can be read"
            raise ConfigError("--images", f"expected two images or more {what} in {folder}, got {len(views)} "
                                          f"of {len(source.paths)}")
        self.learn, self.judge = views[::2], views[1::2]

    def _view(self, path: Path) -> list[View]:
        """Return the view of an image, or nothing where there is none to be had."""
        truth = None
        if self.truth is not None:
            truth = self.truth.get(path.name)
            if truth is None:
                return []
        try:
            image = _image(path)
        except SourceError as error:
            console.note(f"pose-ros: {error}")
            return []
        if not self._crops:
            return [View(path, np.empty((0, 5), np.float32), truth)]
        if truth is None:
            assert self._detector is not None
            regions = self._detector.detect(image).regions
        else:
            people = (truth.visibility > 0).any(axis=1) & ~truth.ignore
            regions = boxes_to_regions(truth.boxes[people].astype(np.float32))
        return [View(path, regions, truth)] if len(regions) else []

    def inputs(self, session: Session, views: Sequence[View]) -> list[np.ndarray]:
        """Return what the network is given for the images, (N, ...) each."""
        tap = Tap(session)
        self.answers(tap, views, "preparing")
        return tap.batches

    def answers(self, session: Session, views: Sequence[View], label: str = "") -> list[Any]:
        """Return what the model says about each image: poses or detections."""
        plugin = self._plugin(Model(self.card, session))
        found: list[Any] = []
        with console.progress(label or self.card.name) as progress:
            for view in views:
                image = _image(view.path)
                if isinstance(plugin, CropEstimator):
                    found.append(plugin.estimate(image, view.regions))
                elif isinstance(plugin, ImageEstimator):
                    found.append(plugin.estimate(image))
                else:
                    assert isinstance(plugin, Detector)
                    found.append(plugin.detect(image))
                progress(len(found), len(views))
        return found

    def compare(self, before: Sequence[Any], after: Sequence[Any]) -> dict[str, Any]:
        """Return how far the answers of two versions to the same images are apart, in numbers with names.

        Subjects that are told where to be are compared one to one, others with the nearest one.
        """
        if self.card.kind == "detector":
            return _compare_boxes(before, after)
        rows = [_compare_poses(a, b, self._crops) for a, b in zip(before, after, strict=True)]
        alike, shifts = (np.concatenate(column) for column in zip(*rows, strict=True))
        if not len(alike):
            return {"subjects": 0}
        sure = shifts[np.isfinite(shifts)]
        result: dict[str, Any] = {"subjects": len(alike), "OKS": float(alike.mean())}
        if len(sure):
            result |= {"shift px, median": float(np.median(sure)), "shift px, 95 %": float(np.quantile(sure, 0.95))}
        return result

    def accuracy(self, answers: Sequence[Poses], views: Sequence[View]) -> float | None:
        """Return COCO's average precision; None where there are no annotations, or the skeleton is another one."""
        if self.truth is None or self.skeleton is None or not converts(self.skeleton, catalogue.get(_COCO)):
            return None
        target = catalogue.get(_COCO)
        samples = [(i, view.truth) for i, view in enumerate(views) if view.truth is not None]
        truth = gather.labels(target, samples)
        return of_keypoints(truth, gather.poses(target, enumerate(answers)), target.sigmas).summary(names=["AP"])["AP"]


def _image(path: Path) -> np.ndarray:
    return next(iter(Images(str(path), [path]))).image


def _beside(folder: Path) -> Path | None:
    """Return the annotations of a folder, as COCO and as small excerpts of it lay them out."""
    inside = sorted(folder.glob("person_keypoints*.json"))
    above = sorted((folder.parent / "annotations").glob(f"person_keypoints_{folder.name}.json"))
    return next(iter([*inside, *above]), None)


def _read(path: Path) -> dict[str, Sample]:
    """Return what is annotated in each picture, by the name of its file."""
    try:
        samples = list(datasets.open("coco", path.parent, path.name))
    except DatasetError as error:
        raise ConfigError("--annotations", f"{path} cannot be read as annotations of COCO: {error}") from error
    return {sample.image.name: sample for sample in samples if sample.image is not None}


def _compare_poses(before: Poses, after: Poses, paired: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the similarity of every subject (N,), and by how much its keypoints moved (N, K); NaN where unsure."""
    n, k = len(before), len(before.skeleton)
    if not n or not len(after):
        return np.zeros(n), np.full((n, k), np.nan)
    both = np.concatenate([before.keypoints, after.keypoints])
    boxes = keypoints_to_boxes(both)
    alike = oks(both, (boxes[:, 2:] - boxes[:, :2]).prod(axis=1), before.skeleton.sigmas)[:n, n:]
    partner = np.arange(n) if paired else alike.argmax(axis=1)
    shift = np.linalg.norm(before.keypoints - after.keypoints[partner], axis=2)
    return alike[np.arange(n), partner], np.where(before.scores >= _SURE, shift, np.nan)


def _compare_boxes(before: Sequence[Detections], after: Sequence[Detections]) -> dict[str, Any]:
    best = [iou(a.boxes, b.boxes).max(axis=1, initial=0) for a, b in zip(before, after, strict=True)]
    overlaps = np.concatenate(best)
    return {
        "boxes": len(overlaps), "boxes after": sum(map(len, after)),
        "IoU": float(overlaps.mean()) if len(overlaps) else None,
    }
