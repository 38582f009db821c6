# SPDX-License-Identifier: Apache-2.0
"""``pose-ros export``: skeletons over time, as files that people measure with."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_ros.cli import console
from pose_ros.errors import ConfigError

if TYPE_CHECKING:
    from pose_ros.exports.take import Take

_EPILOG = """\
examples:
  pose-ros export out/skeletons --output walk.csv              a bag that the recorder made
  pose-ros export out/results.json --output walk.trc           what `pose-ros run` found in a video: markers for OpenSim
  pose-ros export clip.mp4 --output walk.c3d --output walk.bvh run a model on a video first
  pose-ros export topic:/multiview/skeletons --seconds 60 --output walk.parquet

formats, by the ending of the file:
  .csv .parquet   one line for each keypoint at each moment: pixels, metres, score, how it came about
  .c3d            points in millimetres, z up; all subjects in one file
  .trc            points in metres, y up, for OpenSim; a file for each subject
  .mot            joint angles in degrees, for OpenSim; a file for each subject
  .bvh            limbs of fixed length and how joints turn, y up, centimetres; a file for each subject
  .npz            features of sign language: upper body, hands and face in shoulder widths; all subjects in one file

All but csv, parquet and npz need metres: a calibrated camera, depth, several cameras, or a model with 3D of its own,
whose points then stand around each subject's root. All but csv and parquet have moments at equal distances: in between
is interpolated, and what is lost for longer than 0.25 s stays missing.

"""


def _writers() -> dict[str, Callable[[Take, Path], Any]]:
    from pose_ros.exports import bvh, c3d, features, opensim, table

    return {".csv": table.write_csv, ".parquet": table.write_parquet, ".c3d": c3d.write_c3d, ".trc": opensim.write_trc,
            ".mot": opensim.write_mot, ".bvh": bvh.write_bvh, ".npz": features.write_npz}  # fmt: skip


def add(commands: Any, common: argparse.ArgumentParser, exit_codes: str) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "export", parents=[common], help="write skeletons over time as CSV, Parquet, C3D, TRC, MOT, BVH or NPZ",
        description="Write skeletons over time as files that other programs measure with.",
        epilog=_EPILOG + exit_codes, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE",
                        help="bag with skeletons, results.json of `pose-ros run`, topic:/NAME, or a video")
    parser.add_argument("--output", metavar="FILE", type=Path, action="append", required=True,
                        help="file to write; its ending names the format; may be given several times")
    parser.add_argument("--topic", default="", help="of a bag with several skeleton topics")
    parser.add_argument("--part", choices=("hands", "faces"), default="", help="of a video or results.json: hands or "
                        "faces in place of whole subjects")
    parser.add_argument("--skeleton", default="", help="convert keypoints to this skeleton, such as coco17")
    parser.add_argument("--up", choices=("auto", "z", "y", "-y"), default="auto", help="axis of the points that points "
                        "upwards: -y of a level camera's optical frame, z of a room (auto)")
    parser.add_argument("--seconds", type=float, default=0.0, help="how long to listen to a topic; 0: until Ctrl-C")
    parser.add_argument("--predicted", action="store_true", help="also keep where unseen subjects should be")
    parser.add_argument("--model", default="blazepose-full", help="to run on a video (default: %(default)s)")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="of that model, as in `run`")
    parser.set_defaults(handler=handle)


def handle(args: argparse.Namespace) -> int:
    """Run the command."""
    from pose_ros.exports.take import TO_Z_UP, collect

    writers = _writers()
    for path in args.output:
        if path.suffix.lower() not in writers:
            raise ConfigError("--output", f"expected a file that ends in {' '.join(writers)}, got {path}")
    moments, optical = _moments(args)
    if args.skeleton:
        from pose_ros.skeletons import catalogue

        target = catalogue.get(args.skeleton)
        moments = [(stamp, poses.to(target)) for stamp, poses in moments]
    take = collect(moments, predicted=args.predicted)
    up = ("-y" if optical() else "z") if args.up == "auto" else args.up
    report: dict[str, Any] = {
        "source": args.source, "skeleton": take.skeleton.name, "moments": len(take.stamps_ns), "rate_hz": take.rate,
        "seconds": float(take.seconds[-1]), "subjects": [s.name for s in take.subjects], "space": take.space,
        "up": up, "written": [],
    }
    for path in args.output:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Tables hold what was measured as it was; motion capture knows which way is up.
        table = path.suffix.lower() in (".csv", ".parquet", ".npz")
        written = writers[path.suffix.lower()](take if table else take.turned(TO_Z_UP[up]), path)
        report["written"] += [str(p) for p in written or [path]]
    if args.json:
        console.show_json(report)
        return 0
    where = {"camera": f"metres, {up} up", "root": f"metres around each subject's root, {up} up"}
    console.show(
        f"{report['moments']} moments in {report['seconds']:.2f} s ({take.rate:g} Hz), {take.skeleton.name}, "
        f"{where.get(take.space, 'pixels alone')}",
        f"subjects: {', '.join(report['subjects'])}",
        "\n".join(["written:", *(f"  {path}" for path in report["written"])]),
    )
    return 0


def _moments(args: argparse.Namespace) -> tuple[Any, Callable[[], bool]]:
    """Return the moments of the source, and what says, when they were read, whether they are of an optical frame."""
    from pose_ros.cli.takes import BagTake, LiveTake, read_run, run_moments

    source, path = str(args.source), Path(args.source)
    if source.startswith("topic:"):
        live = LiveTake(source.removeprefix("topic:"), args.seconds)
        return live.moments(), lambda: live.optical
    if path.suffix == ".json":
        return run_moments(read_run(path), args.part), lambda: True
    if path.suffix in (".mcap", ".db3") or (path / "metadata.yaml").exists():
        bag = BagTake(path, args.topic)
        return bag.moments(), lambda: bag.optical
    return run_moments(_run(args), args.part), lambda: True


def _run(args: argparse.Namespace) -> dict[str, Any]:
    """Run the model on a video, and return what `pose-ros run` says of it."""
    from pose_ros.cli import results
    from pose_ros.cli.runner import Runner

    runner = Runner(argparse.Namespace(
        model=args.model, device="auto", skeleton="", max_subjects=None, hands=args.part == "hands",
        faces=args.part == "faces", set=args.set, output=None, every=1, max_frames=0, min_score=0.3,
    ))
    done = list(runner.run([args.source]))
    if "error" in done[0]:
        raise ConfigError("source", done[0]["error"])
    return {"schema": results.SCHEMA, **runner.about(), "sources": done}
