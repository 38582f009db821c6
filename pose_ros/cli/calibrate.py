# SPDX-License-Identifier: Apache-2.0
"""``pose-ros calibrate``: how cameras see and where they stand, from a board or from people, and how sure that is."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pose_ros.cli import console, sightings
from pose_ros.errors import ConfigError

if TYPE_CHECKING:
    from pose_ros.core.camera import Camera
    from pose_ros.multiview.report import Report
    from pose_ros.multiview.rig import Rig

_EPILOG = """\
examples:
  pose-ros calibrate board 5x7:0.04:0.03:DICT_4X4_50 board.png            a board to print
  pose-ros calibrate intrinsics left.mp4 --board 5x7:0.04:0.03:DICT_4X4_50 --output cameras/left.yaml
  pose-ros calibrate rig left=left.mp4 right=right.mp4 --board 5x7:0.04:0.03:DICT_4X4_50 --cameras cameras --output rig
  pose-ros calibrate people left=left.mp4 right=right.mp4 --cameras cameras --height 1.75 --world floor --output rig
  pose-ros calibrate people left=run/left.json right=run/right.json ...   from what `pose-ros run` has found before
  pose-ros calibrate convert Calib.qca.txt rig                            camera_info YAML and static transforms
  pose-ros calibrate convert calibration.json rig.toml --unit mm          for Anipose, Caliscope and Pose2Sim

A board is COLUMNSxROWS:SQUARE:MARKER[:DICTIONARY[:inverted][:legacy]], squares and metres, as measured on the print.
Files that are read: ROS camera_info (a folder), Anipose, Caliscope and Pose2Sim .toml, Qualisys .qca.txt, CMU Panoptic,
Shelf and Campus .json, OpenCV .yml and .xml. --output takes a folder (ROS) or a .toml. See docs/calibration.md.

