# SPDX-License-Identifier: Apache-2.0
"""How far skeletons in metres are from the truth, and whether they know it: synthetic people before synthetic cameras.

    python benchmarks/scenes.py
    python benchmarks/scenes.py multiview-hard rgbd-crossing --seconds 20 --seeds 5
    python benchmarks/scenes.py multiview-hard --option fuser.noise=0.02

Every line is one scene: distance of the joints from where they are; the part of the true joints that has a position at
all; subjects that are nobody; changes of ids and how many there were; and what covariances are worth: the mean of
e' C^-1 e / 3, which is 1 where they are right, and how many errors are inside of the ellipsoid that should hold 95 %.
Below it, the same after the filter over time. Scenes of one camera in pixels (track-...) have no metres; calibrate-...
say how far the cameras are from where they stand. Bodies, cameras and faults are those of the tests (test/scenes); what
runs is what the nodes run, by default with their options.
"""

from __future__ import annotations

import argparse
import ast
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

# Before this folder, where this file has the same name.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))
from scenes import EPOCH_NS, Faults, Person, Shot, circle, circling, crossing, observe, posed, rig, walker
from scenes.cameras import smaller
from scenes.depth import DepthFaults, render
from scenes.people import at
from scenes.rays import pillar
from scenes.scoring import Score, score, switches

from pose_ros.anatomy.limb_fit import LimbFit
from pose_ros.core.frame import Frame
from pose_ros.core.options import from_mapping
from pose_ros.core.poses import Poses, Source
from pose_ros.core.stages import Stages
from pose_ros.fusion import Fusion
from pose_ros.multiview.associate import AssociateOptions
from pose_ros.multiview.fuse import Fuser, FuserOptions
from pose_ros.multiview.people import find_rig
from pose_ros.multiview.rig import PosedCamera, Rig
from pose_ros.multiview.sync import Sync, SyncOptions
from pose_ros.multiview.triangulate import TriangulateOptions
from pose_ros.rgbd.measure import DepthMeasurer
from pose_ros.rgbd.options import DepthOptions
from pose_ros.skeletons import catalogue
from pose_ros.space import Space
from pose_ros.tracking.point_filter import FilterOptions, PointFilter
from pose_ros.tracking.track import Tracker, TrackerOptions

#: Shapes and depth need no picture.
_NO_IMAGE = np.zeros((1, 1, 3), np.uint8)
OPTIONS = {
    "associate": AssociateOptions, "depth": DepthOptions, "filter": FilterOptions, "fuser": FuserOptions,
    "sync": SyncOptions, "tracker": TrackerOptions, "triangulate": TriangulateOptions,
}  # fmt: skip
#: Keypoints of good networks are about this far off, as a part of a person's size in the image, and for about this long
#: (benchmarks/multiview.py --only pose2sim).
NETWORK = Faults(sigma_px=0.5, sigma_size=0.012, spread=0.3, lasting_s=0.13)
HARD = replace(NETWORK, outliers=0.03, swaps=0.03, misses=0.05, drops=0.1, guess=True)
#: A stereo camera; sun and edges make holes.
STEREO = DepthFaults(noise_m=0.0015, holes=0.05, step_m=0.1, range_m=(0.3, 8.0))

Options = Mapping[str, Any]
#: What was estimated: stamp, nanoseconds, and poses; before and after they were filtered.
Estimates = Iterator[tuple[int, Poses, Poses]]
#: What is printed, line by line.
Lines = dict[str, "Score | str"]


@dataclass(frozen=True)
class Scene:
    """People, what looks at them, and what makes skeletons of that."""

    run: Callable[[Scene, Options, float, int], Lines]
    people: Callable[[float], list[Person]]
    cameras: Rig | PosedCamera
    faults: Faults = NETWORK
    rate_hz: float = 30.0
    #: The depth camera; None: the colour camera, at a quarter of its resolution.
    depth: PosedCamera | None = None


