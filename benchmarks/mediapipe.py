# SPDX-License-Identifier: Apache-2.0
"""Hands, face meshes and whole people here against MediaPipe's own Python: the same subjects, the same points.

MediaPipe lives in an environment of its own (``pip install mediapipe==0.10.21``)::

    python benchmarks/mediapipe.py --testdata FOLDER --mediapipe-python mp/bin/python
    python benchmarks/mediapipe.py --testdata FOLDER --mediapipe-python mp/bin/python --solution hands

Agreement is measured on images (MediaPipe in static mode) and on all frames of videos (video mode), without smoothing
here, as MediaPipe's hands and faces have none. Distances are a part of the longer side of the box around MediaPipe's
landmarks. MediaPipe takes images for mirrored ones, so its hands are compared with the other side. How fast both are
says ``pose-ros bench beside``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pose_ros.cli.bench_beside import SOLUTIONS
from pose_ros.core.assign import assign
from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.pipeline import Pipeline, Result

ROOT = Path(__file__).resolve().parents[1]
RECORDER = ROOT / "test/data/record_mediapipe_solutions.py"
sys.path.insert(0, str(ROOT / "test/blazepose"))

from mediapipe_replay import STEP_NS, read  # noqa: E402

#: Two programs speak of the same subject where half of its keypoints are nearer than this part of its size.
SAME_SUBJECT = 0.5


@dataclass(frozen=True)
class Case:
    """What one of MediaPipe's solutions is shown, and what does the same here."""

    files: Sequence[str]
    #: Most subjects; 0: it has no choice but one.
    most: int = 4


_FACES = ("face/300w", "face/wflw", "face/cofw", "face/lapa", "face/dlib_faces", "video/nvgesture_hand_color.avi")
CASES = {
    "hands": Case(("hand", "body2d/coco4", "body2d/coco_mini", "video/nvgesture_hand_color.avi")),
    "face_mesh": Case(_FACES),
    "face_mesh_irises": Case(_FACES),
    "holistic": Case(("body2d/coco_mini", "video/mediapipe_pose_world_landmarks.mp4", "video/nvgesture_hand_color.avi",
                      "video/sleap_dance.mp4", "multiview/pose2sim_singleperson/cam01.mp4"), most=0),
}  # fmt: skip


@dataclass
class Agreement:
    """How far apart two programs are on some images. One entry per subject that both found."""

    images: int = 0
    #: Subjects that each found.
    theirs: int = 0
    ours: int = 0
    #: Median distance of a subject's landmarks, as a part of its size.
    landmarks: list[float] = field(default_factory=list)
    #: Mean distance of its world landmarks, metres.
    world: list[float] = field(default_factory=list)
    #: Whether both say the same side.
    sides: list[bool] = field(default_factory=list)

    def add(self, landmarks: np.ndarray, world: np.ndarray, sides: np.ndarray, poses: Poses) -> None:
        """Compare MediaPipe's subjects in one image with ours: (N, K, 2) pixels, (N, K or 0, 3) metres, (N,)."""
        self.images += 1
        self.theirs += len(landmarks)
        self.ours += len(poses)
        size = np.ptp(landmarks, axis=1).max(axis=1, initial=1)
        k = min(landmarks.shape[1], poses.keypoints.shape[1])
        apart = np.linalg.norm(landmarks[:, None, :k] - poses.keypoints[:, :k], axis=3) / size[:, None, None]
        median = np.median(apart, axis=2)
        for row, mine in assign(np.nan_to_num(1 - median / SAME_SUBJECT)).tolist():
            self.landmarks.append(float(median[row, mine]))
            if world.shape[1] and poses.local_points is not None:
                distance = np.linalg.norm(world[row] - poses.local_points[mine], axis=1)
                self.world.append(float(np.mean(distance)))
            if sides[row]:
                self.sides.append(int(sides[row]) == int(poses.sides[mine]))


def groups(result: Result, solution: str) -> dict[str, Poses]:
    """Return what a pipeline found, in the words of the recorder."""
    if solution.startswith("holistic"):
        return {"bodies": result.poses, **{name: part.poses for name, part in result.parts.items()}}
    return {"hands" if solution == "hands" else "faces": result.poses}


