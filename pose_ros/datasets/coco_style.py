# SPDX-License-Identifier: Apache-2.0
"""JSON in the format of COCO's keypoints, in which most sets are published or have been converted by somebody.

Options of a layout: ``blocks`` (keys whose keypoints stand one after the other; ``keypoints``), ``flags: labelled``
(1 says labelled, hidden or not), ``area: box`` (the set's toolkit measures by a share of the box even where areas are
given), ``box: centre_scale`` (the square of ``center`` and 200 ``scale``), ``one_based_boxes``, ``millimetres`` (of
``joint_cam``), ``order`` (where the file has each keypoint of the skeleton).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.core.poses import LEFT, RIGHT
from pose_ros.core.skeleton import Skeleton
from pose_ros.datasets.base import AREA_OF_BOX, VISIBLE, Dataset, Found, Sample
from pose_ros.errors import DatasetError
from pose_ros.skeletons import catalogue

#: Side of a box of ``scale`` 1, pixels: what MPII calls a person's height.
SCALE_PX = 200.0
_SIDES = {"left": LEFT, "right": RIGHT}
#: Key of an annotation -> name of the length.
_LENGTHS = {"head_size": "head", "box_size": "box_size"}


def read(found: Found) -> Dataset:
    """Return what the files say, those of all videos where each has its own."""
    found.only("blocks", "flags", "area", "box", "one_based_boxes", "millimetres", "order")
    images: dict[Any, Mapping[str, Any]] = {}
    labels: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    categories: dict[int, str] = {}
    kinds: list[Mapping[str, Any]] = []
    blocks = found.layout.options.get("blocks", ["keypoints"])
    for path in found.files:
        data = json.loads(path.read_bytes())
        if not isinstance(data, dict) or not data.keys() >= {"images", "annotations"}:
            raise DatasetError(found.card.name, f"{path}: expected COCO's format, with images and annotations")
        # A video's pictures between those that are labelled say so.
        images |= {image["id"]: image for image in data["images"] if image.get("is_labeled", True)}
        categories |= {row["id"]: row["name"] for row in data.get("categories", [])}
        kinds += data.get("categories", [])
        for label in data["annotations"]:
            if missing := [key for key in blocks if key not in label]:
                raise DatasetError(found.card.name, f"{path}: annotation {label.get('id')} has no {missing}; these are "
                                                    "labels of something else")
            labels[label["image_id"]].append(label)
            # Parts of a set may use categories that they do not list.
            categories.setdefault(label.get("category_id", 1), f"category {label.get('category_id', 1)}")
    order = {number: i for i, number in enumerate(sorted(categories))}
    skeleton = catalogue.get(found.card.skeleton) if found.card.skeleton else _own(found, kinds)
    build = sampler(found, skeleton, images, labels, order)
    return Dataset(found, skeleton, list(images), build, [categories[number] for number in sorted(categories)])


def _own(found: Found, kinds: Sequence[Mapping[str, Any]]) -> Skeleton:
    """Return the skeleton that the file says its categories have; lines count from 1, as COCO's do."""
    if not kinds or not kinds[0].get("keypoints") or any(kind["keypoints"] != kinds[0]["keypoints"] for kind in kinds):
        raise DatasetError(found.card.name, f"{found.files[0]}: expected categories with the same names of keypoints; "
                                            "the skeleton is made of them")
    names = [str(name) for name in kinds[0]["keypoints"]]
    place = {name: i for i, name in enumerate(names)}
    mirrored = [name.replace("left", "\0").replace("right", "left").replace("\0", "right") for name in names]
    return Skeleton(
        name=found.files[0].stem, keypoints=tuple(names),
        edges=tuple((int(a) - 1, int(b) - 1) for a, b in kinds[0].get("skeleton", [])),
        flip=tuple(place.get(name, i) for i, name in enumerate(mirrored)),
        joints=tuple(f"{kinds[0].get('name', 'subject')}/{name}" for name in names), source=str(found.files[0].name),
    )


