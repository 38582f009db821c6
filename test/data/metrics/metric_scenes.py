# SPDX-License-Identifier: Apache-2.0
"""What both the recorded programs and the tests judge: made here from uniform random numbers, or from real labels."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Where COCO-WholeBody's labels have what, and how many keypoints of it.
PARTS = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
SCORES = {"foot_kpts": "foot_score", "face_kpts": "face_score", "lefthand_kpts": "lefthand_score",
          "righthand_kpts": "righthand_score"}  # fmt: skip
#: Of CrowdPose.
CROWD_SIGMAS = np.array([0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089, 0.079,
                         0.079])  # fmt: skip


def wholebody_results(labels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return three results for every label: nearer and farther ones, some without a hand."""
    rng = np.random.default_rng(5)
    results = []
    for near in (0.05, 0.2, 0.6):
        for label in labels:
            result: dict[str, Any] = {"image_id": label["image_id"], "category_id": 1, "score": rng.random()}
            size = np.sqrt(label["area"])
            for part, count in PARTS.items():
                points = np.array(label[part], float).reshape(count, 3)
                off = (rng.random((count, 2)) - 0.5) * size * near * (1 if part == "keypoints" else 0.3)
                row = np.concatenate([np.round(points[:, :2] + off, 2), np.ones((count, 1))], axis=1)
                if "hand" in part and rng.random() < 0.3:
                    row[:] = 0
                result[part] = row.ravel().tolist()
                if part in SCORES:
                    result[SCORES[part]] = rng.random()
            result["wholebody_score"] = rng.random()
            results.append(result)
    return results


def crowded() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return labels and results as CrowdPose writes them: no areas, and a crowd index for each image."""
    rng = np.random.default_rng(6)
    images, labels, results = [], [], []
    for image in range(1, 41):
        images.append({"id": image, "file_name": f"{image}.jpg", "crowdIndex": round(rng.random(), 2)})
        for _ in range(1 + int(rng.random() * 6)):
            corner, size = rng.random(2) * 200, 20 + rng.random(2) * 200
            points = np.round(corner + rng.random((14, 2)) * size, 1)
            seen = (rng.random(14) * 3).astype(int)
            if rng.random() < 0.1:
                seen[:] = 0
            box = np.round([*corner, *size], 1).tolist()
            labels.append({
                "id": len(labels) + 1, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": box,
                "keypoints": np.concatenate([points, seen[:, None]], axis=1).ravel().tolist(),
                "num_keypoints": int((seen == 2).sum()),
            })
            for _ in range(int(rng.random() * 3)):
                moved = points + (rng.random((14, 2)) - 0.5) * size.mean() * rng.random() * 0.6
                row = np.concatenate([np.round(moved, 1), np.ones((14, 1))], axis=1).ravel().tolist()
                results.append({"image_id": image, "category_id": 1, "keypoints": row, "score": round(rng.random(), 2)})
    return {"images": images, "annotations": labels, "categories": [{"id": 1, "name": "person"}]}, results


def tracked(seed: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return ids of subjects, ids of tracks and their similarities for 60 frames, with losses and exchanges."""
    rng = np.random.default_rng(seed)
    subjects = 3 + seed % 4
    path = rng.random((subjects, 2)) + np.cumsum(rng.random((60, subjects, 2)) - 0.5, axis=0) * 0.15
    name = np.arange(subjects) + 100
    frames = []
    for t, at in enumerate(path):
        if rng.random() < 0.15:
            a, b = (rng.random(2) * subjects).astype(int)
            name[[a, b]] = name[[b, a]]
        if rng.random() < 0.1:
            name[int(rng.random() * subjects)] = 200 + t
        there, seen = rng.random(subjects) < 0.9, rng.random(subjects) < 0.85
        if t == 30:
            seen[:] = False
        found = at[seen] + (rng.random((seen.sum(), 2)) - 0.5) * 0.1
        ids = name[seen]
        if rng.random() < 0.2:
            found, ids = np.concatenate([found, rng.random((1, 2))]), np.append(ids, 300 + t)
        away = np.linalg.norm(at[there][:, None] - found, axis=2)
        frames.append((np.flatnonzero(there), ids, np.maximum(0, 1 - away / 0.2)))
    return frames


def poses(dims: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return results and labels, (12, 9, dims) each, and which are labelled."""
    rng = np.random.default_rng(7)
    truth = rng.random((12, 9, dims)) * 100
    found = truth + (rng.random(truth.shape) - 0.5) * 60 * rng.random((12, 1, 1))
    return found, truth, rng.random((12, 9)) < 0.8


def said() -> tuple[np.ndarray, np.ndarray]:
    """Return scores (80, 5) and classes."""
    rng = np.random.default_rng(8)
    truth = (rng.random(80) * 5).astype(int)
    scores = rng.random((80, 5))
    scores[np.arange(80), truth] += 0.4
    return scores, truth