"""
#: Encoders cut an image to what their blocks divide; more than this share is another picture.
_CUT = 0.05
#: Said of a height that nobody gave.
_HEIGHT = 1.7


def add(commands: Any, common: argparse.ArgumentParser, exit_codes: str) -> None:
    """Add the command to the parser."""
    style = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "calibrate", help="cameras: intrinsics, rig, people, convert", epilog=_EPILOG + exit_codes,
        formatter_class=style,
        description="Find how cameras see and where they stand, say how sure that is, and convert calibrations.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str, handler: Any) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = actions.add_parser(
            name, parents=[common], help=text, description=text, epilog=_EPILOG + exit_codes, formatter_class=style
        )
        sub.set_defaults(handler=handler)
        return sub

    one = action("intrinsics", "How one camera sees, from images of a board.", _intrinsics)
    one.add_argument("source", metavar="SOURCE", help="images, video, webcam number, stream or bag that show the board")
    one.add_argument("--name", default="", help="of the camera (default: that of --output or of the source)")
    one.add_argument("--output", metavar="FILE.yaml", type=Path, help="write a camera_info YAML")
    rig = action("rig", "Where cameras stand, from a board that they see at the same moments.", _rig)
    people = action("people", "Where cameras stand, from people who move before them.", _people)
    for sub in (rig, people):
        sub.add_argument("sources", metavar="NAME=SOURCE", nargs="+", help="what each camera has seen")
        sub.add_argument("--output", metavar="PATH", type=Path, help="folder for ROS, or a .toml")
        sub.add_argument("--optical", default="{name}_optical_frame", metavar="PATTERN",
                         help="TF frame of a camera's images (default: %(default)s)")
    for sub in (one, rig):
        sub.add_argument("--board", required=True, help="such as 5x7:0.04:0.03:DICT_4X4_50, see below")
        sub.add_argument("--model", default="plumb_bob", help="lens: plumb_bob, rational_polynomial (wide), "
                         "equidistant (fisheye); default: %(default)s")
    for sub in (one, rig, people):
        sub.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth frame")
        sub.add_argument("--max-frames", type=int, default=0, metavar="N", help="stop after N frames")
    rig.add_argument("--cameras", metavar="PATH", help="how the cameras see (default: found from the same images)")
    rig.add_argument("--world", choices=("first", "board"), default="first",
                     help="origin: the first camera, or the board as it lies in the first image (default: %(default)s)")
    people.add_argument("--cameras", metavar="PATH", required=True, help="how the cameras see")
    people.add_argument("--model", default="blazepose-full", help="[detector+]estimator (default: %(default)s)")
    people.add_argument("--device", default="auto", help="auto, cpu, cuda, tensorrt, openvino:NAME (default: auto)")
    people.add_argument("--max-subjects", type=int, default=None, metavar="N", help="most people in one image")
    people.add_argument("--height", type=float, default=None, metavar="METRES", help="of the people on average")
    people.add_argument("--distance", metavar="A:B=METRES", help="between two cameras, measured; better than a height")
    people.add_argument("--world", choices=("first", "floor"), default="first",
                        help="origin: the first camera, or the floor below it that people walk on upright (default: "
                        "%(default)s)")
    convert = action("convert", "Read a calibration of any kind and write it as another.", _convert)
    convert.add_argument("source", metavar="IN", help="file or folder")
    convert.add_argument("output", metavar="OUT", type=Path, help="folder for ROS, or a .toml")
    convert.add_argument("--unit", default="", help="m, cm or mm, where the file does not say")
    convert.add_argument("--size", metavar="WxH", default="", help="pixels of the images, where the file does not say")
    convert.add_argument("--frame", default="", help="name of the world frame")
    convert.add_argument("--optical", default="{name}_optical_frame", metavar="PATTERN",
                         help="TF frame of a camera's images (default: %(default)s)")
    board = action("board", "Draw a board to print.", _board)
    board.add_argument("board", help="such as 5x7:0.04:0.03:DICT_4X4_50, see below")
    board.add_argument("output", metavar="FILE.png", type=Path)
    board.add_argument("--pixels", type=int, default=200, help="of one square (default: %(default)s)")


def _board(args: argparse.Namespace) -> int:
    from pose_ros.media.video import write_image
    from pose_ros.multiview.board import Board

    board = Board.parse(args.board)
    write_image(args.output, board.draw(args.pixels, margin=args.pixels // 2))
    text = f"{args.output}: print it so that a square is {board.square * 1000:g} mm wide, and measure it"
    console.show_json({"written": [args.output]}) if args.json else console.show(text)
    return 0


def _intrinsics(args: argparse.Namespace) -> int:
    from pose_ros.multiview import report
    from pose_ros.multiview.board import Board, find_intrinsics
    from pose_ros.multiview.files.ros import camera_info

    board = Board.parse(args.board)
    _, corners, size = sightings.corners(board, args.source, args)
    found = find_intrinsics(board, corners, size, args.model)
    name = args.name or (args.output.stem if args.output else Path(args.source).stem or "camera")
    files = []
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(camera_info(name, found.camera), encoding="utf-8")
        files.append(args.output)
    return _show(args, report.of_intrinsics(name, found, corners), {name: found.camera}, None, files)


def _rig(args: argparse.Namespace) -> int:
    from pose_ros.multiview import report, world
    from pose_ros.multiview.board import Board, find_intrinsics, find_rig
    from pose_ros.multiview.rig import Rig
    from pose_ros.multiview.subjects import Rigid

    board, sources = Board.parse(args.board), _named(args.sources)
    looked = {name: sightings.corners(board, source, args) for name, source in sources.items()}
    warnings: list[str] = []
    if args.cameras:
        cameras = _cameras(args.cameras, {name: size for name, (_, _, size) in looked.items()})
    else:
        cameras = {}
        for name, (_, corners, size) in looked.items():
            lens = find_intrinsics(board, corners, size, args.model)
            cameras[name] = lens.camera
            warnings += report.of_intrinsics(name, lens, corners).warnings
    index = sightings.together([stamps for stamps, _, _ in looked.values()])
    seen = np.stack([sightings.picked(corners, at) for (_, corners, _), at in zip(looked.values(), index, strict=True)])
    adjusted = find_rig(board, cameras, seen)
    rig = Rig(adjusted.posed(list(cameras), list(cameras.values())))
    assert isinstance(adjusted.scene, Rigid)
    if args.world == "board":
        first = int(np.isfinite(seen[..., 0]).any(axis=(0, 2)).argmax())
        rig = world.on_board(rig, adjusted.scene.rotations[first], adjusted.scene.translations[first])
    said = report.of_rig(rig, adjusted, seen)
    return _finish(args, rig, report.Report(said.cameras, [*warnings, *said.warnings]))


def _people(args: argparse.Namespace) -> int:
    from pose_ros.multiview import people, report, world
    from pose_ros.multiview.rig import Rig

    sources = _named(args.sources)
    looked = {name: sightings.tracks(source, args) for name, source in sources.items()}
    skeletons = {skeleton.name: skeleton for _, _, _, skeleton in looked.values()}
    if len(skeletons) > 1:
        raise ConfigError("sources", f"expected one skeleton, got {', '.join(skeletons)}; use one model for all")
    cameras = _cameras(args.cameras, {name: size for name, (_, _, size, _) in looked.items()})
    index = sightings.together([stamps for stamps, _, _, _ in looked.values()])
    tracks = [np.stack([sightings.picked(one, at) for one in tracks]) if len(tracks) else tracks[:, at]
              for (_, tracks, _, _), at in zip(looked.values(), index, strict=True)]  # fmt: skip
    height = _HEIGHT if args.height is None else args.height
    found = people.find_rig(cameras, tracks, next(iter(skeletons.values())), height)
    warnings = []
    if args.distance:
        factor = _measured(args.distance, Rig(found.adjusted.posed(list(cameras), list(cameras.values()))))
        found, height = people.rescaled(found, factor), height * factor
    elif args.height is None:
        warnings.append(f"nobody said how tall the people are: all lengths rest on {_HEIGHT} m; give --height, or a "
                        "--distance that was measured")
    else:
        warnings += people.doubts(found)
    rig = Rig(found.adjusted.posed(list(cameras), list(cameras.values())))
    if args.world == "floor":
        rig = world.on_floor(rig, found.points, height)
    flat = found.seen.reshape(len(cameras), -1, *found.seen.shape[3:])
    said = report.of_rig(rig, found.adjusted, flat, "people")
    return _finish(args, rig, report.Report(said.cameras, [*said.warnings, *warnings]))


def _convert(args: argparse.Namespace) -> int:
    from pose_ros.multiview.files import read_rig, write_rig

    size = None
    if args.size:
        width, _, height = args.size.partition("x")
        if not (width.isdigit() and height.isdigit()):
            raise ConfigError("--size", f"expected WIDTHxHEIGHT, such as 1920x1080, got '{args.size}'")
        size = int(width), int(height)
    rig = read_rig(args.source, unit=args.unit, size_wh=size, frame_id=args.frame)
    files = write_rig(rig, args.output, args.optical)
    if args.json:
        console.show_json({"cameras": _placed(rig), "frame_id": rig.frame_id, "written": files})
        return 0
    rows = [[c.name, f"{c.camera.size_wh[0]} x {c.camera.size_wh[1]}", c.camera.model or "no distortion",
             " ".join(f"{x:.3f}" for x in c.centre)] for c in rig]  # fmt: skip
    table = console.Table(["camera", "image", "lens", f"x y z in {rig.frame_id}, m"], rows)
    console.show(table, "\n".join(["written:", *(f"  {f}" for f in files)]))
    return 0


def _finish(args: argparse.Namespace, rig: Rig, report: Report) -> int:
    from pose_ros.multiview.files import write_rig

    files = write_rig(rig, args.output, args.optical) if args.output else []
    if args.output and args.output.is_dir():
        files.append(args.output / "report.json")
        files[-1].write_text(json.dumps(console.jsonable(report.to_dict()), indent=2) + "\n", encoding="utf-8")
    return _show(args, report, {c.name: c.camera for c in rig}, rig, files)


def _show(
    args: argparse.Namespace, report: Report, cameras: Mapping[str, Camera], rig: Rig | None, files: Sequence[Path]
) -> int:
    if args.json:
        placed = _placed(rig) if rig else [_seeing(name, camera) for name, camera in cameras.items()]
        console.show_json({"cameras": placed, "report": report.to_dict(), "written": list(files)})
        return 0
    titles = {"name": "camera", "images": "images", "seen": "seen", "points": "points", "rms_px": "rms px",
              "median_px": "median px", "coverage": "covered %", "let_go": "let go %", "baseline_m": "nearest m",
              "position_mm": "position ± mm", "angle_deg": "angle ± deg", "focal_px": "focal ± px"}  # fmt: skip
    rows = [{key: getattr(camera, key) for key in titles} for camera in report.cameras]
    for row in rows:
        row["coverage"], row["let_go"] = 100 * row["coverage"], 100 * row["let_go"]
        row |= {key: f"{row[key]:.2f}" for key in ("rms_px", "median_px", "baseline_m", "angle_deg", "focal_px")
                if np.isfinite(row[key])}  # fmt: skip
    kept = [key for key in titles if any(cell == cell for cell in (row[key] for row in rows))]
    parts: list[console.Table | str] = [
        console.Table([titles[key] for key in kept], [[row[key] for key in kept] for row in rows])
    ]
    if report.warnings:
        parts.append("\n".join(["look at:", *(f"  {warning}" for warning in report.warnings)]))
    if files:
        parts.append("\n".join(["written:", *(f"  {f}" for f in files)]))
    console.show(*parts)
    return 0


def _seeing(name: str, camera: Camera) -> dict[str, Any]:
    return {"name": name, "size_wh": camera.size_wh, "model": camera.model, "K": camera.K, "D": camera.D}


def _placed(rig: Rig) -> list[dict[str, Any]]:
    return [{**_seeing(c.name, c.camera), "rotation": c.rotation, "translation": c.translation, "centre": c.centre}
            for c in rig]  # fmt: skip


def _named(sources: Sequence[str]) -> dict[str, str]:
    """Return the sources of NAME=SOURCE by name."""
    pairs = [source.partition("=") for source in sources]
    names = [name for name, _, _ in pairs]
    if not all(name and source for name, _, source in pairs) or len(set(names)) < max(len(names), 2):
        raise ConfigError("sources", "expected two or more NAME=SOURCE with different names, such as left=left.mp4 "
                                     f"right=right.mp4; got {' '.join(sources)}")
    return {name: source for name, _, source in pairs}


def _cameras(path: str, sizes: Mapping[str, tuple[int, int]]) -> dict[str, Camera]:
    """Return the cameras of a file, for images of the sizes that came."""
    from pose_ros.media.calibration import resize_camera
    from pose_ros.multiview.files import read_cameras

    known = read_cameras(path, size_wh=next(iter(sizes.values())))
    missing = [name for name in sizes if name not in known]
    if missing:
        raise ConfigError("--cameras", f"'{path}' has no {', '.join(missing)}; it has {', '.join(known)}")
    cameras = {}
    for name, size in sizes.items():
        camera = known[name]
        if size != camera.size_wh:
            said = f"images are {size[0]} x {size[1]}, the calibration is of {camera.size_wh[0]} x {camera.size_wh[1]}"
            shares = np.array(size) / camera.size_wh
            if shares.min() < (1 - _CUT) * shares.max():
                raise ConfigError("--cameras", f"{name}: {said}; expected the same shape")
            whole = (round(camera.size_wh[0] * shares.max()), round(camera.size_wh[1] * shares.max()))
            camera = dataclasses.replace(resize_camera(camera, whole), size_wh=size)
            cut = "" if whole == size else ", and cut at the right or the bottom"
            console.note(f"{name}: {said}: taken as scaled by {shares.max():.3g}{cut}")
        cameras[name] = camera
    return cameras


def _measured(text: str, rig: Rig) -> float:
    """Return by what a rig has to be stretched for two cameras to be as far apart as A:B=METRES says."""
    pair, _, metres = text.partition("=")
    first, _, second = pair.partition(":")
    centres = {camera.name: camera.centre for camera in rig}
    try:
        apart = float(np.linalg.norm(centres[first] - centres[second]))
        if not (float(metres) > 0 and apart > 0):
            raise ValueError
        return float(metres) / apart
    except (KeyError, ValueError) as error:
        raise ConfigError("--distance", f"expected two of {', '.join(centres)} and their distance, such as "
                                        f"{':'.join(list(centres)[:2])}=3.21; got '{text}'") from error
