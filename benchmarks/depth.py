# SPDX-License-Identifier: Apache-2.0
"""How well people are measured by a depth camera, on rendered depth of known truth: ``python benchmarks/depth.py``.

Error of the joints by distance, beside what a single pixel or the median of a patch gives; keypoints that lie on the
background; what goes wrong (holes, noise, a depth camera elsewhere, another stamp), people who hide one another, and
the time it takes. People, cameras and faults are those of test/scenes. With ``--open3d-python PYTHON``, an interpreter
that has Open3D, its ray casting renders the same scene from its own meshes, its unprojection is compared, and its
removal of outliers is tried in place of the choice of surfaces.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))
from scenes import Faults, Person, Truth, at, circling, crossing, line, observe, posed, stand
from scenes.depth import DepthFaults, render
from scenes.rays import capsules

from pose_ros.core.depth import Depth
from pose_ros.core.poses import Poses, Source
from pose_ros.multiview.rig import PosedCamera
from pose_ros.rgbd.buffer import DepthBuffer
from pose_ros.rgbd.measure import DepthMeasurer, measured
from pose_ros.rgbd.options import DepthOptions
from pose_ros.rgbd.view import in_colour
from pose_ros.ros.point_cloud import cloud_to_depth
from pose_ros.skeletons import catalogue

BODY = slice(5, 17)
STEREO = DepthFaults(noise_m=0.0015, holes=0.05, step_m=0.1)
#: What good networks are off by.
NETWORK = Faults(sigma_px=0.5, sigma_size=0.012, spread=0.5)
SIZE = (640, 480)
COLOUR = posed("colour", (0, 0, 1.2), (4, 0, 0.95), SIZE)
BESIDE = posed("depth", (0, 0.05, 1.2), (4, 0.0, 0.95), SIZE)

#: Points, who gets them, truth: metres in the colour camera's frame.
Sight = tuple[Poses, np.ndarray, Depth, int]


def sights(
    distance: float, seconds: float = 6.0, faults: DepthFaults = STEREO, depth_camera: PosedCamera | None = None,
    late_s: float = 0.0, wall: float = 0.6, network: Faults = NETWORK,
) -> Iterator[Sight]:
    """Yield what is seen of one person who walks to and fro before a wall, sideways and then to the camera.

    Args:
        distance: Of the person, metres.
        seconds: Half for each direction.
        faults: Of the depth.
        depth_camera: None: registered.
        late_s: How much later than the image the depth was taken.
        wall: How far behind the person, metres.
        network: How far off keypoints are.
    """
    half = seconds / 2
    for people in ([Person(line((distance, -half / 2), (distance, 9)), 1.75, 1.0)],
                   [Person(line((distance + 0.4, 0.1), (0, 0.1)), 1.75, 0.25)]):  # fmt: skip
        recording = observe(people, COLOUR, "coco17", seconds=half, rate_hz=10, faults=network, seed=1)
        for shot in recording.shots:
            truth = recording.truth(shot.stamp_ns + round(late_s * 1e9))
            depth = render(truth, 0, depth_camera or COLOUR, colour=COLOUR if depth_camera else None,
                           wall_m=distance + wall, faults=faults, seed=shot.tick).depth  # fmt: skip
            joints = shot.points @ COLOUR.rotation.T + COLOUR.translation
            yield shot.poses.replace(ids=shot.true_ids), joints, depth, shot.stamp_ns


def one_pixel(poses: Poses, depth: Depth) -> np.ndarray:
    """Return (N, K, 3): the depth of the pixel itself, which is what most packages take."""
    x, y = np.nan_to_num(np.rint(poses.keypoints), nan=-1).astype(int).transpose(2, 0, 1)
    inside = (x >= 0) & (y >= 0) & (x < SIZE[0]) & (y < SIZE[1])
    z = np.where(inside, depth.image[y * inside, x * inside] * depth.scale, 0)
    return COLOUR.camera.rays(poses.keypoints) * np.where(z > 0, z, np.nan)[..., None]


def line_of(errors: list[np.ndarray], asked: int, squares: list[np.ndarray] | None = None) -> str:
    """Return one line: errors (M,) of the points that there are, of so many joints that were seen."""
    e = np.concatenate(errors)
    text = (f"median {1000 * np.median(e):6.1f}  mean {1000 * e.mean():6.1f}  P95 {1000 * np.percentile(e, 95):7.1f} mm"
            f"  off by > 0.3 m {100 * (e > 0.3).mean():5.2f} %  of the joints {100 * len(e) / asked:5.1f} %")
    if squares:
        s = np.concatenate(squares)
        text += f"  squared/3 {s.mean() / 3:5.2f}  in 95 % {100 * (s < 7.815).mean():5.1f} %"
    return text


def run(scene: Iterator[Sight], options: DepthOptions | None) -> str:
    """Return the line of a scene; ``options`` None takes one pixel."""
    measurer = DepthMeasurer(options)
    errors: list[np.ndarray] = []
    squares: list[np.ndarray] = []
    inferred: list[np.ndarray] = []
    asked = 0
    for poses, joints, depth, stamp_ns in scene:
        clear = np.isfinite(poses.keypoints[:, BODY, 0])
        asked += int(clear.sum())
        if options is None:
            result = poses.replace(points=one_pixel(poses, depth))
        else:
            result = measurer(poses, COLOUR.camera, depth, stamp_ns)
        assert result.points is not None
        off = (result.points - joints)[:, BODY]
        good = np.isfinite(off[..., 0])
        if options is not None:
            completed = good & (result.sources[:, BODY] == Source.INFERRED)
            inferred.append(np.linalg.norm(off[completed], axis=1))
            good &= ~completed
        errors.append(np.linalg.norm(off[good], axis=1))
        if result.covariances is not None:
            c = result.covariances[:, BODY][good].astype(np.float64)
            squares.append(np.einsum("ki,ki->k", off[good], np.linalg.solve(c, off[good][..., None])[..., 0]))
    completed = np.concatenate(inferred) if inferred else np.empty(0)
    text = line_of(errors, asked, squares)
    if len(completed):
        text += f" | inferred {100 * len(completed) / asked:4.1f} %, median {1000 * np.median(completed):5.1f} mm"
    return text


def accuracy(seconds: float) -> None:
    """Print errors by distance and by what is switched on."""
    ways = {"one pixel": None, "patch": DepthOptions(foreground=False, limb_check=False),
            "+ foreground": DepthOptions(limb_check=False), "+ limbs": DepthOptions()}  # fmt: skip
    print("joints of the body, a wall 0.6 m behind the person, 5 % holes, noise 0.0015 z^2")
    for distance in (1.5, 2.5, 4.0, 6.0):
        for name, options in ways.items():
            print(f"{distance:4.1f} m  {name:<13}{run(sights(distance, seconds), options)}")
    print("\nkeypoints three times as far off, at 2.5 m")
    coarse = Faults(sigma_px=1.5, sigma_size=0.036, spread=0.5)
    for name, options in ways.items():
        print(f"        {name:<13}{run(sights(2.5, seconds, network=coarse), options)}")


def troubles(seconds: float) -> None:
    """Print what each fault does, at 2.5 m."""
    print("\nwhat goes wrong, at 2.5 m")
    cases: dict[str, dict[str, Any]] = {
        "nothing": {"faults": DepthFaults()},
        "30 % holes": {"faults": DepthFaults(noise_m=0.0015, holes=0.3, step_m=0.1)},
        "70 % holes": {"faults": DepthFaults(noise_m=0.0015, holes=0.7, step_m=0.1)},
        "noise x 4": {"faults": DepthFaults(noise_m=0.006, holes=0.05)},
        "32FC1": {"faults": DepthFaults(noise_m=0.0015, holes=0.05, step_m=0.1, millimetres=False)},
        "5 cm beside": {"depth_camera": BESIDE},
        "wall 0.2 m": {"wall": 0.2},
        "33 ms late": {"late_s": 0.033},
        "200 ms late": {"late_s": 0.2},
    }
    for name, how in cases.items():
        print(f"{name:<14}{run(sights(2.5, seconds, **how), DepthOptions())}")
    buffer: DepthBuffer[str] = DepthBuffer()
    buffer.put(200_000_000, "depth")
    print(f"the last one is refused: {buffer.find(0, DepthOptions().max_time_difference).reason}")


def behind(gap: float, seconds: float) -> list[Person]:
    """Return somebody who stands, and somebody who passes behind him."""
    return [Person(stand((1.0, 0.0)), 1.75, 0.0, gait=0.0),
            Person(line((1.0 - gap, -seconds / 2), (1.0 - gap, 9)), 1.7, 1.0)]  # fmt: skip


def reaching(gap: float) -> list[Person]:
    """Return somebody who stretches his arms out beside somebody who stands so much farther away, or nearer."""
    arms = {f"{side}_shoulder_flexion": np.radians(60) for side in ("left", "right")}
    return [Person(stand((1.0, -0.35), np.pi / 2), 1.75, 0.0, gait=0.0, moves=lambda t: arms),
            Person(stand((1.0 - gap, 0.15)), 1.7, 0.0, gait=0.0)]  # fmt: skip


def crowds(seconds: float) -> None:
    """Print on whom keypoints are measured that somebody else hides, where the network is sure of all of them."""
    camera = posed("colour", (3.2, 0, 1.3), (0, 0, 0.95), SIZE, focal=0.6)
    scenes = {"three cross": crossing(3, seconds, speed_mps=0.8), "two cross": crossing(2, seconds, 0.35, 0.8),
              "1 m behind": behind(1.0, seconds), "0.5 m behind": behind(0.5, seconds),
              "right behind": [Person(stand((x, 0.0)), 1.75, 0.0, gait=0.0) for x in (1.0, 0.0)],
              "arms before": reaching(0.15), "arms behind": reaching(-0.25), "five in a ring": circling(5, 1.2)}
    sure = Faults(sigma_px=0.5, sigma_size=0.012, spread=0.3, guess=True, sure=True)
    print("\nkeypoints that somebody else hides, and a network that is sure of them; what is seen beside")
    for name, people in scenes.items():
        for tracked in (True, False):
            recording = observe(people, camera, "coco17", seconds=seconds, rate_hz=10, faults=sure)
            measurer, hidden, wrong, made, found, asked = DepthMeasurer(), 0, 0, [], [], 0
            for shot in recording.shots:
                image = render(recording.truth(shot.stamp_ns), 0, camera, wall_m=6, faults=STEREO, seed=shot.tick)
                poses = shot.poses.replace(ids=shot.true_ids) if tracked else shot.poses
                result = measurer(poses, camera.camera, image.depth, shot.stamp_ns)
                assert result.points is not None
                assert result.covariances is not None
                off = (result.points - (shot.points @ camera.rotation.T + camera.translation)).astype(np.float64)
                x, y = np.rint(poses.keypoints).astype(int).clip(0, np.array(SIZE) - 1).transpose(2, 0, 1)
                owners = image.owners[y, x]
                other = shot.hidden & (owners >= 0) & (owners != (shot.true_ids - 1)[:, None])
                taken, inferred = result.sources == Source.MEASURED, result.sources == Source.INFERRED
                # On the surface of that pixel, and not where the joint is.
                there = np.abs(result.points[..., 2] - image.clean[y, x]) < 0.15
                error = np.linalg.norm(off, axis=2)
                body = np.zeros(other.shape, bool)
                body[:, BODY] = True
                hidden += (other & body).sum()
                wrong += (other & body & taken & there & (np.abs(off[..., 2]) > 0.1)).sum()
                asked += (body & ~shot.hidden).sum()
                found.append(error[body & ~shot.hidden & taken])
                rows = other & body & inferred
                spread = result.covariances[rows].astype(np.float64)
                squares = np.einsum("ki,ki->k", off[rows], np.linalg.solve(spread, off[rows][..., None])[..., 0])
                made.append(np.column_stack([error[rows], squares]))
            e, m = np.concatenate(found), np.concatenate(made)
            text = (f"{name:<15}{'ids' if tracked else 'no ids':<7}hidden {hidden:4d}, on somebody else "
                    f"{100 * wrong / max(hidden, 1):5.1f} %  seen: mean {1000 * e.mean():5.1f}  P95 "
                    f"{1000 * np.percentile(e, 95):5.1f} mm  of the joints {100 * len(e) / asked:5.1f} %")
            if len(m):
                text += (f" | inferred {len(m):3d}, median {1000 * np.median(m[:, 0]):5.1f} mm, "
                         f"in 95 % {100 * (m[:, 1] < 7.815).mean():5.1f} %")
            print(text)


def speed() -> None:
    """Print times of five people with 133 keypoints."""
    print("\n5 people x 133 keypoints, all of them in the image, median of 200")
    colour = posed("colour", (-3.5, 0, 1.2), (0, 0, 0.95), SIZE)
    beside = posed("depth", (-3.5, 0.05, 1.2), (0, 0, 0.95), SIZE)
    recording = observe(circling(5, radius=1.0), colour, "wholebody133", seconds=0.2, rate_hz=10,
                        faults=Faults(sigma_px=1, occlusion=False))  # fmt: skip
    shot = recording.shots[0]
    rng = np.random.default_rng(0)
    keypoints = shot.poses.keypoints.copy()
    for row in keypoints:
        lacking = np.isnan(row[:, 0])
        row[lacking] = row[0] + rng.normal(0, 8, (lacking.sum(), 2))
    poses = shot.poses.replace(keypoints=keypoints, scores=np.full(keypoints.shape[:2], 0.8), sources=None,
                               ids=shot.true_ids)  # fmt: skip
    truth = recording.truth(shot.stamp_ns)
    for name, camera, other in (("registered 640x480", colour, None), ("registered 1280x720", None, None),
                                ("5 cm beside 640x480", beside, colour)):  # fmt: skip
        large = posed("large", (-3.5, 0, 1.2), (0, 0, 0.95), (1280, 720), focal=0.6)
        depth = render(truth, 0, camera or large, colour=other, wall_m=5).depth
        measurer, times = DepthMeasurer(), []
        for i in range(220):
            start = time.perf_counter(), time.process_time()
            measurer(poses, colour.camera, depth, i)
            times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        wall, cpu = 1000 * np.median(times[20:], axis=0)
        print(f"{name:<22}{wall:6.2f} ms, CPU {cpu:6.2f} ms, fastest {1000 * min(t for t, _ in times):6.2f} ms")


OPEN3D = """
import sys, numpy as np, open3d as o3d
d = np.load(sys.argv[1])
scene = o3d.t.geometry.RaycastingScene()
for a, b, r in zip(d["a"], d["b"], d["radii"]):
    length = np.linalg.norm(b - a)
    parts = []
    for end in (a, b):
        ball = o3d.geometry.TriangleMesh.create_sphere(r, 60)
        parts.append(ball.translate(end))
    if length > 1e-6:
        tube = o3d.geometry.TriangleMesh.create_cylinder(r, length, 160, 1)
        z = (b - a) / length
        x = np.cross(z, [0.3, 0.8, -0.5]); x /= np.linalg.norm(x)
        tube.rotate(np.stack([x, np.cross(z, x), z], axis=1), center=np.zeros(3))
        parts.append(tube.translate((a + b) / 2))
    for part in parts:
        scene.add_triangles(o3d.t.geometry.TriangleMesh.from_legacy(part))
