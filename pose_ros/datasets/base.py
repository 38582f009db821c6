# SPDX-License-Identifier: Apache-2.0
"""What a data set is: a lazy sequence of samples, whose card says what it is."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.core.regions import keypoints_to_boxes
from pose_ros.core.skeleton import Skeleton
from pose_ros.datasets.card import DatasetCard, Found, Layout
from pose_ros.errors import DatasetError, ShapeError

__all__ = ["AREA_OF_BOX", "HIDDEN", "NOT_LABELLED", "UNREADABLE", "VISIBLE", "Dataset", "DatasetCard", "Found",
           "Layout", "Sample", "opened", "visible"]

#: Values of ``Sample.visibility``, those of COCO.
NOT_LABELLED, HIDDEN, VISIBLE = 0, 1, 2
#: Share of a box that a person covers, where a set has no outlines: what xtcocotools takes (``use_area=False``).
AREA_OF_BOX = 0.53
#: What readers raise where a file is not what they take it for.
UNREADABLE = (KeyError, IndexError, TypeError, ValueError, AttributeError, OSError)


def visible(keypoints: np.ndarray) -> np.ndarray:
    """Return (N, K) visibility where a set says no more than where keypoints are: (N, K, 2 or 3), NaN where not."""
    return np.where(np.isfinite(keypoints).all(axis=2), VISIBLE, NOT_LABELLED)


@dataclass(frozen=True, eq=False)
class Sample:
    """N labelled subjects with K keypoints each in one image. What is not known is None, or NaN.

    Pixel centres are whole numbers and the first one is (0, 0); sets that count from 1 have been shifted.

    Raises:
        ShapeError: When a column does not have the shape written beside it.
    """

    #: What the set calls the image.
    id: int | str
    #: The picture, or the video that it is a frame of. Whether it is there is not looked at before :meth:`read`.
    image: Path | None
    #: (N, K, 2) float64, pixels; NaN where not labelled.
    keypoints: np.ndarray
    #: (N, K) uint8: :data:`NOT_LABELLED`, :data:`HIDDEN`, :data:`VISIBLE`.
    visibility: np.ndarray
    #: (N, 4) float64, xyxy in pixels; left out: around the keypoints.
    boxes: np.ndarray = None  # type: ignore[assignment]
    #: (N,) float64, square pixels, as the set says; left out: :data:`AREA_OF_BOX` of the boxes.
    areas: np.ndarray = None  # type: ignore[assignment]
    #: (N,) bool: whoever is found there counts neither for nor against an estimator. Crowds always are.
    ignore: np.ndarray = None  # type: ignore[assignment]
    #: (N,) bool: outlines of several subjects (COCO's ``iscrowd``), where any number may be found; else it is one.
    crowd: np.ndarray = None  # type: ignore[assignment]
    #: (N,) int64, of the label; left out: counted from 0.
    ids: np.ndarray = None  # type: ignore[assignment]
    #: (N,) int64, index into the categories of the data set.
    categories: np.ndarray = None  # type: ignore[assignment]
    #: (N,) int64, the same number for the same subject in all images of ``sequence``.
    tracks: np.ndarray | None = None
    #: (N,) uint8: 0 not known, 1 left, 2 right, as in Poses.
    sides: np.ndarray | None = None
    #: (N, K, 3) float64, metres in the optical frame of the camera; NaN where not known.
    points: np.ndarray | None = None
    camera: Camera | None = None
    #: (4, 4), optical frame of the camera from the frame of the rig, metres: for sets of several cameras.
    T_camera_rig: np.ndarray | None = None
    #: Lengths to measure errors by, pixels: name -> (N,) float64, such as ``head`` of PCKh or ``inter_ocular``.
    normalisers: Mapping[str, np.ndarray] = field(default_factory=dict)
    #: Number of the frame where ``image`` is a video.
    frame: int | None = None
    #: (width, height) in pixels, where the labels say it.
    size_wh: tuple[int, int] | None = None
    #: Video or take that the image is of, and when in it: views of the same moment, and moments of a track.
    sequence: str = ""
    moment: int = 0
    #: Name of the camera where a set has several.
    view: str = ""
    #: What else a set says, under the names of its authors, such as ``crowdIndex``.
    extra: Mapping[str, Any] = field(default_factory=dict)
    #: Decodes pictures that are kept inside a label file: RGB uint8 (H, W, 3).
    stored: Callable[[], np.ndarray] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Fill what was left out, make what is not labelled NaN, and check shapes."""
        visibility = np.asarray(self.visibility, np.uint8)
        if visibility.ndim != 2:
            raise ShapeError("visibility", "(N, K)", visibility.shape)
        n, k = visibility.shape
        keypoints = np.array(self.keypoints, np.float64)
        if keypoints.shape != (n, k, 2):
            raise ShapeError("keypoints", f"({n}, {k}, 2)", keypoints.shape)
        visibility = np.where(np.isfinite(keypoints).all(axis=2), np.minimum(visibility, VISIBLE), NOT_LABELLED)
        keypoints[visibility == NOT_LABELLED] = np.nan
        self._set("keypoints", keypoints, np.float64, (n, k, 2))
        self._set("visibility", visibility, np.uint8, (n, k))
        boxes = keypoints_to_boxes(keypoints) if self.boxes is None else self.boxes
        self._set("boxes", boxes, np.float64, (n, 4))
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        self._set("areas", AREA_OF_BOX * sides.prod(axis=1) if self.areas is None else self.areas, np.float64, (n,))
        self._set("crowd", np.zeros(n) if self.crowd is None else self.crowd, bool, (n,))
        self._set("ignore", np.zeros(n) if self.ignore is None else self.ignore, bool, (n,))
        object.__setattr__(self, "ignore", self.ignore | self.crowd)
        self._set("ids", np.arange(n) if self.ids is None else self.ids, np.int64, (n,))
        self._set("categories", np.zeros(n) if self.categories is None else self.categories, np.int64, (n,))
        for name, dtype, shape in (("tracks", np.int64, (n,)), ("sides", np.uint8, (n,)),
                                   ("points", np.float64, (n, k, 3)), ("T_camera_rig", np.float64, (4, 4))):
            if getattr(self, name) is not None:
                self._set(name, getattr(self, name), dtype, shape)
        for name, lengths in self.normalisers.items():
            if np.shape(lengths) != (n,):
                raise ShapeError(f"normalisers['{name}']", f"({n},)", np.shape(lengths))

    def _set(self, name: str, value: Any, dtype: Any, shape: tuple[int, ...]) -> None:
        array = np.asarray(value, dtype)
        if array.shape != shape:
            raise ShapeError(name, str(shape), array.shape)
        object.__setattr__(self, name, array)

    def __len__(self) -> int:
        """Return how many subjects are labelled, ignored ones included."""
        return len(self.visibility)

    @property
    def where(self) -> str:
        """What to call the image in messages."""
        return f"{self.image or self.id}" + (f", frame {self.frame}" if self.frame is not None else "")

    def there(self) -> bool:
        """Return whether the picture is there, without decoding it."""
        return self.stored is not None or (self.image is not None and self.image.is_file())

    def read(self) -> np.ndarray:
        """Return the picture, RGB uint8 (H, W, 3).

        Raises:
            DatasetError: It is not there or cannot be decoded.
        """
        from pose_ros.datasets import pictures

        if self.stored is not None:
            return self.stored()
        if self.image is None or not self.image.is_file():
            raise DatasetError(self.where, "expected this picture, which is not there; `pose-ros datasets show NAME` "
                                           "says where pictures are expected and where to get them")
        return pictures.read(self.image) if self.frame is None else pictures.read_frame(self.image, self.frame)


