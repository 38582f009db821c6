# SPDX-License-Identifier: Apache-2.0
"""Lifting from one camera: camera models, errors in millimetres, a video, and speed.

    python benchmarks/lifting.py TESTDATA
    python benchmarks/lifting.py TESTDATA --only speed --people 1 5

Of the lifters themselves no accuracy is measured where their weights are not: those of Human3.6M cannot be fetched by
everybody. A video then shows that everything runs, with random weights; speed does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from families import measure, variants

from pose_ros.anatomy.metric import HEIGHT_M, BodySize, placed
from pose_ros.core.camera import Camera
from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses, Source
from pose_ros.errors import PoseRosError
from pose_ros.media.sources import open_source
from pose_ros.metrics.mpjpe import mpjpe, n_mpjpe, p_mpjpe
from pose_ros.models.store import Store
from pose_ros.skeletons import catalogue
from pose_ros.wiring import build

PARTS = ("cameras", "place", "estimators", "video", "speed")
#: Whose limbs are compared, by the names of h36m17.
LIMBS = tuple(f"{side}_{joint}" for joint in ("hip", "knee", "foot", "shoulder", "elbow", "wrist")
              for side in ("left", "right"))
#: The joints of MPI-INF-3DHP as mmpose orders them (configs/_base_/datasets/mpi_inf_3dhp.py), by the same names.
_MPI = (
    "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_foot", "left_hip", "left_knee", "left_foot", "root", "spine", "head",
)  # fmt: skip
_MADE = ("right_hip", "left_hip", "spine")
_LIFTERS = ("martinez-h36m", "videopose3d-27", "videopose3d-81", "videopose3d-243")


def people(testdata: Path) -> Iterator[tuple[str, Path, Camera, dict[str, int], dict[str, Any]]]:
    """Yield name, image, camera, place of each joint, and the annotations of both data sets."""
    for folder, names in (("h36m", catalogue.get("h36m17").keypoints), ("mpi_inf_3dhp", _MPI)):
        for person in json.loads((testdata / f"body3d/{folder}/{folder}.json").read_text(encoding="utf-8")):
            c = {key: np.ravel(value) for key, value in person["camera"].items() if key in "fckp"}
            k = np.array([[c["f"][0], 0, c["c"][0]], [0, c["f"][1], c["c"][1]], [0, 0, 1]])
            # k1, k2, p1, p2, k3 is OpenCV's order.
            lens = [c["k"][0], c["k"][1], c["p"][0], c["p"][1], c["k"][2]] if "k" in c else []
            image = testdata / f"body3d/{folder}" / person["image"]
            size = next(iter(open_source(str(image)))).image.shape
            camera = Camera(k, (size[1], size[0]), np.array(lens), "plumb_bob" if lens else "")
            joints = {joint: i for i, joint in enumerate(names)}
            yield f"{folder} {person['image'].split('.')[0]}", image, camera, joints, person


def cameras(testdata: Path) -> None:
    """Print how far projected joints are from the given pixels."""
    print("camera models: largest distance of a projected joint from the given pixel, and back at the true distance")
    for name, _, camera, joints, person in people(testdata):
        points, pixels = np.array(person["kp3d_camera_m"])[:, :3], np.array(person["kp2d"])[:, :2]
        away = np.linalg.norm(camera.project(points) - pixels, axis=1)
        rays = camera.rays(pixels)
        rays *= np.linalg.norm(points, axis=1, keepdims=True) / np.linalg.norm(rays, axis=1, keepdims=True)
        back = np.linalg.norm(rays - points, axis=1)
        made = np.isin(list(joints), _MADE if "mpi" in name else ())
        print(f"  {name:38} {away[~made].max():.4f} px, {1e3 * back[~made].max():.3f} mm, {(~made).sum()} joints"
              + (f"; {made.sum()} that mmpose makes of others, in pixels and in metres apart: {away[made].max():.2f} px"
                 if made.any() else ""))  # fmt: skip


def place_true_shapes(testdata: Path) -> None:
    """Print where true shapes of unknown size are put by a height of adults."""
    print(f"a true shape, its size by a height of {HEIGHT_M} m, its place by keypoints: error of the root")
    for name, _, camera, joints, person in people(testdata):
        truth = np.array(person["kp3d_camera_m"], np.float64)[:, :3]
        for kind in ("kp2d", "det2d"):
            if kind not in person:
                continue
            rows = [joints[limb] for limb in LIMBS]
            target = catalogue.get("coco17")
            index = [target.index[limb.replace("foot", "ankle")] for limb in LIMBS]
            keypoints, local = np.full((1, 17, 2), np.nan), np.full((1, 17, 3), np.nan)
            keypoints[0, index] = np.array(person[kind])[rows, :2]
            local[0, index] = (truth - truth[joints["root"]])[rows]
            poses, sigma = BodySize()(Poses(target, keypoints, np.isfinite(keypoints[..., 0]), local_points=local), 0)
            found = placed(poses, camera, sigma)
            assert found.points is not None
            assert poses.local_points is not None
            root, depth = found.points[0, index[:2]].mean(axis=0), np.linalg.norm(truth[joints["root"]])
            size = np.nanmean(poses.local_points[0, index] / local[0, index])
            error = root - truth[[joints["left_hip"], joints["right_hip"]]].mean(axis=0)
            print(f"  {name:38} {kind:5} {1e3 * np.linalg.norm(error):6.0f} mm at {depth:.2f} m: body taken for "
                  f"{100 * size:.0f} % of its size, claimed sigma {100 * sigma[0]:.1f} %")


def estimators(testdata: Path, model: str) -> None:
    """Print the errors of a model that says metres on its own."""
    print(f"{model}: 12 limb joints around the middle of the hips, mm; its root's distance from the true one, m")
    pipeline = build({"model": model, "track": False, "smooth": False})
    h36m = catalogue.get("h36m17")
    rows = [h36m.index[limb] for limb in LIMBS]
    for name, image, camera, joints, person in people(testdata):
        poses = pipeline(Frame(next(iter(open_source(str(image)))).image, 0, "", camera)).poses
        if not len(poses) or poses.points is None:
            print(f"  {name:38} nobody found")
            continue
        poses = poses.to(h36m)
        assert poses.points is not None
        truth = np.array(person["kp3d_camera_m"], np.float64)[:, :3]
        both = [poses.points[0][rows].astype(np.float64), truth[[joints[limb] for limb in LIMBS]]]
        roots = [points[:2].mean(axis=0) for points in both]
        found, expected = (points - root for points, root in zip(both, roots, strict=True))
        errors = [1e3 * float(metric(found, expected)) for metric in (mpjpe, p_mpjpe, n_mpjpe)]
        print(f"  {name:38} MPJPE {errors[0]:6.1f}  P-MPJPE {errors[1]:6.1f}  N-MPJPE {errors[2]:6.1f}  root off by "
              f"{np.linalg.norm(roots[0] - roots[1]):.2f} m at {np.linalg.norm(roots[1]):.2f} m")


def video(path: Path, model: str, lifter: str, most: int) -> None:
    """Run a model and a lifter with random weights over a video."""
    import torch
    import yaml

    from pose_ros.networks import catalogue as networks

    card = Store().card(lifter)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory(prefix="lifting-") as folder:
        torch.save(networks.build(card.network).state_dict(), Path(folder) / "random.pt")
        text = {
            "kind": "lifter", "plugin": card.plugin, "summary": "Random.", "file": {"path": "random.pt"},
            "licence": {"weights": "none"}, "input_wh": list(card.input_wh), "skeleton": card.skeleton,
            "preprocess": {"channels": card.preprocess.channels}, "network": dict(card.network),
            "params": dict(card.params),
        }  # fmt: skip
        (Path(folder) / "random-lifter.yaml").write_text(yaml.safe_dump(text), encoding="utf-8")
        os.environ["POSE_ROS_MODEL_PATH"] = folder
        pipeline = build({"model": model, "lifting": {"model": "random-lifter"}})
        frames = bodies = lifted = 0
        spent: list[float] = []
        for frame in open_source(str(path)):
            if frames == most:
                break
            width, height = frame.size_wh
            camera = Camera(np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1.0]]), frame.size_wh)
            result = pipeline(Frame(frame.image, frame.stamp_ns, "camera", camera))
            frames, bodies = frames + 1, bodies + len(result.poses)
            shapes = result.poses.local_points
            if shapes is not None:  # where random shapes stand is not asked
                known = np.isfinite(shapes).all(axis=2) & (result.poses.sources == Source.INFERRED)
                lifted += int(known.any(axis=1).sum())
            spent.append(result.stages.ms.get("lift", np.nan))
    print(f"{path.name}, {model}, {lifter} with random weights: {frames} frames, {bodies} bodies, {lifted} lifted, "
          f"{np.nanmedian(spent):.1f} ms a frame for lifting (median)")


def speed(names: list[str], counts: list[int], rounds: int) -> None:
    """Print milliseconds of one call of each lifter, by every library."""
    rng = np.random.default_rng(0)
    print("ms of one call: " + ", ".join(f"{n} {'people' if n > 1 else 'person'}" for n in counts))
    for name in names:
        card = Store().card(name)
        with tempfile.TemporaryDirectory(prefix="lifting-") as folder:
            runs: dict[Any, Callable[[], object]] = {}
            for runtime, plugin in variants(card, Store(), Path(folder), "cpu", "float32"):
                for n in counts:
                    shape = (n, plugin.window, len(plugin.takes))  # type: ignore[attr-defined]
                    past = rng.uniform(0, 480, (*shape, 2)).astype(np.float32), np.ones(shape, np.float32)
                    runs[runtime, n] = partial(plugin.lift, *past, (640, 480))  # type: ignore[attr-defined]
            found = measure(runs, rounds)
        for runtime in dict.fromkeys(runtime for runtime, _ in runs):
            times = "  ".join(f"{1e3 * found[runtime, n]:8.2f}" for n in counts)
            print(f"  {name:24} {runtime:22} {times}")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("testdata", type=Path)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--model", default="blazepose-full", help="finds the keypoints (default: %(default)s)")
    parser.add_argument("--lifter", default="videopose3d-27", help="of the video (default: %(default)s)")
    parser.add_argument("--video", default="mmpose_demo.mp4", help="below TESTDATA/video (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=100, help="of the video at most (default: %(default)s)")
    parser.add_argument("--lifters", nargs="+", default=list(_LIFTERS),
                        help="whose speed is measured; MotionBERT takes seconds a call")
    parser.add_argument("--people", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--rounds", type=int, default=11)
    args = parser.parse_args()
    steps: dict[str, Callable[[], None]] = {
        "cameras": partial(cameras, args.testdata), "place": partial(place_true_shapes, args.testdata),
        "estimators": partial(estimators, args.testdata, args.model),
        "video": partial(video, args.testdata / "video" / args.video, args.model, args.lifter, args.frames),
        "speed": partial(speed, args.lifters, args.people, args.rounds),
    }  # fmt: skip
    for part in args.only:
        try:
            steps[part]()
        except PoseRosError as error:
            print(f"{part}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
