# SPDX-License-Identifier: Apache-2.0
"""Several cameras: how fast, how exact, and what becomes of real recordings.

    python benchmarks/multiview.py --testdata FOLDER
    python benchmarks/multiview.py --testdata FOLDER --oracle-python anipose/bin/python     # beside aniposelib 0.8.0
    python benchmarks/multiview.py --testdata FOLDER --only pose2sim --pictures FOLDER

speed       5 cameras of CMU Panoptic, 10 people of 133 keypoints, pixels with noise, missing ones and lies
panoptic    the coco19 truth of three people, projected into 5 cameras, with noise, missing ones and lies
caliscope   corners of a board in 4 cameras, beside the points that Caliscope made of them
shelf       people that HRNet found in 5 cameras: who is who
health      cameras that are not where they should be, and named scenes where all are
pose2sim    a walking person before 4 cameras, found by a network, followed and filtered as the node does
hd5         three people before 5 cameras, found by a network

One thread; the fastest of the rounds, there and here, so that what else the machine does is left out.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import itertools
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.optimize import least_squares

from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses, Source
from pose_ros.fusion import Fusion
from pose_ros.media.draw import draw
from pose_ros.multiview.associate import associate
from pose_ros.multiview.board import Board
from pose_ros.multiview.files import read_rig
from pose_ros.multiview.fuse import Fuser
from pose_ros.multiview.rig import PosedCamera, Rig
from pose_ros.multiview.sync import Sync
from pose_ros.multiview.triangulate import TriangulateOptions, Triangulation, triangulate
from pose_ros.skeletons import catalogue
from pose_ros.tracking.point_filter import FilterOptions, PointFilter
from pose_ros.tracking.track import Tracker
from pose_ros.wiring import build

#: Those of which there are images, too.
_PANOPTIC_CAMERAS = ("00_03", "00_06", "00_12", "00_13", "00_23")
_SIZE_WH = (1920, 1080)
_RANSAC_POINTS = 100
#: Runs in an environment that has aniposelib 0.8.0; reads and writes arrays.
_ORACLE = """
import sys, time
import cv2, numpy as np
from aniposelib.cameras import Camera, CameraGroup
cv2.setNumThreads(1)
data = dict(np.load(sys.argv[1]))
group = CameraGroup([
    Camera(matrix=k, dist=d, size=(1920, 1080), rvec=cv2.Rodrigues(r)[0].ravel(), tvec=t, name=str(i))
    for i, (k, d, r, t) in enumerate(zip(data["K"], data["D"], data["R"], data["t"]))])
points, few, rounds = data["pixels"], int(data["few"]), int(data["rounds"])
group.triangulate(points[:, :few], progress=False)
group.triangulate_ransac(points[:, :2], min_cams=2, progress=False)
times = []
for _ in range(rounds):
    start = time.perf_counter()
    plain = group.triangulate(points, progress=False)
    times.append(time.perf_counter() - start)
