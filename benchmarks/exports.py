# SPDX-License-Identifier: Apache-2.0
"""What Blender and OpenSim read out of exported files, beside what was written into them.

    python benchmarks/exports.py --blender-python VENV/bin/python --opensim-python VENV/bin/python
    python benchmarks/exports.py clip.mp4 --blender-python VENV/bin/python --keep out

Without a video, a synthetic person walks (test/scenes); of a video, the longest seen person of ``--model`` is taken.
Each program has an environment of its own: ``pip install bpy`` for Blender, ``pip install opensim`` for OpenSim. BVH is
imported with Blender's own operator and its bones are posed in every frame; the distance of their joints is told both
to the points that were seen, which have no fixed lengths, and to the fit of fixed limbs that the file holds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

# Before this folder, where files have the same names.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))
from scenes import at, walker

from pose_ros.anatomy.describe import described
from pose_ros.core.poses import Poses, TrackState
from pose_ros.exports import bvh, opensim
from pose_ros.exports.take import TO_Y_UP, TO_Z_UP, Take, collect, held
from pose_ros.media.sources import open_source
from pose_ros.skeletons import catalogue
from pose_ros.wiring import build

BLENDER = """
import json, sys
import bpy
path, out = sys.argv[1:]
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.import_anim.bvh(filepath=path, global_scale=0.01, frame_start=1, update_scene_fps=True)
body, scene = bpy.context.object, bpy.context.scene
frames = []
first, last = body.animation_data.action.frame_range
for frame in range(int(first), int(last) + 1):
    scene.frame_set(frame)
    frames.append({name: list(body.matrix_world @ place) for bone in body.pose.bones
                   for name, place in ((bone.name, bone.head), (f"{bone.name} end", bone.tail))})
ends = [bone.name for bone in body.pose.bones if not bone.children]
json.dump({"version": bpy.app.version_string, "fps": scene.render.fps / scene.render.fps_base, "ends": ends,
           "frames": frames}, open(out, "w"))
"""
OPENSIM = """
import json, sys
import opensim
trc, mot, out = sys.argv[1:]
points, angles = opensim.TimeSeriesTableVec3(trc), opensim.TimeSeriesTable(mot)
markers, motion = opensim.MarkerData(trc), opensim.Storage(mot)
json.dump({
    "version": opensim.GetVersion(), "unit": points.getTableMetaDataString("Units"), "rate": markers.getDataRate(),
    "markers": list(points.getColumnLabels()), "angles": list(angles.getColumnLabels()),
    "times": [list(points.getIndependentColumn()), list(angles.getIndependentColumn())],
    "degrees": motion.isInDegrees(), "counts": [markers.getNumFrames(), markers.getNumMarkers(), motion.getSize()],
    "points": [[[row[i][axis] for axis in range(3)] for i in range(row.size())]
               for row in (points.getRowAtIndex(r) for r in range(points.getNumRows()))],
    "values": [[row[i] for i in range(row.size())]
               for row in (angles.getRowAtIndex(r) for r in range(angles.getNumRows()))],
}, open(out, "w"))
"""


def ask(python: str, script: str, *files: Path) -> dict:
    """Return what a script says in another environment."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        # OpenSim leaves a log where it runs.
        found = [str(file.resolve()) for file in files]
        subprocess.run([python, "-c", script, *found, str(out)], check=True, cwd=folder,
                       stdout=subprocess.DEVNULL)
        return dict(json.loads(out.read_text()))


def synthetic() -> Take:
    """Return a person who walks for two seconds, exactly as test/scenes has it, with its joint angles."""
    truth, kind = at(walker(), np.arange(100) / 50), catalogue.get("h36m17")
    one = {"ids": [1], "states": [TrackState.TRACKED]}
    seen = (Poses(kind, np.full((1, 17, 2), np.nan), np.ones((1, 17)), points=p, **one) for p in truth.points("h36m17"))
    return collect((round(i / 50 * 1e9), described(poses, None)) for i, poses in enumerate(seen))


def real(path: Path, model: str) -> Take:
    """Return the longest seen person of a video, upright."""
    pipeline = build({"model": model, "top_down": {"max_subjects": 1}})
    take = collect((frame.stamp_ns, pipeline(frame).poses) for frame in open_source(str(path))).turned(TO_Z_UP["-y"])
    longest = max(take.subjects, key=lambda subject: int(np.isfinite(subject.points).any(axis=(1, 2)).sum()))
    return Take(take.skeleton, take.stamps_ns, (longest,), take.space)


