# SPDX-License-Identifier: Apache-2.0
"""Features of sign language: upper body, hands and face over time, in shoulder widths, ready for a network.

The origin is the place between the shoulders, and the unit the distance between them, both as medians over the whole
recording, so that movement stays.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.core.convert import Conversion, conversion
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError
from pose_ros.exports.take import Subject, Take
from pose_ros.skeletons import catalogue

#: Whose keypoints they are.
_WHOLE = "wholebody133"
_BODY = ("nose", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist")
#: Of the 68 points of a face: eyebrows, eyes and lips.
_FACE = ("brow", "eye", "lips")
_SHOULDERS = (1, 2)


@cache
def parts() -> dict[str, tuple[str, ...]]:
    """Return the names of all V features: ``body`` (7), ``left_hand``, ``right_hand`` (21 each), ``face`` (42)."""
    whole = catalogue.get(_WHOLE)
    blocks = {part: [(whole.keypoints[i], whole.joints[i]) for i in whole.blocks[part][1]] for part in whole.blocks}
    face = tuple(name for name, joint in blocks["face"] if any(word in joint for word in _FACE))
    hands = {part: tuple(name for name, _ in blocks[part]) for part in ("left_hand", "right_hand")}
    return {"body": _BODY, **hands, "face": face}


@cache
def _way(skeleton: Skeleton) -> Conversion:
    """Return how to make a whole person of a skeleton.

    Raises:
        ConfigError: It has no hands.
    """
    whole = catalogue.get(_WHOLE)
    found = conversion(skeleton, whole)
    absent = found.absent.copy()
    absent[found.made] = False
    lacking = [part for part, names in parts().items() if absent[[whole.index[n] for n in names]].all()]
    if "left_hand" in lacking or "right_hand" in lacking:
        raise ConfigError(
            "npz", f"expected whole people with hands, got '{skeleton.name}' without {' and '.join(lacking)}; take a "
                   "whole-body model, or hands with --set hands.model=... --skeleton wholebody133"
        )
    return found


def features(take: Take, subject: Subject) -> dict[str, np.ndarray]:
    """Return one subject's features.

    Args:
        take: Of a whole-body skeleton.
        subject: Of the take.

    Returns:
        ``features`` (T, V, 3) float32: x to the right and y down, in shoulder widths of the image, and the score; 0
        where nothing was seen. ``missing`` (T, V) bool. ``points`` (T, V, 3) float32, in shoulder widths, axes of the
        take; 0 where unknown, and ``points_missing`` (T, V). ``shoulders_px`` and ``shoulders_m``: the widths; NaN
        where unknown.

    Raises:
        ConfigError: The skeleton has no hands.
    """
    way, whole = _way(take.skeleton), catalogue.get(_WHOLE)
    chosen = [whole.index[name] for names in parts().values() for name in names]
    keypoints, points = (way.points(each)[:, chosen] for each in (subject.keypoints, subject.points))
    scores = way.scores(subject.scores)[:, chosen]
    flat, pixels = _normal(keypoints)
    space, metres = _normal(points)
    missing, unknown = ~np.isfinite(flat).all(axis=2), ~np.isfinite(space).all(axis=2)
    seen = np.concatenate([flat, scores[..., None]], axis=2)
    return {
        "features": np.where(missing[..., None], 0, seen).astype(np.float32), "missing": missing,
        "points": np.where(unknown[..., None], 0, space).astype(np.float32), "points_missing": unknown,
        "shoulders_px": np.float64(pixels), "shoulders_m": np.float64(metres),
    }  # fmt: skip


def _normal(places: np.ndarray) -> tuple[np.ndarray, float]:
    """Return places (T, V, D) around the middle of the shoulders in their widths, and that width; NaN where unknown."""
    left, right = (places[:, i] for i in _SHOULDERS)
    known = np.isfinite(left).all(axis=1) & np.isfinite(right).all(axis=1)
    if not known.any():
        return np.full_like(places, np.nan), np.nan
    width = float(np.median(np.linalg.norm(left[known] - right[known], axis=1)))
    middle = np.median((left[known] + right[known]) / 2, axis=0)
    return (places - middle) / max(width, 1e-9), width


def write_npz(take: Take, path: Path) -> None:
    """Write the features of all subjects, at moments of equal distance.

    The file holds ``names`` (V,), ``parts`` (V,), ``seconds`` (T,), ``ids`` (N,), and for each subject ``ID/features``
    and what else :func:`features` returns.

    Raises:
        ConfigError: The skeleton has no hands.
    """
    even = take.even()
    found: dict[str, Any] = {
        "names": np.array([name for names in parts().values() for name in names]),
        "parts": np.array([part for part, names in parts().items() for _ in names]),
        "seconds": even.seconds, "ids": np.array([subject.id for subject in even.subjects], np.int64),
    }  # fmt: skip
    for subject in even.subjects:
        found |= {f"{subject.id}/{key}": value for key, value in features(even, subject).items()}
    np.savez_compressed(path, **found)