class Clock:
    """Seconds spent in what is measured, without making the scene."""

    def __init__(self) -> None:
        self.seconds, self.count = 0.0, 0

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function returns."""
        start = time.perf_counter()
        result = function(*arguments)
        self.seconds += time.perf_counter() - start
        return result


CLOCK = Clock()


def scored(estimates: Estimates, people: list[Person], options: Options, camera: PosedCamera | None = None) -> Lines:
    """Return the scores of single images and of what is filtered over time."""
    both, least = list(estimates), options["min_score"]
    return {"": score(((t, raw) for t, raw, _ in both), people, camera, least),
            "filtered": score(((t, smooth) for t, _, smooth in both), people, camera, least)}  # fmt: skip


class Calm:
    """What nodes do to measured points over time: filter, then give bones their length."""

    def __init__(self, options: FilterOptions) -> None:
        self._filter, self._bones, self._options = PointFilter(options), LimbFit(), options

    def __call__(self, poses: Poses, stamp_ns: int) -> Poses:
        """Return calm poses."""
        poses = self._filter(poses, stamp_ns)
        return self._bones(poses, stamp_ns) if self._options.fit_bones else poses


def multiview(scene: Scene, options: Options, seconds: float, seed: int) -> Lines:
    """Sync, fuse, track and filter, as the node does."""
    people = scene.people(seconds)
    recording = observe(people, scene.cameras, seconds=seconds, rate_hz=scene.rate_hz, faults=scene.faults, seed=seed)
    sync = Sync([camera.name for camera in recording.rig], options["sync"])
    fusion = Fusion(Fuser(options["fuser"], options["associate"], options["triangulate"]), Tracker(options["tracker"]))
    smooth = Calm(options["filter"])

    def estimates() -> Estimates:
        for shot in recording.shots:
            whole = sync(shot.camera.name, shot.stamp_ns, shot.poses)
            while whole is not None:
                CLOCK.count += 1
                poses = CLOCK(fusion, recording.rig, whole.views, whole.stamp_ns).poses
                yield whole.stamp_ns, poses, CLOCK(smooth, poses, whole.stamp_ns)
                whole = sync.more()

    return scored(estimates(), people, options)


def one_camera(scene: Scene, options: Options, seconds: float, seed: int) -> tuple[list[Person], list[Shot]]:
    """Return what one camera saw, with ids of a tracker in the poses."""
    people = scene.people(seconds)
    recording = observe(people, scene.cameras, seconds=seconds, rate_hz=scene.rate_hz, faults=scene.faults, seed=seed)
    return people, recording.shots


def rgbd(scene: Scene, options: Options, seconds: float, seed: int) -> Lines:
    """Track in pixels, measure depth, filter."""
    people, shots = one_camera(scene, options, seconds, seed)
    tracker, smooth = Tracker(options["tracker"]), Calm(options["filter"])
    measure = DepthMeasurer(options["depth"])
    colour = shots[0].camera
    truth = at(people, [(shot.stamp_ns - EPOCH_NS) / 1e9 for shot in shots])
    depth, beside = (scene.depth, colour) if scene.depth else (smaller(colour, 4), None)

    def estimates() -> Estimates:
        for t, shot in enumerate(shots):
            image = render(truth, t, depth, colour=beside, things=scene.faults.things, faults=STEREO, seed=seed).depth
            CLOCK.count += 1
            poses = CLOCK(tracker.update, shot.poses, shot.stamp_ns)[0]
            poses = CLOCK(measure, poses, colour.camera, image, shot.stamp_ns)
            yield shot.stamp_ns, poses, CLOCK(smooth, poses, shot.stamp_ns)

    return scored(estimates(), people, options, colour)


def place(scene: Scene, options: Options, seconds: float, seed: int) -> Lines:
    """Place shapes as a lifter gives them, 3 cm off and 3 % too large or small."""
    people, shots = one_camera(scene, options, seconds, seed)
    tracker, single, over_time = Tracker(options["tracker"]), Space(), Space(filter=PointFilter(options["filter"]))
    rng = np.random.default_rng(seed)
    sizes = rng.normal(1, 0.03, len(people))

    def estimates() -> Estimates:
        for shot in shots:
            shape = (shot.points - shot.points.mean(axis=1, keepdims=True)) @ shot.camera.rotation.T
            shape *= sizes[shot.true_ids - 1, None, None]
            poses = shot.poses.replace(local_points=shape + 0.03 * rng.standard_normal(shape.shape))
            CLOCK.count += 1
            poses = CLOCK(tracker.update, poses, shot.stamp_ns)[0]
            frame = Frame(_NO_IMAGE, shot.stamp_ns, camera=shot.camera.camera)
            yield shot.stamp_ns, single(poses, frame, Stages())[0], CLOCK(over_time, poses, frame, Stages())[0]

    return scored(estimates(), people, options, shots[0].camera)


def track(scene: Scene, options: Options, seconds: float, seed: int) -> Lines:
    """Ids in one camera's image."""
    _, shots = one_camera(scene, options, seconds, seed)
    tracker = Tracker(options["tracker"])
    CLOCK.count += len(shots)
    changes, ids = switches((s.true_ids, CLOCK(tracker.update, s.poses, s.stamp_ns)[0]) for s in shots)
    return {"": f"switches {changes:2d}  ids {ids:2d}"}