w, h = int(d["size"][0]), int(d["size"][1])
def cast(rotation, translation):
    e = np.eye(4); e[:3, :3] = rotation; e[:3, 3] = translation
    rays = o3d.t.geometry.RaycastingScene.create_rays_pinhole(
        o3d.core.Tensor(d["K"] + [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]), o3d.core.Tensor(e), w, h)
    hit = scene.cast_rays(rays)["t_hit"].numpy()
    direction = rays.numpy()[..., 3:] @ rotation.T
    return hit * direction[..., 2]
depth, colour = (cast(d[f"{n}_rotation"], d[f"{n}_translation"]) for n in ("depth", "colour"))
image = o3d.geometry.Image(np.where(np.isfinite(depth), depth, 0).astype(np.float32))
pinhole = o3d.camera.PinholeCameraIntrinsic(w, h, *d["K"][[0, 1, 0, 1], [0, 1, 2, 2]])
cloud = o3d.geometry.PointCloud.create_from_depth_image(image, pinhole, depth_scale=1.0, depth_trunc=50.0)
near = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(np.nan_to_num(d["patches"].reshape(-1, 3))))
kept = []
for patch in d["patches"]:
    p = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(patch[np.isfinite(patch[:, 2])]))
    if len(p.points) > 4:
        p, _ = p.remove_statistical_outlier(min(20, len(p.points) - 1), 1.0)
    kept.append(np.median(np.asarray(p.points)[:, 2]) if len(p.points) else np.nan)
