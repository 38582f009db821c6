# SPDX-License-Identifier: Apache-2.0
"""Poses as JSON, in a schema of our own that loses nothing and in COCO's that other tools read.

Ours (``schema`` is ``pose_ros.run/1``)::

    {"schema": "pose_ros.run/1", "model": "blazepose-full", "device": "openvino 2026.4 on cpu",
     "skeleton": {"name": "mediapipe33", "keypoints": ["nose", ...], "edges": [[0, 1], ...]},
     "parts": {"hands": {"model": ..., "skeleton": {...}}, ...},
     "sources": [
       {"source": "photo.jpg", "kind": "image", "width": 512, "height": 512, "annotated": "out/photo.jpg",
        "frames": [
          {"index": 0, "time_s": 0.0, "ms": {"detect": 4.1, "estimate": 9.8},
           "subjects": [
             {"id": null, "score": 0.99, "box": [x_min, y_min, x_max, y_max],
              "keypoints": [[x, y, score], ...],
              "points": [[x, y, z], ...], "local_points": [[x, y, z], ...]}],
           "parts": {
             "hands": [{"parent": 1, "side": "left", "side_score": 0.98, "id": ..., ...}, ...],
             "faces": [{"measures": {"mouth_opening": 0.4, ...}, "frames": {"gaze": [x, y, z, qx, qy, qz, qw], ...},
                        ...}, ...]}}]}]}

Keypoints stand in the skeleton's order, in pixels, the centre of the first pixel at (0, 0). ``points`` are metres in
the camera's optical frame, where it is calibrated; ``local_points`` are metres from the subject's root, axes parallel
to that frame. Both are absent where they are not known. What was not found is null. ``id`` is the track of a subject
in a video, null in single images, unless parts are looked at: then they count the subjects of the image. ``parts`` are
there when hands or faces are looked at, each with the fields of whole subjects; ``parent`` is the ``id`` of the
subject that a part belongs to, null where it is nobody's. ``label`` (what the detector calls the subject), ``side``,
``measures`` and ``frames`` (metres in the optical frame) are absent where there are none. A source that could not be
read, or not to its end, has ``error``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pose_ros.core.poses import SIDE_NAMES

if TYPE_CHECKING:
    from pose_ros.core.poses import Poses
    from pose_ros.core.skeleton import Skeleton
    from pose_ros.pipeline import Pipeline, Result

SCHEMA = "pose_ros.run/1"
#: Decimals of pixels, scores and metres.
_DECIMALS = 4


def skeleton_to_dict(skeleton: Skeleton) -> dict[str, Any]:
    """Return what is needed to read the columns of a result."""
    return {"name": skeleton.name, "keypoints": list(skeleton.keypoints), "edges": [list(e) for e in skeleton.edges]}


def pipeline_to_dict(pipeline: Pipeline) -> dict[str, Any]:
    """Return what runs, and what is needed to read its results."""
    source = pipeline.source
    parts = {
        name: {"model": part.source.name, "skeleton": skeleton_to_dict(part.skeleton)}
        for name, part in pipeline.parts.items()
    }
    about = {"model": source.name, "device": source.device, "skeleton": skeleton_to_dict(pipeline.skeleton)}
    return {**about, **({"parts": parts} if parts else {})}


def frame_to_dict(result: Result, index: int, time_s: float) -> dict[str, Any]:
    """Return one frame; see the top of this module."""
    frame = {
        "index": index,
        "time_s": round(time_s, 6),
        "ms": {name: round(ms, 3) for name, ms in result.stages.ms.items()},
        "subjects": _subjects(result.poses),
    }
    if result.parts:
        frame["parts"] = {name: _subjects(part.poses, part=True) for name, part in result.parts.items()}
    return frame


def _subjects(poses: Poses, *, part: bool = False) -> list[dict[str, Any]]:
    return [{**_belonging(poses, row, part), **_subject(poses, row)} for row in range(len(poses))]


def _belonging(poses: Poses, row: int, part: bool) -> dict[str, Any]:
    """Return whose part a subject is, and of which side."""
    found: dict[str, Any] = {"parent": int(poses.parents[row]) or None} if part else {}
    if side := SIDE_NAMES.get(int(poses.sides[row])):
        found |= {"side": side, "side_score": _numbers(poses.side_scores[row])}
    return found


def _subject(poses: Poses, row: int) -> dict[str, Any]:
    label = str(poses.labels[row])
    subject = {
        **({"label": label} if label else {}),
        "id": int(poses.ids[row]) or None,
        "score": _numbers(poses.subject_scores[row]),
        "box": _numbers(poses.boxes[row]),
        "keypoints": _numbers(np.column_stack([poses.keypoints[row], poses.scores[row]])),
    }
    for name in ("points", "local_points"):
        column = getattr(poses, name)
        if column is not None:
            subject[name] = _numbers(column[row])
    for name in ("measures", "frames"):
        column = getattr(poses, name)
        if column is not None:
            subject[name] = dict(zip(getattr(poses.skeleton, name), _numbers(column[row]), strict=True))
    return subject


def _numbers(array: Any) -> Any:
    return np.round(np.asarray(array, np.float64), _DECIMALS).tolist()


def to_coco(sources: Sequence[dict[str, Any]], image_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return the COCO keypoint results format, one entry per subject of every single image.

    A keypoint that was not found is (0, 0, 0) there, because the format has no other word for it.
    """
    entries = []
    for source, image_id in zip(sources, image_ids, strict=True):
        for frame in source["frames"]:
            for subject in frame["subjects"]:
                points = np.array(subject["keypoints"], np.float64)
                points[np.isnan(points).any(axis=1)] = 0
                entries.append({
                    "image_id": image_id,
                    "category_id": 1,
                    "keypoints": points.reshape(-1).tolist(),
                    "score": subject["score"],
                })
    return entries