def calibrate(scene: Scene, options: Options, seconds: float, seed: int) -> Lines:
    """Find where the cameras stand from the people that each of them follows."""
    people = scene.people(seconds)
    recording = observe(people, scene.cameras, seconds=seconds, rate_hz=scene.rate_hz, faults=scene.faults, seed=seed)
    moments, kind, cameras = recording.shots[-1].tick + 1, recording.skeleton, list(recording.rig)
    tracks = []
    for camera in cameras:
        tracker, rows = Tracker(options["tracker"]), {}
        for shot in recording.of(camera.name):
            poses = tracker.update(shot.poses, shot.stamp_ns)[0]
            for i, own in enumerate(poses.ids.tolist()):
                track = rows.setdefault(own, np.full((moments, len(kind), 3), np.nan))
                track[shot.tick] = np.column_stack([poses.keypoints[i], poses.scores[i]])
        tracks.append(np.stack(list(rows.values())))
    height = float(np.mean([person.height_m for person in people]))
    CLOCK.count += 1
    found = CLOCK(find_rig, {c.name: c.camera for c in cameras}, tracks, kind, height).adjusted
    first = cameras[0]
    turned = np.stack([c.rotation @ first.rotation.T for c in cameras])
    true = np.stack([first.rotation @ (c.centre - first.centre) for c in cameras])
    came = np.stack([-r.T @ t for r, t in zip(found.rotations, found.translations, strict=True)])
    scale = float((came * true).sum() / (true * true).sum())
    off = np.linalg.norm(came - true, axis=1)[1:], np.linalg.norm(came / scale - true, axis=1)[1:]
    cosine = (np.trace(found.rotations @ turned.transpose(0, 2, 1), axis1=1, axis2=2) - 1) / 2
    degrees = np.degrees(np.arccos(np.clip(cosine, -1, 1)))[1:]
    return {"": f"cameras off by mm: mean {1000 * off[0].mean():6.1f}  without scale {1000 * off[1].mean():6.1f}  "
                f"scale {scale:6.4f}  degrees: mean {degrees.mean():5.3f}  most {degrees.max():5.3f}"}  # fmt: skip


_FRONT = posed("colour", (3.2, 0.0, 1.3), (0.0, 0.0, 0.95), focal=0.6)
_BESIDE = posed("depth", (3.2, 0.06, 1.32), (0.0, 0.0, 0.95), (320, 240), "plumb_bob", focal=0.8)
_LENSES = ("plumb_bob", "rational_polynomial", "equidistant")
_FIVE = rig(5, models=_LENSES, sizes=((1280, 720), (640, 480), (1920, 1080)))


def near(seconds: float) -> list[Person]:
    """One person who walks in a small circle before a camera."""
    return [Person(circle((0.0, 0.0), 0.7), speed_mps=0.8)]


