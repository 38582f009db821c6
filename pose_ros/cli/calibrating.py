# SPDX-License-Identifier: Apache-2.0
"""What ``pose-ros calibrate`` does; the command line is :mod:`pose_ros.cli.calibrate`."""

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

#: Encoders cut an image to what their blocks divide; more than this share is another picture.
_CUT = 0.05
#: Said of a height that nobody gave.
_HEIGHT = 1.7


def board(args: argparse.Namespace) -> int:
    """Draw a board to print."""
    from pose_ros.media.video import write_image
    from pose_ros.multiview.board import Board

    board = Board.parse(args.board)
    write_image(args.output, board.draw(args.pixels, margin=args.pixels // 2))
    text = f"{args.output}: print it so that a square is {board.square * 1000:g} mm wide, and measure it"
    console.show_json({"written": [args.output]}) if args.json else console.show(text)
    return 0


def intrinsics(args: argparse.Namespace) -> int:
    """Find how one camera sees."""
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


def rig(args: argparse.Namespace) -> int:
    """Find where cameras stand, from a board."""
    from pose_ros.multiview import report, world
    from pose_ros.multiview.board import Board, find_intrinsics, find_rig
    from pose_ros.multiview.rig import Rig
    from pose_ros.multiview.subjects import Rigid

    board, sources = Board.parse(args.board), _named(args.sources)
    looked = {name: sightings.corners(board, source, args) for name, source in sources.items()}
    warnings: list[str] = []
    if args.cameras:
        cameras = image_cameras(args.cameras, {name: size for name, (_, _, size) in looked.items()})
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


def people(args: argparse.Namespace) -> int:
    """Find where cameras stand, from people."""
    from pose_ros.multiview import people, report, world
    from pose_ros.multiview.rig import Rig

    sources = _named(args.sources)
    looked = {name: sightings.tracks(source, args) for name, source in sources.items()}
    skeletons = {skeleton.name: skeleton for _, _, _, skeleton in looked.values()}
    if len(skeletons) > 1:
        raise ConfigError("sources", f"expected one skeleton, got {', '.join(skeletons)}; use one model for all")
    cameras = image_cameras(args.cameras, {name: size for name, (_, _, size, _) in looked.items()})
    stamps, tracks = [one[0] for one in looked.values()], [one[1] for one in looked.values()]
    height = _HEIGHT if args.height is None else args.height
    found = people.find_rig(cameras, tracks, next(iter(skeletons.values())), height, stamps, args.max_offset)
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
    said = report.of_rig(rig, found.adjusted, flat, "people", (found.offsets_s, found.offset_deviations_s))
    return _finish(args, rig, report.Report(said.cameras, [*said.warnings, *warnings]))


def convert(args: argparse.Namespace) -> int:
    """Write a calibration as another kind."""
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
              "position_mm": "position ± mm", "angle_deg": "angle ± deg", "focal_px": "focal ± px",
              "offset_ms": "stamps + ms", "offset_deviation_ms": "± ms"}  # fmt: skip
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


def image_cameras(path: Path | str, sizes: Mapping[str, tuple[int, int]]) -> dict[str, Camera]:
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