def sampler(
    found: Found, skeleton: Skeleton, images: Mapping[Any, Mapping[str, Any]],
    labels: Mapping[Any, Sequence[Mapping[str, Any]]], order: Mapping[int, int],
) -> Callable[[Any], Sample]:
    """Return what makes a sample of the id of an image."""
    options, k = found.layout.options, len(skeleton)
    blocks, places = options.get("blocks", ["keypoints"]), options.get("order", slice(None))

    def build(number: Any) -> Sample:
        image, rows = images[number], labels.get(number, [])
        triplets = np.array([np.concatenate([np.ravel(row[key]) for key in blocks]) for row in rows], np.float64)
        triplets = triplets.reshape(len(rows), k, 3)[:, places]
        boxes = _boxes(rows, options)
        # Scores in place of flags are of points that were labelled by a network: above 0 they are there.
        visibility = np.clip(np.ceil(triplets[..., 2]), 0, VISIBLE)
        if options.get("flags") == "labelled":
            visibility = np.where(visibility > 0, VISIBLE, 0)
        size = (int(image["width"]), int(image["height"])) if "width" in image else None
        return Sample(
            id=number,
            image=found.images / (image.get("file_name") or image["filename"]),
            keypoints=triplets[..., :2],
            visibility=visibility,
            boxes=boxes,  # type: ignore[arg-type]
            areas=_areas(rows, boxes, options),  # type: ignore[arg-type]
            ignore=np.array([bool(row.get("ignore")) for row in rows], bool),
            crowd=np.array([bool(row.get("iscrowd")) for row in rows], bool),
            ids=[row.get("id", i) for i, row in enumerate(rows)],  # type: ignore[arg-type]
            categories=[order[row.get("category_id", 1)] for row in rows],  # type: ignore[arg-type]
            tracks=_column(rows, "track_id"),
            sides=None if not any("hand_type" in row for row in rows)
            else np.array([_SIDES.get(row.get("hand_type", ""), 0) for row in rows]),
            points=_points(rows, visibility, options),
            camera=_camera(image, size),
            normalisers={name: found_ for key, name in _LENGTHS.items()
                         if (found_ := _column(rows, key)) is not None} | _head(rows),
            size_wh=size,
            sequence=str(image.get("vid_id", "")),
            moment=int(image.get("frame_id", 0)),
            extra={**image, "labels": rows},
        )

    return build


def _column(rows: Sequence[Mapping[str, Any]], key: str) -> np.ndarray | None:
    return np.array([row[key] for row in rows]) if rows and all(key in row for row in rows) else None


def _boxes(rows: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> np.ndarray | None:
    """Return xyxy; None where the set has no boxes."""
    if not rows:
        return np.zeros((0, 4))
    if options.get("box") == "centre_scale":
        centres = np.array([row["center"] for row in rows])
        half = np.array([[row["scale"]] for row in rows]) * SCALE_PX / 2
        return np.concatenate([centres - half, centres + half], axis=1)
    if not all("bbox" in row for row in rows):
        return None
    xywh = np.array([row["bbox"] for row in rows], np.float64)
    xywh[:, :2] -= bool(options.get("one_based_boxes"))
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)


def _areas(
    rows: Sequence[Mapping[str, Any]], boxes: np.ndarray | None, options: Mapping[str, Any]
) -> np.ndarray | None:
    if boxes is None or options.get("area") == "box":
        return None
    covered = AREA_OF_BOX * (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.array([row.get("area", area) for row, area in zip(rows, covered, strict=True)], np.float64)


def _points(
    rows: Sequence[Mapping[str, Any]], visibility: np.ndarray, options: Mapping[str, Any]
) -> np.ndarray | None:
    points = _column(rows, "joint_cam")
    if points is None:
        return None
    metres = points.reshape(*visibility.shape, 3)[:, options.get("order", slice(None))]
    return np.where(visibility[..., None] > 0, metres * (1e-3 if options.get("millimetres") else 1.0), np.nan)


def _camera(image: Mapping[str, Any], size: tuple[int, int] | None) -> Camera | None:
    if "cam_param" not in image or size is None:
        return None
    (fx, fy), (cx, cy) = image["cam_param"]["focal"], image["cam_param"]["princpt"]
    return Camera(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), size)


def _head(rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Return the size of heads as PCKh takes it: 0.6 of the diagonal of their boxes."""
    boxes = _column(rows, "bbox_head")
    return {} if boxes is None else {"head": 0.6 * np.hypot(boxes[:, 2], boxes[:, 3])}