start = time.perf_counter()
robust = group.triangulate_ransac(points[:, :few], min_cams=2, progress=False)[0]
np.savez(sys.argv[2], plain=plain, robust=robust, time=min(times), robust_time=time.perf_counter() - start)
"""


class Timed(float):
    """The shortest time, milliseconds; in words also the median, and that of the processor alone."""

    words: str

    @classmethod
    def of(cls, run: Callable[[], object], rounds: int) -> Timed:
        """Measure."""
        run()
        wall, own = [], []
        for _ in range(rounds):
            start, started = time.perf_counter(), time.thread_time()
            run()
            own.append(time.thread_time() - started)
            wall.append(time.perf_counter() - start)
        found = cls(min(wall) * 1e3)
        middle, used = np.median(wall) * 1e3, np.median(own) * 1e3
        found.words = f"{found:.2f} ms (median {middle:.2f}, of the processor {used:.2f})"
        return found


def panoptic_rig(testdata: Path) -> Rig:
    """Return five cameras of the hall."""
    whole = read_rig(testdata / "multiview/panoptic_160906_band1/calibration_160906_band1_hd.json")
    return Rig([camera for camera in whole if camera.name in _PANOPTIC_CAMERAS])


def seen(
    rig: Rig, points: np.ndarray, rng: np.random.Generator, noise: float, lies: float, missing: float = 0.05
) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (V, N, K, 2) with every fault, NaN outside of the images, and scores."""
    pixels = rig.project(points)
    pixels[((pixels < 0) | (pixels >= np.array(_SIZE_WH))).any(axis=3)] = np.nan
    scores = rng.uniform(0.4, 1, pixels.shape[:3])
    pixels += rng.normal(0, noise, pixels.shape) / np.sqrt(scores)[..., None]
    lied = rng.random(scores.shape) < lies
    angle = rng.uniform(0, 2 * np.pi, lied.sum())
    pixels[lied] += rng.uniform(40, 200, (lied.sum(), 1)) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    pixels[rng.random(scores.shape) < missing] = np.nan
    scores[np.isnan(pixels[..., 0])] = 0
    return pixels, scores


