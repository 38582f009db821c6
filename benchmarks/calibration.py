# SPDX-License-Identifier: Apache-2.0
"""Calibrations that `pose-ros calibrate` finds, beside those that came with real recordings.

    python benchmarks/calibration.py TESTDATA
    python benchmarks/calibration.py TESTDATA --only people --model blazepose-full
    python benchmarks/calibration.py TESTDATA --only people --openpose FOLDER      # cam01_json ... of BODY_25B

board    the corners of a board that Caliscope has found in 4 cameras: with its lenses, and with lenses found from them
people   a person who balances before Pose2Sim's 4 cameras: from what a network finds, and from its own OpenPose
         keypoints where a folder of them is given; then with beginnings cut off, to be found again

Errors against a calibration are those after the best fit with scale and without. Whether a calibration fits the
pictures is told by things that stand still: bolts, marks and sockets of the treadmill, marked by hand below. They are
triangulated, and lie so many pixels from where they were marked; nothing that is found here has seen them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from pose_ros.cli import sightings
from pose_ros.cli.calibrating import image_cameras
from pose_ros.core.camera import Camera
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError
from pose_ros.multiview.board import Board, find_intrinsics, find_rig
from pose_ros.multiview.bundle import Sightings, adjust, meet
from pose_ros.multiview.files import read_rig
from pose_ros.multiview.people import find_rig as find_people_rig
from pose_ros.multiview.rig import Rig
from pose_ros.multiview.subjects import Jointed
from pose_ros.skeletons import catalogue

_NONE = (np.nan, np.nan)
#: Pixels in the four videos, by eye and, for the white marks, their centroids: of the treadmill's left side bolts and
#: marks, far and near, of its right side the same, and the tops of the two sockets. Right to a pixel or two.
STILL = np.array([
    [(66, 1057), (279, 1360), (108.1, 1060.9), (317.2, 1335), (511, 1033), (787, 1274), (519.2, 1062.6),
     (767.1, 1290.2), (666, 1519), (946, 1424)],
    [(415, 1035), (284, 1212), (434.8, 1037.4), (325.1, 1207.1), (823, 1062), (803, 1266), (790, 1084.7),
     (757.8, 1269.2), (274, 1316), (631, 1341)],
    [(912, 1227), (535, 1078), (873.9, 1234), _NONE, (520, 1498), (141, 1266), (485.2, 1431.8), (163.7, 1241.4),
     (262, 971), (63, 1058)],
    [(884, 1427), (933, 1055), (836.8, 1410.8), (889.5, 1069.7), (324, 1463), (487, 1133), (384.2, 1395.4),
     (515.2, 1115), _NONE, _NONE],
])  # fmt: skip
#: Of the person, as Pose2Sim's demonstration says; metres.
HEIGHT = 1.72
#: Frames by which the recordings are made to begin late.
CUT = (12, 19, 0, 32)
_BOARD = Board(4, 5, 0.054, 0.0405, "DICT_4X4_1000", inverted=True)

Pose = tuple[np.ndarray, np.ndarray]


def fitted(came: np.ndarray, true: np.ndarray, scaled: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """Return points (N, 3) after the best fit to true ones, its rotation, and the scale that fits best."""
    x, y = came - came.mean(axis=0), true - true.mean(axis=0)
    u, s, vt = np.linalg.svd(y.T @ x)
    sign = np.array([1, 1, np.linalg.det(u @ vt)])
    turn, scale = u @ np.diag(sign) @ vt, float(s @ sign / (x**2).sum())
    return (scale if scaled else 1.0) * x @ turn.T + true.mean(axis=0), turn, scale


def show(name: str, pose: Pose, true: Rig, lenses: list[Camera], median_px: float = np.nan) -> None:
    """Print how far cameras are from where others say they are, and how well what stands still meets."""
    rotations, translations = pose
    came = -np.einsum("vij,vi->vj", rotations, translations)
    there = np.array([camera.centre for camera in true])
    moved, turn, scale = fitted(came, there, True)
    rigid = np.linalg.norm(fitted(came, there, False)[0] - there, axis=1)
    off = np.linalg.norm(moved - there, axis=1)
    degrees = [np.degrees(np.linalg.norm(cv2.Rodrigues(r @ turn.T @ c.rotation.T)[0]))
               for r, c in zip(rotations, true, strict=True)]  # fmt: skip
    print(f"  {name:34s} {' '.join(f'{1000 * x:4.0f}' for x in off)} mm (without scale "
          f"{' '.join(f'{1000 * x:4.0f}' for x in rigid)}), {' '.join(f'{x:4.2f}' for x in degrees)} deg, scale "
          f"{scale:.3f}; keypoints {median_px:4.1f} px, what stands still {still(pose, lenses)[0]:4.1f} px")


def still(pose: Pose, lenses: list[Camera]) -> tuple[float, Pose]:
    """Return how far what stands still is off, rms in pixels, and the cameras when they are moved to fit it best."""
    def off(points: np.ndarray) -> np.ndarray:
        """(V, K, 2) pixels; 0 where not seen."""
        views = zip(*pose, lenses, STILL, strict=True)
        return np.nan_to_num(np.stack([lens.project(points @ r.T + t) - marked for r, t, lens, marked in views]))

    seen = Sightings.of(lenses, STILL[:, None])
    first = meet(*pose, seen)
    points, step = first[0], 1e-4 * np.eye(3)
    for _ in range(20):  # Gauss and Newton, to the least squares of the pixels
        slope = np.stack([(off(points + d) - off(points - d)) / 2e-4 for d in step], axis=-1)
        pull = np.einsum("vkia,vki->ka", slope, off(points))
        points = points - np.linalg.solve(np.einsum("vkia,vkib->kab", slope, slope), pull[..., None])[..., 0]
    distance = np.linalg.norm(off(points), axis=-1)[np.isfinite(STILL[..., 0])]
    # Points without limbs: only what is seen counts.
    moved = adjust(seen, *pose, Jointed(first, np.zeros((0, 2), int), np.zeros((1, 0)), np.zeros(1, int), 1.0, 1.0))
    return float(np.sqrt((distance**2).mean())), (moved.rotations, moved.translations)


def board(testdata: Path) -> None:
    """Calibrate from corners."""
    folder = testdata / "multiview/caliscope_charuco"
    theirs = read_rig(folder / "config.toml")
    xy = np.genfromtxt(folder / "xy_CHARUCO.csv", delimiter=",", names=True)
    xyz = np.genfromtxt(folder / "xyz_CHARUCO.csv", delimiter=",", names=True)
    moments = np.unique(xy["sync_index"])
    seen = np.full((len(theirs), len(moments), 12, 2), np.nan)
    at = np.searchsorted(moments, xy["sync_index"])
    seen[xy["cam_id"].astype(int), at, xy["keypoint_id"].astype(int)] = np.column_stack(
        [xy["img_loc_x"], xy["img_loc_y"]])
    expected = np.full((len(moments), 12, 3), np.nan)
    at = np.searchsorted(moments, xyz["sync_index"])
    expected[at, xyz["keypoint_id"].astype(int)] = np.column_stack([xyz[f"{axis}_coord"] for axis in "xyz"])
    own = {}
    print("caliscope_charuco, 4 cameras")
    for camera, corners in zip(theirs, seen, strict=True):
        try:
            lens = own[camera.name] = find_intrinsics(_BOARD, corners, camera.camera.size_wh).camera
            print(f"  {camera.name}: focal length {lens.K[0, 0]:.1f} px, theirs {camera.camera.K[0, 0]:.1f}")
        except ConfigError as error:
            print(f"  {camera.name}: {error}")
    for name, lenses in (("with their lenses", {c.name: c.camera for c in theirs}), ("from corners alone", own)):
        if len(lenses) < len(theirs):
            continue
        found = find_rig(_BOARD, lenses, seen)
        points = meet(found.rotations, found.translations, Sightings.of(list(lenses.values()), seen))
        known = np.isfinite(points + expected).all(axis=-1)
        came, true = points[known], expected[known]
        rigid, scaled = (1000 * np.linalg.norm(fitted(came, true, s)[0] - true, axis=1) for s in (False, True))
        pixels = np.nanmedian(np.linalg.norm(found.residuals, axis=-1))
        print(f"  {name:20s} {len(came)} points: median {np.median(rigid):.2f} mm, with scale {np.median(scaled):.2f} "
              f"mm ({fitted(came, true, True)[2]:.4f}); corners {pixels:.2f} px")


def openpose(folder: Path) -> list[np.ndarray]:
    """Return for each camera (1, T, 17, 3): of BODY_25B's keypoints the first are those of COCO."""
    out = []
    for number in range(1, 5):
        files = sorted((folder / f"cam0{number}_json").glob("*.json"))
        track = np.full((1, len(files), 17, 3), np.nan)
        for t, file in enumerate(files):
            found = [np.array(one["pose_keypoints_2d"]).reshape(-1, 3)[:17]
                     for one in json.loads(file.read_text())["people"]]  # fmt: skip
            if found:
                track[0, t] = max(found, key=lambda one: one[:, 2].sum())
        out.append(np.where(track[..., 2:] > 0, track, np.nan))
    return out