np.savez(sys.argv[2], depth=depth, colour=colour, cloud=np.asarray(cloud.points), kept=kept, version=o3d.__version__)
"""


def oracle(python: str) -> None:
    """Print how far ray casting, unprojection and registration are from Open3D's."""
    truth = at([Person(line((2.5, 0), (2, 0.1)), 1.75, 0.0, gait=0.0)], 0.0)
    bodies = capsules(truth)
    scene, _ = (render(truth, 0, camera, wall_m=None, faults=DepthFaults(millimetres=False)).depth
                for camera in (BESIDE, COLOUR))  # fmt: skip
    poses = perfect(truth)
    patches = patches_of(truth, poses)
    with tempfile.TemporaryDirectory() as folder:
        ask, answer = Path(folder) / "ask.npz", Path(folder) / "answer.npz"
        np.savez(ask, a=bodies.a[0], b=bodies.b[0], radii=bodies.radii, size=SIZE, K=COLOUR.camera.K, patches=patches,
                 depth_rotation=BESIDE.rotation, depth_translation=BESIDE.translation,
                 colour_rotation=COLOUR.rotation, colour_translation=COLOUR.translation)  # fmt: skip
        subprocess.run([python, "-c", OPEN3D, str(ask), str(answer)], check=True)
        found = dict(np.load(answer))
    print(f"\nbeside Open3D {found['version']}")
    own = np.where(np.isfinite(scene.image), scene.image, np.inf)
    both = np.isfinite(own) & np.isfinite(found["depth"])
    floor = _floor(BESIDE) - 1e-3
    both &= own < floor
    print(f"ray casting: {both.sum()} pixels of a person, median difference "
          f"{1000 * np.median(np.abs(own[both] - found['depth'][both])):.3f} mm (its meshes are polygons)")
    rays = BESIDE.camera.rays(np.stack(np.meshgrid(*map(np.arange, SIZE)), axis=-1))
    cast = np.isfinite(found["depth"])
    points = (rays * np.where(cast, found["depth"], 0)[..., None])[cast]
    print(f"unprojection: largest difference {1000 * np.abs(points - found['cloud']).max():.5f} mm")
    rotation = COLOUR.rotation @ BESIDE.rotation.T
    depth = Depth(np.where(cast, found["depth"], np.nan).astype(np.float32), BESIDE.camera, 1.0, 0, rotation,
                  COLOUR.translation - rotation @ BESIDE.translation)  # fmt: skip
    view = in_colour(depth, COLOUR.camera.rays(poses.keypoints), 0.1, 10)
    y, x = np.nonzero(np.isfinite(view.image))
    at_colour = np.rint(COLOUR.camera.project(view.grid.rays(np.stack([x, y], axis=-1)))).astype(int)
    inside = ((at_colour >= 0) & (at_colour < SIZE)).all(axis=1)
    true = found["colour"][at_colour[inside, 1], at_colour[inside, 0]]
    off = np.abs(view.image[y, x][inside] - true)
    print(f"registration: median difference from its view of the colour camera {1000 * np.median(off):.2f} mm, "
          f"{100 * (off < 0.02).mean():.1f} % within 2 cm")
    cloud = cloud_to_depth(found["cloud"], COLOUR.camera, 0, rotation, depth.translation)
    joints = truth.points("coco17")[0] @ COLOUR.rotation.T + COLOUR.translation
    for name, source in (("its depth", depth), ("its cloud", cloud)):
        error = np.linalg.norm(measured(poses, COLOUR.camera, source).points - joints, axis=2)[:, BODY]
        print(f"joints measured in {name}: median {1000 * np.nanmedian(error):.1f} mm, "
              f"most {1000 * np.nanmax(error):.1f} mm")
    wall = at_the_edge(truth, poses)
    assert wall.points is not None
    chosen = wall.points[0, BODY, 2]
    print(f"keypoints 9 px beside their joints, depth off by more than 0.3 m: median of the patch "
          f"{share(np.nanmedian(patches[..., 2], axis=1), joints)}, after remove_statistical_outlier "
          f"{share(found['kept'], joints)}, surfaces and limbs {share(chosen, joints)}")


