# SPDX-License-Identifier: Apache-2.0
"""MPII: lists of single people as Microsoft and mmpose hand them out, and the authors' MATLAB file.

Both count pixels from 1. There are no boxes: a person is the square that mmpose crops, 200 ``scale`` wide, its centre
15 ``scale`` lower. Joints 6 and 7, pelvis and thorax, are labelled, but PCKh leaves them out.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from pose_ros.datasets import files
from pose_ros.datasets.base import HIDDEN, NOT_LABELLED, VISIBLE, Dataset, Found, Sample
from pose_ros.datasets.coco_style import SCALE_PX
from pose_ros.skeletons import catalogue

_JOINTS = 16
#: PCKh measures by this share of the diagonal of the head's box.
HEAD_OF_DIAGONAL = 0.6
#: Pixels, for each unit of scale, by which mmpose lowers the centre.
_LOWER_PX = 15.0


def read(found: Found) -> Dataset:
    """Return one sample for each person (JSON), or for each image (MATLAB)."""
    skeleton = catalogue.get(found.card.skeleton)
    if found.files[0].suffix == ".mat":
        release = files.mat(found.files[0])["RELEASE"]
        images = [image for image in release.annolist if _people(image)]
        return Dataset(found, skeleton, images, lambda image: _image(found, image))
    people = json.loads(found.files[0].read_bytes())
    beside = found.files[0].parent / "mpii_gt_val.mat"
    heads: np.ndarray | None = None
    if found.split.endswith("val") and "trainval" not in found.split and beside.is_file():
        # (2, 2, people): both corners.
        corners = np.asarray(files.mat(beside)["headboxes_src"], np.float64).reshape(2, 2, -1)
        heads = HEAD_OF_DIAGONAL * np.linalg.norm(corners[1] - corners[0], axis=0)
    entries = list(enumerate(people))
    return Dataset(found, skeleton, entries, lambda entry: _person(found, entry[0], entry[1], heads))


def _person(found: Found, index: int, row: dict[str, Any], heads: np.ndarray | None) -> Sample:
    keypoints = np.array(row["joints"], np.float64)[None] - 1
    labelled = (np.array(row["joints_vis"]) > 0)[None]
    return Sample(
        id=index,
        image=found.images / row["image"],
        keypoints=keypoints,
        visibility=np.where(labelled, VISIBLE, NOT_LABELLED),
        boxes=_square(np.array([row["center"]], np.float64) - 1, np.array([row["scale"]], np.float64)),
        normalisers={} if heads is None else {"head": heads[index : index + 1]},
        extra=row,
    )


def _people(image: Any) -> list[Any]:
    """Return the people of an image whose joints are given; those of the test set have none."""
    return [person for person in np.atleast_1d(image.annorect) if hasattr(getattr(person, "annopoints", None), "point")]


def _image(found: Found, image: Any) -> Sample:
    people = _people(image)
    keypoints = np.full((len(people), _JOINTS, 2), np.nan)
    visibility = np.zeros((len(people), _JOINTS), np.uint8)
    for row, person in enumerate(people):
        for point in np.atleast_1d(person.annopoints.point):
            keypoints[row, point.id] = point.x - 1, point.y - 1
            # A number, a character, or nothing: of heads nobody said it.
            visibility[row, point.id] = HIDDEN if str(getattr(point, "is_visible", "")) == "0" else VISIBLE
    heads = np.array([[p.x2 - p.x1, p.y2 - p.y1] for p in people], np.float64)
    centres = np.array([[_number(p, "objpos", "x"), _number(p, "objpos", "y")] for p in people]) - 1
    return Sample(
        id=str(image.image.name),
        image=found.images / str(image.image.name),
        keypoints=keypoints,
        visibility=visibility,
        boxes=_square(centres, np.array([_number(p, "scale") for p in people])),
        normalisers={"head": HEAD_OF_DIAGONAL * np.linalg.norm(heads, axis=1)},
    )


def _number(value: Any, *path: str) -> float:
    """Return a number inside structs, NaN where it is left empty."""
    for name in path:
        value = getattr(value, name, None)
    return float(value) if np.size(value) == 1 and value is not None else np.nan


def _square(centres: np.ndarray, scales: np.ndarray) -> np.ndarray:
    half = SCALE_PX / 2 * scales[:, None]
    lower = centres + [0, _LOWER_PX] * scales[:, None]
    return np.concatenate([lower - half, lower + half], axis=1)
