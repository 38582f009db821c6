# SPDX-License-Identifier: Apache-2.0
"""Several cameras when not all is well: all but one die, clocks are late; and hands of a real recording.

    python benchmarks/multiview_faults.py
    python benchmarks/multiview_faults.py --testdata FOLDER --only hands

alone       five cameras, of which all but one die for two seconds: error over time, with lengths of limbs and without
clocks      five cameras, of which one has late stamps: what is thought of their clocks
hands       the gymnast of Pose2Sim's demonstration in four cameras, found by BlazePose and MediaPipe's hands
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))

from scenes import EPOCH_NS, Faults, Person, at, circling, crossing, observe, rig, walker

from pose_ros.core.frame import Frame
from pose_ros.core.poses import LEFT, Source
from pose_ros.fusion import Fusion
from pose_ros.multiview import locate
from pose_ros.multiview.files import read_rig
from pose_ros.multiview.fuse import Fuser, FuserOptions
from pose_ros.tracking.point_filter import PointFilter
from pose_ros.tracking.track import Numbers, Tracker
from pose_ros.wiring import build

PLAIN = Faults(1.0, sigma_size=0.006)
HARD = Faults(sigma_px=2, spread=0.4, outliers=0.05, swaps=0.02, misses=0.05, drops=0.05)
PEOPLE = {"one on a circle": walker(), "three on a circle": circling(3), "three who cross": crossing(3)}
#: Ticks of 1/30 s: when cameras die, and for how long.
_BEGIN, _DEAD, _EACH = 30, 60, 20
#: 95 % of the squares of three normal numbers are below this in sum.
_INSIDE_95 = 7.815


def _no_limbs(_: Any, points: np.ndarray, covariances: np.ndarray, *__: Any) -> tuple[np.ndarray, np.ndarray]:
    return points, covariances


def alone(args: argparse.Namespace) -> None:
    """Let all cameras but one die for two seconds."""
    print("\nalone: five cameras, all but one dead for 2 s; mm of all keypoints that are published, of two "
          f"cameras and {args.seeds} seeds")
    for name, people in PEOPLE.items():
        for limbs in (False, True):
            with patch.object(locate, "by_limbs", locate.by_limbs if limbs else _no_limbs):
                rows = np.concatenate([
                    _alone(people, camera, seed) for camera in ("camera0", "camera2") for seed in range(args.seeds)
                ])  # fmt: skip
            print(f"  {name}, {'with lengths of limbs' if limbs else 'without'}")
            for begin in range(_BEGIN, _BEGIN + _DEAD, _EACH):
                part = rows[(rows[:, 0] >= begin) & (rows[:, 0] < begin + _EACH)]
                mm = 1000 * part[:, 1]
                print(f"    {(begin - _BEGIN) / 30:.2f} to {(begin - _BEGIN + _EACH) / 30:.2f} s: "
                      f"mean {mm.mean():5.0f}  median {np.median(mm):5.0f}  P95 {np.percentile(mm, 95):5.0f} mm | "
                      f"median square / 2.37 {np.median(part[:, 2]) / 2.366:5.2f}  in 95 % "
                      f"{(part[:, 2] < _INSIDE_95).mean():6.1%}")


def _alone(people: list[Person], camera: str, seed: int) -> np.ndarray:
    """Return (E, 3): tick, error in metres and its square by the covariance of each keypoint, nearest person each."""
    fuser, whole, rows = Fuser(FuserOptions(max_lost=3.0)), rig(5), []
    for tick, shots in enumerate(observe(people, whole, seconds=3.0, faults=PLAIN, seed=seed).ticks()):
        views = {
            shot.camera.name: (shot.stamp_ns, shot.poses) for shot in shots
            if shot and (shot.camera.name == camera or not _BEGIN <= tick < _BEGIN + _DEAD)
        }  # fmt: skip
        if not views:
            continue
        stamp = next(iter(views.values()))[0]
        poses = fuser(whole, views, stamp)
        points, covariances = (np.asarray(column, np.float64) for column in (poses.points, poses.covariances))
        truth = at(people, (stamp - EPOCH_NS) / 1e9).points(poses.skeleton)[0]
        for point, covariance, sources in zip(points, covariances, poses.sources, strict=True):
            known = sources > 0
            nearest = np.linalg.norm((point - truth)[:, known], axis=2).mean(axis=1).argmin()
            off = (point - truth[nearest])[known]
            square = np.einsum("ki,kij,kj->k", off, np.linalg.inv(covariance[known]), off)
            rows.append(np.column_stack([np.full(len(off), tick), np.linalg.norm(off, axis=1), square]))
    return np.concatenate(rows)


def clocks(args: argparse.Namespace) -> None:
    """Let the stamps of one camera be late."""
    print("\nclocks: five cameras, stamps of camera1 late; what is thought after 3 s, ms beside the median, * if sure")
    for name, people in PEOPLE.items():
        for words, faults in (("plain", PLAIN), ("every fault of networks", HARD)):
            for late_ms in (0, 10, 20, 40, 80):
                fuser, whole = Fuser(), rig(5)
                for shots in observe(people, whole, seconds=3.0, faults=faults, seed=1).ticks():
                    views = {
                        shot.camera.name: (shot.stamp_ns + late_ms * 1_000_000 * (shot.camera.name == "camera1"),
                                           shot.poses) for shot in shots if shot
                    }  # fmt: skip
                    stamps = [stamp for stamp, _ in views.values()]
                    fuser(whole, views, (min(stamps) + max(stamps)) // 2)
                found = "  ".join(f"{1000 * one.seconds:5.1f}{'*' if one.sure else ' '}" for one in fuser.late.values())
                print(f"  {name}, {words}, {late_ms:2d} ms late: {found}")


def hands(args: argparse.Namespace) -> None:
    """Fuse the hands of a real recording."""
    folder = args.testdata / "multiview/pose2sim_singleperson"
    whole, numbers = read_rig(folder / "calib_converted.toml"), Numbers()
    given = {"model": "blazepose-full", "smooth": False, "top_down": {"max_subjects": 1},
             "hands": {"model": "mediapipe-hand-landmark-full"}}  # fmt: skip
    pipelines = {camera.name: build(given) for camera in whole}
    videos = {name: cv2.VideoCapture(str(folder / f"{name}.mp4")) for name in pipelines}
    # As the node does.
    parts = Fusion(Fuser(FuserOptions(leave_out=False, noise=0.028)), Tracker(numbers=numbers), PointFilter())
    fusion = Fusion(Fuser(), Tracker(numbers=numbers), PointFilter(), {"hands": parts})
    counts, apart, errors, long = [], [], [], []
    for tick in range(args.frames):
        stamp, seen = tick * 16_666_667, {}
        for name, video in videos.items():
            good, image = video.read()
            if good:
                seen[name] = pipelines[name](Frame(np.ascontiguousarray(image[..., ::-1]), stamp, name))
        if not seen:
            break
        result = fusion(whole, {name: (stamp, one.poses) for name, one in seen.items()}, stamp,
                        parts={"hands": {name: (stamp, one.parts["hands"].poses) for name, one in seen.items()}})
        body, found = result.poses, result.parts["hands"].poses
        counts.append((len(found), sum(len(one.parts["hands"].poses) > 0 for one in seen.values())))
        points = np.asarray(found.points)
        measured = found.sources == Source.MEASURED
        errors += np.asarray(found.reprojection_errors)[measured].tolist()
        long += np.linalg.norm(points[:, 0] - points[:, 9], axis=1)[measured[:, [0, 9]].all(axis=1)].tolist()
        for row, (side, owner) in enumerate(zip(found.sides, found.parents, strict=True)):
            wrist = body.skeleton.index["left_wrist" if side == LEFT else "right_wrist"]
            apart += [np.linalg.norm(points[row, 0] - np.asarray(body.points)[i, wrist])
                      for i in np.flatnonzero(body.ids == owner)]  # fmt: skip
    fused, cameras = np.array(counts).T
    print(f"\nhands: {len(counts)} moments, in {(cameras > 1).sum()} of which two cameras or more saw a hand; "
          f"{(fused > 0).sum()} with a fused one, {(fused > 1).sum()} with both")
    print(f"  reprojection median {np.median(errors):.1f}, 95 % {np.percentile(errors, 95):.1f} px; wrist of the hand "
          f"to that of its body median {1000 * np.nanmedian(apart):.0f}, 95 % {1000 * np.nanpercentile(apart, 95):.0f} "
          f"mm ({len(apart)} of {fused.sum()} hands); wrist to knuckle of the middle finger "
          f"{1000 * np.mean(long):.0f} +- {1000 * np.std(long):.0f} mm")


def main() -> None:
    """Measure and print."""
    parts = {"alone": alone, "clocks": clocks, "hands": hands}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=parts)
    parser.add_argument("--testdata", type=Path, help="for hands")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--frames", type=int, default=100, help="of hands, at most")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    for name in args.only or [name for name in parts if args.testdata or name != "hands"]:
        parts[name](args)


if __name__ == "__main__":
    main()