def agreement(
    recorded: Mapping[str, np.ndarray], images: Callable[[str], Iterator[np.ndarray]], solution: str, pipeline: Pipeline
) -> dict[tuple[str, str], Agreement]:
    """Show a pipeline what MediaPipe was shown; it starts over before every image and every video.

    Args:
        recorded: What record_mediapipe_solutions.py wrote.
        images: File name to its image, or to all frames of the video, RGB.
        solution: Of :data:`CASES`.
        pipeline: What to show them to.

    Returns:
        By group of subjects and folder (of images) or file (of videos).
    """
    cases: dict[str, dict[int, int]] = {}
    for case, (file, frame) in enumerate(zip(recorded["files"].tolist(), recorded["frames"].tolist(), strict=True)):
        cases.setdefault(file, {})[frame] = case
    found: dict[tuple[str, str], Agreement] = {}
    for file, frames in cases.items():
        pipeline.reset()
        name = "/".join(Path(file).parts[:2])
        for number, image in enumerate(images(file)):
            result = pipeline(Frame(image, (number + 1) * STEP_NS))
            if number not in frames:
                continue
            for group, poses in groups(result, solution).items():
                mine = found.setdefault((group, name), Agreement())
                mine.add(*_theirs(recorded, group, frames[number], poses, solution == "hands"), poses)
    return found


def _theirs(
    recorded: Mapping[str, np.ndarray], group: str, case: int, poses: Poses, mirrored: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return landmarks, world landmarks and sides of what MediaPipe found in one image."""
    if f"{group}_case" not in recorded:
        return np.zeros((0, *poses.keypoints.shape[1:])), np.zeros((0, 0, 3)), np.zeros(0, np.uint8)
    rows = recorded[f"{group}_case"] == case
    sides = recorded[f"{group}_sides"][rows].astype(int)
    return (recorded[f"{group}_landmarks"][rows] / 8, recorded[f"{group}_world"][rows] * 1e-4,
            np.where(sides > 0, 3 - sides, 0) if mirrored else sides)


def show_agreement(python: Path, testdata: Path, name: str, device: str) -> None:
    """Record MediaPipe, replay, and print a table."""
    case, solution = CASES[name], SOLUTIONS[name]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "all.npz")
        subprocess.run(
            [python, RECORDER, name, testdata, output, "--most", str(case.most or 1), "--complexity",
             str(solution.complexity), "--files", *case.files],
            check=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        recorded = dict(np.load(output))
    pipeline = solution.pipeline(case.most or 1, device=device, smooth=False)
    found = agreement(recorded, lambda file: read(testdata / file), name, pipeline)
    print(f"\n{name}: agreement\n{'':52}{'images':>7}{'MediaPipe':>10}{'here':>6}{'both':>6}"
          f"{'median %':>10}{'95 %':>7}{'world mm':>10}{'same side':>11}")
    for (group, file), a in found.items():
        part, world = 100 * np.array(a.landmarks), 1e3 * np.array(a.world)
        print(f"{group + ' ' + file[-44:]:52}{a.images:>7}{a.theirs:>10}{a.ours:>6}{len(part):>6}"
              + (f"{np.median(part):>10.3f}{np.percentile(part, 95):>7.2f}" if len(part) else f"{'':17}")
              + (f"{np.median(world):>10.2f}" if len(world) else f"{'':10}")
              + (f"{np.mean(a.sides):>11.3f}" if a.sides else ""))


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mediapipe-python", type=Path, required=True, help="python of MediaPipe's environment")
    parser.add_argument("--testdata", type=Path, required=True, help="folder of the test data")
    parser.add_argument("--solution", choices=CASES, action="append", help="leave the others out")
    parser.add_argument("--device", default="auto", help="device here")
    args = parser.parse_args()
    for name in args.solution or CASES:
        show_agreement(args.mediapipe_python, args.testdata, name, args.device)


if __name__ == "__main__":
    main()