SCENES = {
    "multiview-exact": Scene(multiview, lambda s: walker(), _FIVE, Faults(0, occlusion=False)),
    "multiview-one": Scene(multiview, lambda s: walker(), _FIVE),
    "multiview-pixels": Scene(multiview, lambda s: walker(), _FIVE, Faults(2.0)),
    "multiview-crossing": Scene(multiview, lambda s: crossing(3, s), _FIVE),
    "multiview-white": Scene(multiview, lambda s: crossing(3, s), _FIVE, replace(NETWORK, lasting_s=0)),
    "multiview-crowd": Scene(multiview, lambda s: circling(6, 1.8), rig(5, radius=5.5)),
    "multiview-hard": Scene(multiview, lambda s: crossing(4, s), _FIVE, HARD),
    "multiview-pillar": Scene(multiview, lambda s: circling(2), _FIVE, replace(NETWORK, things=(pillar(0, 0),))),
    "multiview-unsynchronised": Scene(
        multiview, lambda s: crossing(3, s), _FIVE,
        replace(NETWORK, jitter_s=0.002, offsets_s=(0.0, 0.007, 0.013, 0.02, 0.027)),
    ),
    "multiview-two-cameras": Scene(multiview, lambda s: crossing(2, s), rig(2, models=("plumb_bob",))),
    "rgbd-one": Scene(rgbd, near, _FRONT),
    "rgbd-beside": Scene(rgbd, near, _FRONT, depth=_BESIDE),
    "rgbd-crossing": Scene(rgbd, lambda s: crossing(3, s, speed_mps=0.8), _FRONT, replace(NETWORK, guess=True)),
    "place-one": Scene(place, near, _FRONT),
    "calibrate-one": Scene(calibrate, lambda s: walker(), _FIVE),
    "calibrate-crossing": Scene(calibrate, lambda s: crossing(3, s), _FIVE),
    "track-crossing": Scene(track, lambda s: crossing(4, s), posed("camera", (6, 1, 2.2), (0, 0, 0.9))),
    "track-hard": Scene(track, lambda s: circling(5, 1.6), posed("camera", (5, 1, 1.8), (0, 0, 0.9)), HARD),
}  # fmt: skip


def detail(result: Score) -> None:
    """Print the same for each keypoint and each source."""
    names = catalogue.get("coco17").keypoints
    groups = [(source.name.lower(), result.of(source)) for source in Source]
    groups += [(name, result.only(result.keypoints == k)) for k, name in enumerate(names)]
    for name, one in groups:
        if len(one.errors_m):
            middle, worst = 1000 * np.percentile(one.errors_m, [50, 95])
            print(f"    {name:15s} {len(one.errors_m):6d}  median {middle:6.1f}  P95 {worst:6.1f}  {one.honesty}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=f"of {', '.join(SCENES)}; all when left out")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each scene; %(default)g when left out")
    parser.add_argument("--seeds", type=int, default=1, help="how often, with other noise each time")
    parser.add_argument("--min-score", type=float, default=0.0,
                        help="count keypoints below this as missing, as TF and markers do")  # fmt: skip
    parser.add_argument("--detail", action="store_true", help="the same for each keypoint and source")
    parser.add_argument("--option", action="append", default=[], metavar="GROUP.KEY=VALUE",
                        help=f"another option than the default; groups: {', '.join(OPTIONS)}")  # fmt: skip
    arguments = parser.parse_args()
    if unknown := set(arguments.scenes) - SCENES.keys():
        parser.error(f"expected scenes of {', '.join(SCENES)}; got {', '.join(sorted(unknown))}")
    chosen: dict[str, dict[str, Any]] = {group: {} for group in OPTIONS}
    for text in arguments.option:
        (group, _, key), value = text.partition("=")[0].partition("."), text.partition("=")[2]
        if group not in OPTIONS:
            parser.error(f"expected an option of {', '.join(OPTIONS)}; got {text}")
        chosen[group][key] = ast.literal_eval(value)
    options: dict[str, Any] = {group: from_mapping(OPTIONS[group], values, group) for group, values in chosen.items()}
    options["min_score"] = arguments.min_score
    for name in arguments.scenes or SCENES:
        scene = SCENES[name]
        for seed in range(arguments.seeds):
            CLOCK.seconds = CLOCK.count = 0
            lines = scene.run(scene, options, arguments.seconds, seed)
            for what, result in lines.items():
                each = f" | {1000 * CLOCK.seconds / max(CLOCK.count, 1):5.2f} ms"
                print(f"{what or name:>25s} {result}{'' if what else each}", flush=True)
                if arguments.detail and isinstance(result, Score):
                    detail(result)


if __name__ == "__main__":
    main()
