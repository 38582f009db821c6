# SPDX-License-Identifier: Apache-2.0
"""Draw poses into an image: left and right limbs in two colours, one colour per subject for its box and label."""

from __future__ import annotations

import numpy as np

from pose_ros.core.colors import edge_colors, keypoint_colors
from pose_ros.core.frame import check_image
from pose_ros.core.poses import SIDE_NAMES, Poses
from pose_ros.core.skeleton import Skeleton

#: One colour per track id, in turn.
SUBJECTS = ((240, 228, 66), (204, 121, 167), (0, 158, 255), (255, 94, 77), (120, 220, 80), (180, 140, 255))
_DARK, _WHITE = (20, 20, 20), (255, 255, 255)
#: Size of the labels of parts, as a share of that of their wholes'.
_PART_LABEL = 0.7
#: What a picture shows without a word.
_EVIDENT = ("person", "face", "hand", "palm")
#: Lines grow by one pixel for so many pixels of the image's shorter side.
_PIXELS_PER_THICKNESS = 240
#: Skeletons of more keypoints, such as faces, get dots instead of discs.
_MANY_KEYPOINTS = 60
#: Pixels for each keypoint below which there are no dark rims; and shares of them that lines and discs may take.
_ROOM_FOR_RIMS, _LINE, _DISC = 12.0, 1 / 10, 1 / 6
#: Fractional bits of OpenCV's drawing coordinates, and the farthest pixel that may be drawn to.
_SHIFT, _FAR_PX = 3, 1e6


def draw(
    image: np.ndarray, poses: Poses, min_score: float = 0.3, *, labels: bool = True, kind: str = "",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return a copy of an image with the poses drawn into it.

    Args:
        image: RGB uint8 (H, W, 3). Not modified.
        poses: N subjects in pixels of ``image``.
        min_score: Keypoints below this are left out.
        labels: Whether to draw boxes, ids and scores.
        kind: What parts are called, such as ``hand``.
        out: Where to draw, (H, W, 3) uint8, contiguous, ``image`` itself to draw over it; new memory when left out,
            which takes longer than drawing.

    Returns:
        RGB uint8 (H, W, 3).
    """
    out, thickness = canvas(image, out)
    with np.errstate(invalid="ignore"):
        seen = np.isfinite(poses.keypoints).all(axis=2) & (poses.scores >= min_score)
    for points, visible in zip(poses.keypoints, seen, strict=True):
        _subject(out, poses.skeleton, points, visible, thickness)
    for row in range(len(poses) if labels else 0):
        _label(out, poses, row, thickness, kind)
    return out


def canvas(image: np.ndarray, out: np.ndarray | None = None) -> tuple[np.ndarray, int]:
    """Return where to draw, a copy of ``image`` or ``out`` with it, and how thick lines are that suit its size."""
    if out is None:
        out = np.array(check_image(image), order="C")
    elif out is not image:
        np.copyto(out, check_image(image))
    return out, max(1, round(min(out.shape[:2]) / _PIXELS_PER_THICKNESS))


def _subject(out: np.ndarray, skeleton: Skeleton, points: np.ndarray, seen: np.ndarray, thickness: int) -> None:
    import cv2

    pixels = np.clip(np.where(seen[:, None], points, 0), -_FAR_PX, _FAR_PX)
    scaled = np.rint(pixels * (1 << _SHIFT)).astype(int).tolist()
    colors = keypoint_colors(skeleton)
    limbs = [
        (scaled[a], scaled[b], color)
        for (a, b), color in zip(skeleton.edges, edge_colors(skeleton), strict=True)
        if seen[a] and seen[b]
    ]
    # Hands and faces are small parts of most images; as thick as a body's, their lines would run into one.
    room = float(np.ptp(pixels[seen], axis=0).max()) / len(skeleton) ** 0.5 if seen.any() else 0.0
    thickness = min(thickness, max(1, round(_LINE * room)))
    # A dark rim keeps limbs visible on clothes of their own colour.
    for a, b, _ in limbs if room >= _ROOM_FOR_RIMS else ():
        cv2.line(out, a, b, _DARK, thickness + 2, cv2.LINE_AA, _SHIFT)
    for a, b, color in limbs:
        cv2.line(out, a, b, color, thickness, cv2.LINE_AA, _SHIFT)
    many = len(skeleton) > _MANY_KEYPOINTS
    largest = max(1, thickness // 2) if many else thickness + 1
    radius = round(min(largest, max(_DISC * room, 0.5)) * (1 << _SHIFT))
    for index in np.flatnonzero(seen):
        cv2.circle(out, scaled[index], radius, colors[index], cv2.FILLED, cv2.LINE_AA, _SHIFT)
        if not many and room >= _ROOM_FOR_RIMS:
            cv2.circle(out, scaled[index], radius, _DARK, 1, cv2.LINE_AA, _SHIFT)


def title(poses: Poses, row: int, kind: str = "") -> str:
    """Return what a subject is called: ``#3 dog``, ``left hand #3`` of the third one; empty where nothing is known."""
    side = SIDE_NAMES.get(int(poses.sides[row]), "")
    track, parent = int(poses.ids[row]), int(poses.parents[row])
    label = "" if poses.labels[row] in _EVIDENT else str(poses.labels[row])
    words = [side, kind, f"#{parent}"] if parent else [f"#{track}" if track else "", label, side]
    return " ".join(filter(None, words))


def _label(out: np.ndarray, poses: Poses, row: int, thickness: int, kind: str) -> None:
    import cv2

    box = poses.boxes[row]
    if not np.isfinite(box).all():
        return
    # Parts have the colour of the whole, and small labels that leave room to see them.
    parent = int(poses.parents[row])
    track = parent or int(poses.ids[row])
    color = SUBJECTS[track % len(SUBJECTS)] if track else _WHITE
    height, width = out.shape[:2]
    x0, y0, x1, y1 = (int(v) for v in np.rint(np.clip(box, -_FAR_PX, _FAR_PX)))
    cv2.rectangle(out, (x0, y0), (x1, y1), color, max(1, thickness // 2), cv2.LINE_AA)
    text = (title(poses, row, kind) + ("" if parent else f" {poses.subject_scores[row]:.2f}")).strip()
    scale, pad, thin = 0.25 + 0.15 * thickness, thickness + 1, max(1, thickness // 2)
    scale *= _PART_LABEL if parent else 1
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thin)
    # Above the box where there is room, and always inside the image.
    x = min(max(x0, 0), max(width - w - 2 * pad, 0))
    y = min(max(y0, h + 2 * pad), height)
    cv2.rectangle(out, (x, y - h - 2 * pad), (x + w + 2 * pad, y), color, cv2.FILLED)
    cv2.putText(out, text, (x + pad, y - pad), cv2.FONT_HERSHEY_SIMPLEX, scale, _DARK, thin, cv2.LINE_AA)