def millimetres(a: np.ndarray, b: np.ndarray) -> str:
    """Return median and largest distance of points (..., 3) in metres."""
    off = 1e3 * np.linalg.norm(a - b, axis=-1)
    return f"median {np.nanmedian(off):.4f} mm, largest {np.nanmax(off):.4f} mm"


def blender(python: str, take: Take, path: Path) -> None:
    """Compare a BVH file in Blender with the points of a take (z up, as Blender has it)."""
    even = take.even(gap_s=1.0)
    said = ask(python, BLENDER, path)
    skeleton, points = bvh._treelike(even.skeleton, even.subjects[0].points)
    joints = bvh.tree(skeleton, np.isfinite(points).all(axis=2).any(axis=0))
    points = held(points)
    offsets, turns, root = bvh.fit(joints, points @ TO_Y_UP.T)
    places, world = np.zeros((len(points), len(offsets), 3)), turns.copy()
    for joint, parent in enumerate(joints.parents):
        if parent >= 0:
            world[:, joint] = world[:, parent] @ turns[:, joint]
        places[:, joint] = root if parent < 0 else places[:, parent] + world[:, parent] @ offsets[joint]
    names = [skeleton.keypoints[i] for i in joints.keypoints]
    column = {name: f"{names[joints.parents[i]]} end" if not joints.children(i) else name
              for i, name in enumerate(names)}
    # A bone of several ends has its tail between them: their joints have no place of their own in Blender.
    told = [i for i, name in enumerate(names) if joints.children(i) or names[joints.parents[i]] in said["ends"]]
    read = np.array([[frame[column[names[i]]] for i in told] for frame in said["frames"]])
    seen = points[:, [joints.keypoints[i] for i in told]]
    print(f"Blender {said['version']}: {len(read)} of {len(points)} frames at {said['fps']:.2f} Hz, {len(told)} of "
          f"{len(names)} joints; to the fit {millimetres(read, places[:, told] @ TO_Y_UP)}; to the points "
          f"{millimetres(read, seen)}")


def open_sim(python: str, take: Take, trc: Path, mot: Path) -> None:
    """Compare TRC and MOT files in OpenSim with a take."""
    said = ask(python, OPENSIM, trc, mot)
    even = take.even()
    points = even.subjects[0].points @ TO_Y_UP.T
    columns = [even.skeleton.measures.index(name) for name in said["angles"]]
    first = np.abs(even.seconds - said["times"][1][0]).argmin()
    degrees = np.degrees(even.subjects[0].measures[first : first + len(said["values"]), columns])
    off = np.nanmax(np.abs(np.array(said["values"], float) - degrees))
    same = tuple(said["markers"]) == even.skeleton.keypoints
    late = max(np.abs(np.array(times) - even.seconds[at : at + len(times)]).max()
               for times, at in zip(said["times"], (0, first), strict=True))
    read = np.array(said["points"], float)
    blank = np.isnan(read).any(axis=2)
    print(f"OpenSim {said['version']}: frames, markers, rows {said['counts']} at {said['rate']:g} Hz in "
          f"{said['unit']}; markers named alike: {same}; points {millimetres(read, points)}; missing alike: "
          f"{np.array_equal(blank, np.isnan(points).any(axis=2))} ({int(blank.sum())}); {len(columns)} angles, "
          f"degrees: {said['degrees']}, largest difference {off:.5f}; times {late * 1e3:.4f} ms")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", nargs="?", type=Path)
    parser.add_argument("--model", default="blazepose-full")
    parser.add_argument("--blender-python")
    parser.add_argument("--opensim-python")
    parser.add_argument("--keep", type=Path, help="folder for the files")
    args = parser.parse_args()
    take = real(args.video, args.model) if args.video else synthetic()
    with tempfile.TemporaryDirectory() as folder:
        out = args.keep or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        (walk,), (trc,), (mot,) = (write(take, out / f"walk.{ending}") for write, ending in (
            (bvh.write_bvh, "bvh"), (opensim.write_trc, "trc"), (opensim.write_mot, "mot")))
        print(f"{args.video.name if args.video else 'synthetic'}: {len(take.stamps_ns)} moments of "
              f"{take.skeleton.name}, points of the {take.space}")
        if args.blender_python:
            blender(args.blender_python, take, walk)
        if args.opensim_python:
            open_sim(args.opensim_python, take, trc, mot)


if __name__ == "__main__":
    main()