def oracle(python: str, rig: Rig, pixels: np.ndarray, rounds: int) -> dict[str, np.ndarray]:
    """Return what aniposelib makes of the same pixels (V, M, 2)."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "given.npz"), Path(folder, "made.npz")
        np.savez(
            given, K=[c.camera.K for c in rig], D=[c.camera.D for c in rig], R=[c.rotation for c in rig],
            t=[c.translation for c in rig], pixels=pixels, few=_RANSAC_POINTS, rounds=rounds,
        )  # fmt: skip
        subprocess.run([python, "-c", _ORACLE, given, made], check=True, capture_output=True)
        return dict(np.load(made))


def millimetres(points: np.ndarray, truth: np.ndarray) -> str:
    """Return how far points (..., 3) are from the truth."""
    error = 1e3 * np.linalg.norm(points - truth, axis=-1).ravel()
    there = np.isfinite(error)
    return (f"median {np.median(error[there]):6.2f}  mean {error[there].mean():7.2f}  "
            f"95 % {np.percentile(error[there], 95):7.2f} mm  of {there.mean():.1%} of the points")  # fmt: skip


def honest(found: Triangulation, truth: np.ndarray) -> str:
    """Return how the errors fit their covariances."""
    return fitting((found.points - truth)[found.views > 0], found.covariances[found.views > 0])


def fitting(error: np.ndarray, covariances: np.ndarray, freedom: float = 3.0) -> str:
    """Return how errors (E, 3) fit their covariances (E, 3, 3); degrees of freedom of each on average."""
    square = np.einsum("ni,nij,nj->n", error, np.linalg.inv(covariances.astype(np.float64)), error) * 3 / freedom
    return (f"covariance: square {square.mean() / 3:.2f}, median {np.median(square) / 2.366:.2f} (1), "
            f"{(square < 7.8147).mean():.1%} in 95 %")  # fmt: skip


def beside(python: str | None, rig: Rig, pixels: np.ndarray, scores: np.ndarray, truth: np.ndarray) -> None:
    """Print what aniposelib makes of it, and what both do with the points that two cameras saw, in which time."""
    if python is None:
        return
    flat, points = pixels.reshape(len(rig), -1, 2), truth.reshape(-1, 3)
    enough = np.isfinite(flat[..., 0]).sum(axis=0) >= 2
    flat, points, scores = flat[:, enough], points[enough], scores.reshape(len(rig), -1)[:, enough]
    run = functools.partial(triangulate, rig, flat[:, None], scores[:, None])
    tried, ms = min(_RANSAC_POINTS, len(points)), Timed.of(run, 101)
    made = oracle(python, rig, flat, 31)
    plain, robust = float(made["time"]) * 1e3, float(made["robust_time"]) * 1e3
    print(f"  aniposelib triangulate        {millimetres(made['plain'], points)}")
    print(f"  aniposelib triangulate_ransac {millimetres(made['robust'], points[:tried])}, {tried} points")
    print(f"  here, the same points         {millimetres(run().points[0, :tried], points[:tried])}")
    each, own = robust / tried, ms / len(points)
    print(f"  {len(points)} points: {ms:.2f} ms here, {plain:.2f} ms triangulate ({plain / ms:.1f} x), "
          f"{each:.2f} ms for each point triangulate_ransac ({each / own:.0f} x)")  # fmt: skip


def speed(args: argparse.Namespace) -> None:
    """Triangulate 1330 points and associate 10 people."""
    rig, rng = panoptic_rig(args.testdata), np.random.default_rng(0)
    truth = rng.uniform([-0.4, -1.8, -0.4], [0.4, 0, 0.4], (10, 133, 3)) + rng.uniform(-1, 1, (10, 1, 3)) * [1, 0, 1]
    for lies in (0.0, 0.1):
        pixels, scores = seen(rig, truth, rng, 2.0, lies)
        found = triangulate(rig, pixels, scores)
        ms = Timed.of(functools.partial(triangulate, rig, pixels, scores), args.rounds)
        print(f"\n5 views x 10 people x 133 keypoints, noise 2 px, {lies:.0%} lies, "
              f"{np.isnan(pixels[..., 0]).mean():.0%} missing: {ms.words}")  # fmt: skip
        print(f"  here                          {millimetres(found.points, truth)}; {honest(found, truth)}")
        beside(args.oracle_python, rig, pixels, scores, truth)
    for name in ("coco17", "wholebody133"):
        skeleton = catalogue.get(name)
        k = len(skeleton)
        body = rng.uniform([-0.3, -1.7, -0.2], [0.3, 0, 0.2], (k, 3))
        places = np.array([[i % 4 - 1.5, 0, i // 4 - 1.0] for i in range(10)]) * 0.9
        people = body + places[:, None] + rng.normal(0, 0.05, (10, k, 3))
        pixels, scores = seen(rig, people, rng, 3.0, 0.02)
        rows = [rng.permutation(np.flatnonzero((s > 0).sum(axis=1) > k // 4)) for s in scores]
        views = [Poses(skeleton, p[r], s[r]) for p, s, r in zip(pixels, scores, rows, strict=True)]
        groups = associate(rig, views)
        mixed = sum(len({int(rows[v][i]) for v, i in enumerate(g) if i >= 0}) > 1 for g in groups)
        ms = Timed.of(functools.partial(associate, rig, views), args.rounds)
        print(f"association, 10 people of {k} keypoints in 5 views ({sum(map(len, views))} sights): {ms.words}; "
              f"{len(groups)} groups of {(groups >= 0).sum()} sights, {mixed} mixed")  # fmt: skip


def panoptic(args: argparse.Namespace) -> None:
    """Compare with the truth of three people."""
    rig, rng = panoptic_rig(args.testdata), np.random.default_rng(0)
    files = sorted((args.testdata / "multiview/panoptic_160906_band1/hdPose3d_stage1_coco19").glob("*.json"))
    frames = []
    for file in files:
        bodies = json.loads(file.read_text())["bodies"]
        joints = np.array([body["joints19"] for body in bodies]).reshape(-1, 19, 4)
        frames.append(np.where(joints[..., 3:] > 0.1, joints[..., :3] / 100, np.nan))
    skeleton = catalogue.get("coco19")
    for noise, lies in ((2.0, 0.0), (5.0, 0.0), (5.0, 0.05)):
        truth = np.concatenate(frames)
        pixels, scores = seen(rig, truth, rng, noise, lies)
        found = triangulate(rig, pixels, scores)
        print(f"\npanoptic_160906_band1, {len(frames)} frames, noise {noise:g} px, {lies:.0%} lies")
        print(f"  triangulate                   {millimetres(found.points, truth)}; {honest(found, truth)}")
        for some in (len(truth), len(frames[0])):
            beside(args.oracle_python, rig, pixels[:, :some], scores[:, :some], truth[:some])
        # As it comes: nobody knows who is who.
        fuser, tracker, calm, people, at = Fuser(), Tracker(), PointFilter(), [], 0
        errors: dict[str, list[np.ndarray]] = {"Fuser, who is who not known": [], "filtered": []}
        spreads: dict[str, list[np.ndarray]] = {name: [] for name in errors}
        for tick, points in enumerate(frames):
            n, views = len(points), {}
            for v, camera in enumerate(rig):
                order = rng.permutation(n)
                views[camera.name] = (tick * 33_333_333, Poses(skeleton, pixels[v, at + order], scores[v, at + order]))
            at += n
            stamp = tick * 33_333_333
            poses = tracker.update(fuser(rig, views, stamp), stamp)[0]
            people.append(len(poses))
            for name, said in zip(errors, (poses, calm(poses, stamp)), strict=True):
                apart = np.asarray(said.points)[:, None] - points
                nearest = np.nanmedian(np.linalg.norm(apart, axis=3), axis=2).argmin(axis=1)
                errors[name].append(apart[np.arange(len(said)), nearest].reshape(-1, 3))
                spreads[name].append(np.asarray(said.covariances).reshape(-1, 3, 3))
        for name in errors:
            error, spread = np.concatenate(errors[name]), np.concatenate(spreads[name])
            known = np.isfinite(error).all(axis=1)
            print(f"  {name:28s}  {millimetres(error, np.zeros(3))}; {fitting(error[known], spread[known])}")
        print(f"  people in each frame: {sorted(set(people))}")
        print(f"  {described_health(fuser)}")


def caliscope(args: argparse.Namespace) -> None:
    """Compare with what another program made of the same corners and cameras."""
    folder = args.testdata / "multiview/caliscope_charuco"
    rig = read_rig(folder / "config.toml")
    corners = np.genfromtxt(folder / "xy_CHARUCO.csv", delimiter=",", names=True)
    theirs = np.genfromtxt(folder / "xyz_CHARUCO.csv", delimiter=",", names=True)
    moments, row = np.unique(theirs["sync_index"], return_inverse=True)
    points = np.full((len(moments), int(corners["keypoint_id"].max()) + 1, 3), np.nan)
    points[row, theirs["keypoint_id"].astype(int)] = np.stack([theirs[f"{axis}_coord"] for axis in "xyz"], axis=1)
    corners = corners[np.isin(corners["sync_index"], moments)]
    pixels = np.full((len(rig), *points.shape[:2], 2), np.nan)
    moment = np.searchsorted(moments, corners["sync_index"])
    camera, corner = (corners[name].astype(int) for name in ("cam_id", "keypoint_id"))
    pixels[camera, moment, corner] = np.stack([corners["img_loc_x"], corners["img_loc_y"]], axis=1)
    seen = np.isfinite(pixels[..., 0]) * 1.0
    found, known = triangulate(rig, pixels, seen), np.isfinite(points[..., 0])
    print(f"\ncaliscope_charuco: {known.sum()} points\n"
          f"  triangulate                   {millimetres(found.points[known], points[known])}; "
          f"reprojection median {np.nanmedian(found.errors):.2f} px")  # fmt: skip
    # What is known of the truth is that all corners of a moment are those of a flat board.
    shape = Board(4, 5, 0.054, 0.0405, "DICT_4X4_1000", inverted=True).points
    for noise in (3.0, 1.0):
        found, errors, spreads, freedom = triangulate(rig, pixels, seen, TriangulateOptions(noise=noise)), [], [], 0
        for place, spread in zip(found.points, found.covariances, strict=True):
            there = np.flatnonzero(np.isfinite(place[:, 0]))
            if len(there) > 3:
                errors.append(place[there] - fit(shape[there], place[there], spread[there]))
                spreads.append(spread[there])
                freedom += 3 * len(there) - 6
        error = np.concatenate(errors)
        print(f"  beside boards that fit them, noise of {noise:g} px assumed: {millimetres(error, np.zeros(3))}; "
              f"{fitting(error, np.concatenate(spreads), freedom / len(error))}")  # fmt: skip


def fit(shape: np.ndarray, points: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """Return a rigid shape (M, 3) where points (M, 3) with covariances (M, 3, 3) fit it best."""
    roots = np.linalg.inv(np.linalg.cholesky(covariances))

    def moved(place: np.ndarray) -> np.ndarray:
        return np.asarray(shape @ cv2.Rodrigues(place[:3])[0].T + place[3:])

    def off(place: np.ndarray) -> np.ndarray:
        return np.asarray((roots @ (moved(place) - points)[..., None]).ravel())

    middle, centre = shape.mean(axis=0), points.mean(axis=0)
    u, _, vt = np.linalg.svd((points - centre).T @ (shape - middle))
    turn = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    start = np.concatenate([cv2.Rodrigues(turn)[0].ravel(), centre - turn @ middle])
    return moved(least_squares(off, start).x)


def shelf(args: argparse.Namespace) -> None:
    """Find who is who in five cameras."""
    folder = args.testdata / "multiview/shelf"
    rig, skeleton = read_rig(folder / "calibration_shelf.json", size_wh=(1032, 776)), catalogue.get("coco17")
    seen_by = json.loads((folder / "pred_shelf_maskrcnn_hrnet_coco.json").read_text())
    print("\nshelf: people of HRNet in 5 cameras")
    lasting = Fuser()
    for frame in range(3):
        views = []
        for v in range(5):
            people = np.array(seen_by[f"{v}_{frame}"]).reshape(-1, 17, 3)
            views.append(Poses(skeleton, people[..., :2], people[..., 2].clip(0, 1)))
        poses = (fuser := Fuser())(rig, {c.name: (0, p) for c, p in zip(rig, views, strict=True)}, 0)
        print(f"  frame {frame}: {sum(map(len, views))} sights, {len(poses)} people; {_described(poses, fuser)}")
        lasting(rig, {c.name: (frame * 300_000_000, p) for c, p in zip(rig, views, strict=True)}, frame * 300_000_000)
        # Cycle consistency: leave out one camera, and the others must still agree on who is who.
        whole, broken = associate(rig, views), 0
        for left in range(5):
            others = [v for v in range(5) if v != left]
            part = associate(Rig([rig.cameras[v] for v in others]), [views[v] for v in others])
            for group in part:
                there = {int(np.flatnonzero(whole[:, others[j]] == i)[0]) if (whole[:, others[j]] == i).any() else -1
                         for j, i in enumerate(group) if i >= 0}  # fmt: skip
                broken += len(there - {-1}) > 1
        print(f"    groups without one of the cameras that contradict those of all: {broken}")
    print(f"  all three, 0.3 s apart: {described_health(lasting)}")


def _described(poses: Poses, fuser: Fuser) -> str:
    """Return how well the cameras agree."""
    measured = poses.sources == Source.MEASURED
    errors = np.asarray(poses.reprojection_errors)[measured]
    cameras = [int(sum(rows[i] >= 0 for rows in fuser.members.values())) for i in range(len(poses))]
    return (f"cameras of each: {cameras}, keypoints with a position {measured.mean():.1%}, reprojection median "
            f"{np.median(errors):.1f}, 95 % {np.percentile(errors, 95):.1f} px, views "
            f"{np.asarray(poses.views)[measured].mean():.1f}")  # fmt: skip


def limbs(said: Sequence[Poses]) -> None:
    """Print lengths and how much they change."""
    points = np.concatenate([poses.points for poses in said if len(poses) == 1])
    index = said[0].skeleton.index
    for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")):
        for side in ("left", "right"):
            length = np.linalg.norm(points[:, index[f"{side}_{a}"]] - points[:, index[f"{side}_{b}"]], axis=1)
            length = length[np.isfinite(length)]
            middle = np.median(length)
            spread = 1.4826 * np.median(np.abs(length - middle))
            print(f"    {side:5} {a:8} - {b:8} {middle:.3f} m, spread {spread / middle:.1%} (standard deviation "
                  f"{length.std() / middle:.1%}), {len(length)} frames")  # fmt: skip


def described_health(fuser: Fuser) -> str:
    """Return how well each camera agrees with the others."""
    return "; ".join(
        f"{name} {one.residual:.1f} px, misfit {one.misfit:.2f}{', left out' * one.left_out}{', suspect' * one.suspect}"
        for name, one in fuser.health.items()
    )


def pose2sim(args: argparse.Namespace) -> None:
    """Follow one person by four cameras, as the node does."""
    folder = args.testdata / "multiview/pose2sim_singleperson"
    rig = read_rig(folder / "calib_converted.toml")
    pipelines = {c.name: build({"model": args.model, "top_down": {"max_subjects": 1}}) for c in rig}
    videos = {c.name: cv2.VideoCapture(str(folder / f"{c.name}.mp4")) for c in rig}
    seen_by: list[dict[str, tuple[int, Poses]]] = []
    pictured: dict[str, np.ndarray] = {}
    for tick in range(args.frames):
        stamp, views = tick * 16_666_667, {}
        for name, video in videos.items():
            good, image = video.read()
            if good:
                image = np.ascontiguousarray(image[..., ::-1])
                views[name] = (stamp, pipelines[name](Frame(image, stamp, name)).poses)
                if tick == 40:
                    pictured[name] = image
        if not views:
            break
        seen_by.append(views)
    print(f"\npose2sim_singleperson, {args.model}, {len(seen_by)} moments")
    for words, options in (
        ("not filtered", None), ("filtered", FilterOptions(fit_bones=False)), ("bones fitted", FilterOptions()),
    ):  # fmt: skip
        said, fuser = _followed(rig, seen_by, options)
        measured = [p.sources == Source.MEASURED for p in said]
        errors = np.concatenate([np.asarray(p.reprojection_errors)[m] for p, m in zip(said, measured, strict=True)])
        views_of = np.concatenate([np.asarray(p.views)[m] for p, m in zip(said, measured, strict=True)])
        print(f"  {words}: {sum(len(p) == 1 for p in said)} moments with one person, {sum(len(p) > 1 for p in said)} "
              f"with more; reprojection median {np.median(errors):.1f}, 95 % {np.percentile(errors, 95):.1f} px; views "
              f"{views_of.mean():.2f} of 4; keypoints with a position "
              f"{np.mean([m.mean() for m in measured if len(m)]):.1%}")  # fmt: skip
        trusted = [camera for camera in rig if not fuser.health[camera.name].left_out]
        off = np.concatenate([
            np.linalg.norm(camera.project(np.asarray(poses.points)[:1]) - views[camera.name][1].keypoints[:1], axis=2)
            [views[camera.name][1].scores[:1] > 0.5]
            for poses, views in zip(said, seen_by, strict=True) for camera in trusted
            if len(poses) and camera.name in views and len(views[camera.name][1])
        ])  # fmt: skip
        print(f"    points from what {', '.join(c.name for c in trusted)} saw, agreeing or not: median "
              f"{np.nanmedian(off):.1f} px")  # fmt: skip
        limbs(said)
    lasting(rig, seen_by)
    print(f"  {described_health(fuser)}")
    if args.pictures and pictured:
        _picture(args.pictures / "pose2sim.png", rig, pictured, said[40])
    for names in itertools.combinations([camera.name for camera in rig], 3):
        some = Rig([camera for camera in rig if camera.name in names])
        _, fuser = _followed(some, [{n: view for n, view in views.items() if n in names} for views in seen_by], None)
        print(f"  three alone: {described_health(fuser)}")


def lasting(rig: Rig, seen_by: Sequence[dict[str, tuple[int, Poses]]]) -> None:
    """Say how much alike the residuals of each keypoint in each camera are from one time to another."""
    pixels, scores = np.full((len(rig), len(seen_by), 33, 2), np.nan), np.zeros((len(rig), len(seen_by), 33))
    for tick, views in enumerate(seen_by):
        for v, camera in enumerate(rig):
            if camera.name in views and len(views[camera.name][1]):
                pixels[v, tick], scores[v, tick] = (
                    column[0] for column in (views[camera.name][1].keypoints, views[camera.name][1].scores)
                )
    found = triangulate(rig, pixels, scores, TriangulateOptions(noise=8.0))
    off = np.stack([seen - camera.project(found.points) for camera, seen in zip(rig, pixels, strict=True)])
    off[~found.used] = np.nan
    whole = np.nanmean(np.square(off))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        off -= np.nanmean(off, axis=1, keepdims=True)
    rest = np.nanmean(np.square(off))
    words = [f"{np.nanmean(off[:, :-lag] * off[:, lag:]) / rest:.2f} after {lag / 60:.3f} s" for lag in (1, 4, 8, 12)]
    print(f"  residuals: {1 - rest / whole:.0%} of the variance stays; the rest is alike by {', '.join(words)}")


def _followed(
    rig: Rig, seen_by: Sequence[dict[str, tuple[int, Poses]]], options: FilterOptions | None
) -> tuple[list[Poses], Fuser]:
    """Return who is where at all moments at which anybody saw anything."""
    fuser = Fuser()
    fusion = Fusion(fuser, Tracker(), PointFilter(options) if options else None)
    moments = [(views, next(iter(views.values()))[0]) for views in seen_by if views]
    return [fusion(rig, views, stamp).poses for views, stamp in moments], fuser


def health(args: argparse.Namespace) -> None:
    """Name cameras that were turned, and blame no others; on the named scenes of benchmarks/scenes.py."""
    here = Path(__file__).resolve()
    # Before this folder, where a file has the same name.
    sys.path.insert(0, str(here.parents[1] / "test"))
    spec = importlib.util.spec_from_file_location("named_scenes", here.with_name("scenes.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["named_scenes"] = module
    spec.loader.exec_module(module)
    named = {name: scene for name, scene in module.SCENES.items() if name.startswith("multiview-")}
    print("\nhealth: most misfit of any camera after half a second, and who is left out or suspect at any time")
    for name, scene in named.items():
        for seed in range(args.seeds):
            print(f"  {name}, as calibrated, seed {seed}: {_blamed(module, scene, scene.cameras, seed)}")
    for name in ("multiview-one", "multiview-crossing", "multiview-hard"):
        for count, degrees in itertools.product((5, 3), (0.5, 1.0, 2.0, 5.0)):
            scene = named[name]
            angle = np.radians(degrees)
            turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
            believed = Rig([
                PosedCamera(c.name, c.camera, turn @ c.rotation, turn @ c.translation) if i == 1 else c
                for i, c in enumerate(scene.cameras) if count == 5 or i in (0, 1, 3)
            ])  # fmt: skip
            print(f"  {name}, {count} cameras, camera1 turned by {degrees:g} deg: "
                  f"{_blamed(module, scene, believed, 0)}")  # fmt: skip


def _blamed(module: Any, scene: Any, believed: Rig, seed: int) -> str:
    """Return what is thought of the cameras of a scene."""
    seconds, names = 4.0, [camera.name for camera in believed]
    recording = module.observe(
        scene.people(seconds), scene.cameras, seconds=seconds, rate_hz=scene.rate_hz, faults=scene.faults, seed=seed
    )
    sync, fuser, worst = Sync(names), Fuser(), 0.0
    first: dict[str, float] = {}
    for shot in recording.shots:
        whole = sync(shot.camera.name, shot.stamp_ns, shot.poses) if shot.camera.name in names else None
        if whole is None:
            continue
        fuser(believed, whole.views, whole.stamp_ns)
        passed = (whole.stamp_ns - recording.shots[0].stamp_ns) * 1e-9
        worst = max(worst, *(one.misfit for one in fuser.health.values()) if passed > 0.5 else (0,))
        for name, one in fuser.health.items():
            if one.left_out or one.suspect:
                first.setdefault(f"{name} {'left out' if one.left_out else 'suspect'}", passed)
    return f"{worst:.2f}; {', '.join(f'{who} after {when:.1f} s' for who, when in first.items()) or 'nobody'}"


def hd5(args: argparse.Namespace) -> None:
    """Find three people in five images."""
    folder = args.testdata / "multiview/panoptic_160422_hd5"
    whole = read_rig(folder / "camera_parameters.json")
    rig = Rig([camera for camera in whole if camera.name in _PANOPTIC_CAMERAS])
    pipeline = build({"model": args.model, "top_down": {"max_subjects": 5}})
    for number in (4500, 5514):
        images, views = {}, {}
        for camera in rig:
            image = np.asarray(cv2.imread(str(folder / camera.name / f"{camera.name}_{number:08d}.jpg")))
            images[camera.name] = np.ascontiguousarray(image[..., ::-1])
            pipeline.reset()
            views[camera.name] = (0, pipeline(Frame(images[camera.name])).poses)
        poses = (fuser := Fuser())(rig, views, 0)
        counts = [len(p) for _, p in views.values()]
        print(f"\npanoptic_160422_hd5, image {number}, {args.model}: {counts} people in the images, {len(poses)} in "
              "the hall")  # fmt: skip
        if len(poses):
            print(f"  {_described(poses, fuser)}")
            index, points = poses.skeleton.index, np.asarray(poses.points)
            wide = np.linalg.norm(points[:, index["left_shoulder"]] - points[:, index["right_shoulder"]], axis=1)
            print(f"  shoulders {[round(100 * float(w), 1) for w in wide]} cm apart")
        if args.pictures:
            _picture(args.pictures / f"hd5_{number}.png", rig, images, poses)


def _picture(path: Path, rig: Rig, images: dict[str, np.ndarray], poses: Poses) -> None:
    """Draw the subjects, projected into all cameras."""
    shown = []
    for camera in rig:
        pixels = camera.project(np.asarray(poses.points))
        ids = np.arange(1, len(poses) + 1)
        there = Poses(poses.skeleton, pixels, np.isfinite(pixels[..., 0]) * poses.scores, ids=ids)
        image = draw(images[camera.name], there)
        shown.append(cv2.resize(image, None, fx=540 / image.shape[0], fy=540 / image.shape[0]))
    cv2.imwrite(str(path), np.concatenate(shown, axis=1)[..., ::-1])


def main() -> None:
    """Measure and print."""
    parts = {"speed": speed, "panoptic": panoptic, "caliscope": caliscope, "shelf": shelf, "health": health,
             "pose2sim": pose2sim, "hd5": hd5}  # fmt: skip
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--testdata", type=Path, required=True)
    parser.add_argument("--oracle-python", help="Python of an environment with aniposelib")
    parser.add_argument("--only", nargs="*", choices=parts, default=list(parts))
    parser.add_argument("--seeds", type=int, default=1, help="how often for each scene of health")
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--model", default="blazepose-full")
    parser.add_argument("--frames", type=int, default=100, help="of pose2sim, at most")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of subjects projected into all cameras")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    for name in args.only:
        parts[name](args)


if __name__ == "__main__":
    main()