class Dataset(Sequence[Sample]):
    """One split of a data set. Labels are kept as they were read; samples are made when asked for, each time anew."""

    def __init__(
        self, found: Found, skeleton: Skeleton, entries: Sequence[Any], build: Callable[[Any], Sample],
        categories: Sequence[str] = (),
    ) -> None:
        """Say what there is.

        Args:
            found: Where it lies.
            skeleton: Of all subjects.
            entries: One for each sample, whatever ``build`` needs to know.
            build: Makes a sample of an entry; the normalisers of the card are added to it.
            categories: What ``Sample.categories`` counts through; left out: the subject of the skeleton.
        """
        self._found = found
        self.card, self.name, self.split, self.folder = found.card, found.card.name, found.split, found.folder
        self.layout, self.images = found.layout, found.images
        #: Label files.
        self.labels = found.files
        self.skeleton = skeleton
        self.categories = tuple(categories) or (skeleton.subject,)
        self._entries, self._build = entries, build
        self._rows: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: Any) -> Any:
        """Return a sample, or those of a slice as a list.

        Raises:
            DatasetError: Its labels are not what the layout promises.
        """
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        entry = self._entries[index]
        try:
            return with_normalisers(self._build(entry), self.card)
        except UNREADABLE as error:
            raise DatasetError(self.name, f"sample {index} of {self.split} does not fit the layout "
                                          f"'{self.layout.reader}': {type(error).__name__}: {error}") from error

    def select(self, rows: Sequence[int]) -> Dataset:
        """Return the samples at ``rows``, in that order."""
        chosen = copy.copy(self)
        chosen._rows = tuple(rows if self._rows is None else (self._rows[i] for i in rows))
        chosen._entries = [self._entries[i] for i in rows]
        return chosen

    def walk(self, progress: Callable[[int, int], None] | None = None) -> Iterator[Sample]:
        """Return all samples, and tell ``progress`` after each how many are done, of how many."""
        for done in range(len(self)):
            yield self[done]
            if progress is not None:
                progress(done + 1, len(self))

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to other processes as what was found: they read the files themselves."""
        return _opened_again, (self._found, self._rows)


def opened(found: Found) -> Dataset:
    """Read what lies there, by the module that its layout names."""
    dataset: Dataset = importlib.import_module(f"pose_ros.datasets.{found.layout.reader}").read(found)
    return dataset


def _opened_again(found: Found, rows: tuple[int, ...] | None) -> Dataset:
    whole = opened(found)
    return whole if rows is None else whole.select(rows)


def with_normalisers(sample: Sample, card: DatasetCard) -> Sample:
    """Return a sample with the lengths that the card defines added to its own."""
    if not card.normalisers:
        return sample
    lengths = dict(sample.normalisers)
    for name, (one, other) in card.normalisers.items():
        ends = [sample.keypoints[:, group].mean(axis=1) for group in (one, other)]
        lengths.setdefault(name, np.linalg.norm(ends[0] - ends[1], axis=1))
    return replace(sample, normalisers=lengths)
