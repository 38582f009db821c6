# SPDX-License-Identifier: Apache-2.0
"""Compare faces with what MediaPipe 0.10.21 said about the same images: ``python benchmarks/face_mesh.py TESTDATA``."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.pipeline import Pipeline
from pose_ros.wiring import build

RECORD = Path(__file__).parents[1] / "test/data/face/face_mesh_0_10_21.npz"
MODELS = ("mediapipe-face-landmark", "mediapipe-face-mesh-iris")
#: Points of the mesh; irises come after them.
MESH = 468


def recorded() -> dict[str, np.ndarray]:
    """Return file name -> landmarks (N, 478, 2) of its faces in pixels."""
    with np.load(RECORD) as file:
        names, landmarks = file["files"], file["landmarks"] / float(file["per_pixel"])
    return {name: landmarks[names == name] for name in dict.fromkeys(names.tolist())}


def seen(pipeline: Pipeline, path: Path) -> Poses:
    """Return the faces of an image, each image for itself."""
    pipeline.reset()
    return pipeline(Frame(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), 0)).poses


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("testdata", type=Path)
    parser.add_argument("models", nargs="*", default=MODELS)
    args = parser.parse_args()
    faces = recorded()
    print(f"{'model':<34}{'faces':>6}{'found':>7}{'ours':>6}{'points':>9}{'worst face':>12}{'eyelids':>9}{'irises':>8}")
    for model in args.models:
        pipeline = build({"model": model, "top_down": {"max_subjects": 10}})
        lids = [i for role, points in pipeline.skeleton.roles.items() if "lid" in role for i in points]
        ours, mesh, lid, iris = 0, [], [], []
        for name, theirs in faces.items():
            poses = seen(pipeline, args.testdata / name)
            ours += len(poses)
            for face in theirs:
                if not len(poses):
                    continue
                away = np.linalg.norm(poses.keypoints - face[: len(poses.skeleton)], axis=2)
                best = away[np.median(away, axis=1).argmin()] / np.ptp(face[:MESH], axis=0).max()
                if np.median(best) < 0.25:
                    mesh.append(best[:MESH])
                    lid.append(best[lids])
                    iris.append(best[MESH:])
        print(f"{model:<34}{sum(map(len, faces.values())):>6}{len(mesh):>7}{ours:>6}{_percent(mesh):>9}"
              f"{max(np.median(m) for m in mesh):>12.2%}{_percent(lid):>9}{_percent(iris):>8}")


def _percent(distances: list[np.ndarray]) -> str:
    return f"{np.median(distances):.2%}" if np.size(distances) else "-"


if __name__ == "__main__":
    main()