def people(testdata: Path, model: str, folder: Path | None) -> None:
    """Calibrate from somebody who moves."""
    data = testdata / "multiview/pose2sim_singleperson"
    true = read_rig(data / "Calib.qca.txt")
    options = argparse.Namespace(model=model, device="auto", max_subjects=None, every=1, max_frames=0)
    looked = {c.name: sightings.tracks(str(data / f"{c.name}.mp4"), options) for c in true}
    cameras = image_cameras(data / "Calib.qca.txt", {name: size for name, (_, _, size, _) in looked.items()})
    lenses, stamps = list(cameras.values()), [one[0] for one in looked.values()]
    given = np.stack([c.rotation for c in true]), np.stack([c.translation for c in true])
    print("pose2sim_singleperson, 4 cameras, 100 frames")
    show("the given calibration", given, true, lenses)
    show("moved to fit what stands still", still(given, lenses)[1], true, lenses)
    sets: list[tuple[str, list[np.ndarray], Skeleton]] = [
        (model, [one[1] for one in looked.values()], next(iter(looked.values()))[3])
    ]
    if folder is not None:
        sets.append(("OpenPose's own keypoints", openpose(folder), catalogue.get("coco17")))
    for name, tracks, skeleton in sets:
        for cut in ((0, 0, 0, 0), CUT):
            for most in (0.0, 0.5):
                late = [t[:, k:] for t, k in zip(tracks, cut, strict=True)]
                begun = [s[: len(s) - k] for s, k in zip(stamps, cut, strict=True)]
                label = f"{name}{', cut' if any(cut) else ''}{', offsets looked for' if most else ''}"
                try:
                    found = find_people_rig(cameras, late, skeleton, HEIGHT, begun, most)
                except ConfigError as error:
                    print(f"  {label:34s} {str(error)[:110]}")
                    continue
                pixels = float(np.nanmedian(np.linalg.norm(found.adjusted.residuals, axis=-1)))
                show(label, (found.adjusted.rotations, found.adjusted.translations), true, lenses, pixels)
                if most:
                    cuts = " ".join(f"{1000 * (k - cut[0]) / 60:6.1f}" for k in cut)
                    came = " ".join(f"{1000 * x:6.1f}" for x in found.offsets_s)
                    print(f"  {'':34s} stamps + {came} ms; true {cuts}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("testdata", type=Path)
    parser.add_argument("--only", choices=("board", "people"))
    parser.add_argument("--model", default="blazepose-full", help="[detector+]estimator (default: %(default)s)")
    parser.add_argument("--openpose", type=Path, help="folder of Pose2Sim's keypoints of the same recording")
    args = parser.parse_args()
    if args.only != "people":
        board(args.testdata)
    if args.only != "board":
        people(args.testdata, args.model, args.openpose)


if __name__ == "__main__":
    main()