def share(z: np.ndarray, joints: np.ndarray) -> str:
    """Return how many of the body's depths are wrong."""
    return f"{int((np.abs(z - joints[0, BODY, 2]) > 0.3).sum())} of {int(np.isfinite(z).sum())}"


def perfect(truth: Truth) -> Poses:
    """Return what a perfect network says."""
    joints = truth.points("coco17")[0]
    return Poses(catalogue.get("coco17"), COLOUR.project(joints), np.full(joints.shape[:2], 0.9))


def at_the_edge(truth: Truth, poses: Poses) -> Poses:
    """Return what is measured where the keypoints of the body lie nine pixels beside their joints."""
    depth = render(truth, 0, COLOUR, wall_m=3.2, faults=STEREO).depth
    return measured(aside(poses), COLOUR.camera, depth)


def aside(poses: Poses) -> Poses:
    """Return keypoints nine pixels farther from the middle."""
    keypoints = poses.keypoints.copy()
    keypoints[..., 0] += 9 * np.sign(keypoints[..., 0] - keypoints[:, BODY, 0].mean())
    return poses.replace(keypoints=keypoints)


def patches_of(truth: Truth, poses: Poses) -> np.ndarray:
    """Return the points around each keypoint of the body, (12, M, 3)."""
    depth = render(truth, 0, COLOUR, wall_m=3.2, faults=STEREO).depth
    x, y = np.rint(aside(poses).keypoints[0, BODY]).astype(int).T
    steps = np.stack(np.meshgrid(np.arange(-6, 7), np.arange(-6, 7)), axis=-1).reshape(-1, 2)
    pixels = np.stack([x, y], axis=-1)[:, None] + steps
    pixels = np.clip(pixels, 0, np.array(SIZE) - 1)
    z = depth.image[pixels[..., 1], pixels[..., 0]] * depth.scale
    return COLOUR.camera.rays(pixels) * np.where(z > 0, z, np.nan)[..., None]


def _floor(camera: PosedCamera) -> np.ndarray:
    """Return the depth of the floor at each pixel, metres."""
    rays = camera.camera.rays(np.stack(np.meshgrid(*map(np.arange, SIZE)), axis=-1)) @ camera.rotation
    with np.errstate(divide="ignore"):
        z = -camera.centre[2] / rays[..., 2]
    return np.where(z > 0, z, np.inf)


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0, help="length of each scene (default: %(default)s)")
    parser.add_argument("--open3d-python", help="an interpreter that has Open3D")
    arguments = parser.parse_args()
    accuracy(arguments.seconds)
    troubles(arguments.seconds)
    crowds(arguments.seconds / 2)
    speed()
    if arguments.open3d_python:
        oracle(arguments.open3d_python)


if __name__ == "__main__":
    main()
