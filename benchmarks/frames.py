# SPDX-License-Identifier: Apache-2.0
"""Time what subjects say beyond their keypoints, and the fit of bones: ``python benchmarks/frames.py``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from pose_ros.anatomy import face
from pose_ros.anatomy.describe import described
from pose_ros.anatomy.limb_fit import LimbFit
from pose_ros.core.camera import Camera
from pose_ros.core.poses import RIGHT, Poses
from pose_ros.skeletons import catalogue

CAMERA = Camera(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), (640, 480))


def subjects(name: str, count: int, metric: bool) -> Poses:
    """Return subjects with points anywhere; how long it takes does not depend on where."""
    skeleton, rng = catalogue.get(name), np.random.default_rng(0)
    points = rng.normal((0, 0, 3), 0.3, (count, len(skeleton), 3))
    return Poses(skeleton, CAMERA.project(points), np.ones(points.shape[:2]), ids=np.arange(1, count + 1),
                 sides=np.full(count, RIGHT), points=points if metric else None)


def milliseconds(call: Callable[[], object], runs: int) -> tuple[float, float]:
    """Return the fastest and the median run."""
    call()
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return min(took) * 1e3, float(np.median(took)) * 1e3


def main() -> None:
    """Print one row for each kind of subjects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    rows: list[tuple[str, Callable[[], object]]] = [
        (f"describe {name}, {count}", partial(described, subjects(name, count, True), None))
        for name in ("coco17", "mediapipe33", "halpe26", "hand21") for count in (1, 10)
    ]  # fmt: skip
    poses = subjects("facemesh478", 1, False)
    rows += [("describe facemesh478, 1", lambda: described(poses, CAMERA)),
             ("the same by anatomy.face alone", lambda: face.described(poses, CAMERA))]  # fmt: skip
    for count in (1, 10):
        fit, body = LimbFit(), subjects("halpe26", count, True)
        for stamp_ns in range(10):
            fit(body, stamp_ns)
        rows.append((f"fit bones halpe26, {count}", partial(fit, body, 10)))
    print("| what | fastest, ms | median, ms |\n|---|--:|--:|")
    for name, call in rows:
        print("| {} | {:.3f} | {:.3f} |".format(name, *milliseconds(call, runs)))


if __name__ == "__main__":
    main()
