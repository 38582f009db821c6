# SPDX-License-Identifier: Apache-2.0
"""``pose-ros calibrate``: how cameras see and where they stand, from a board or from people, and how sure that is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

_EPILOG = """\
examples:
  pose-ros calibrate board 5x7:0.04:0.03:DICT_4X4_50 board.png            a board to print
  pose-ros calibrate intrinsics left.mp4 --board 5x7:0.04:0.03:DICT_4X4_50 --output cameras/left.yaml
  pose-ros calibrate rig left=left.mp4 right=right.mp4 --board 5x7:0.04:0.03:DICT_4X4_50 --cameras cameras --output rig
  pose-ros calibrate people left=left.mp4 right=right.mp4 --cameras cameras --height 1.75 --world floor --output rig
  pose-ros calibrate people left=run/left.json right=run/right.json ...   from what `pose-ros run` has found before
  pose-ros calibrate people left=bag#/left/skeletons right=bag#/right/skeletons ...   from what pose nodes published
  pose-ros calibrate convert Calib.qca.txt rig                            camera_info YAML and static transforms
  pose-ros calibrate convert calibration.json rig.toml --unit mm          for Anipose, Caliscope and Pose2Sim

A board is COLUMNSxROWS:SQUARE:MARKER[:DICTIONARY[:inverted][:legacy]], squares and metres, as measured on the print.
Files that are read: ROS camera_info (a folder), Anipose, Caliscope and Pose2Sim .toml, Qualisys .qca.txt, CMU Panoptic,
Shelf and Campus .json, OpenCV .yml and .xml. --output takes a folder (ROS) or a .toml. See docs/calibration.md.

"""

def add(commands: Any, common: argparse.ArgumentParser, exit_codes: str) -> None:
    """Add the command to the parser."""
    style = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "calibrate", help="cameras: intrinsics, rig, people, convert", epilog=_EPILOG + exit_codes,
        formatter_class=style,
        description="Find how cameras see and where they stand, say how sure that is, and convert calibrations.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = actions.add_parser(
            name, parents=[common], help=text, description=text, epilog=_EPILOG + exit_codes, formatter_class=style
        )
        sub.set_defaults(handler=_handle)
        return sub

    one = action("intrinsics", "How one camera sees, from images of a board.")
    one.add_argument("source", metavar="SOURCE", help="images, video, webcam number, stream or bag that show the board")
    one.add_argument("--name", default="", help="of the camera (default: that of --output or of the source)")
    one.add_argument("--output", metavar="FILE.yaml", type=Path, help="write a camera_info YAML")
    rig = action("rig", "Where cameras stand, from a board that they see at the same moments.")
    people = action("people", "Where cameras stand, from people who move before them.")
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
    people.add_argument("--max-offset", type=float, default=0.5, metavar="SECONDS",
                        help="look by how much stamps, or beginnings of recordings, differ, up to this; 0 takes them "
                        "as they are (default: %(default)s)")
    people.add_argument("--world", choices=("first", "floor"), default="first",
                        help="origin: the first camera, or the floor below it that people walk on upright (default: "
                        "%(default)s)")
    convert = action("convert", "Read a calibration of any kind and write it as another.")
    convert.add_argument("source", metavar="IN", help="file or folder")
    convert.add_argument("output", metavar="OUT", type=Path, help="folder for ROS, or a .toml")
    convert.add_argument("--unit", default="", help="m, cm or mm, where the file does not say")
    convert.add_argument("--size", metavar="WxH", default="", help="pixels of the images, where the file does not say")
    convert.add_argument("--frame", default="", help="name of the world frame")
    convert.add_argument("--optical", default="{name}_optical_frame", metavar="PATTERN",
                         help="TF frame of a camera's images (default: %(default)s)")
    board = action("board", "Draw a board to print.")
    board.add_argument("board", help="such as 5x7:0.04:0.03:DICT_4X4_50, see below")
    board.add_argument("output", metavar="FILE.png", type=Path)
    board.add_argument("--pixels", type=int, default=200, help="of one square (default: %(default)s)")


def _handle(args: argparse.Namespace) -> int:
    # NumPy is not loaded to show a help text.
    from pose_ros.cli import calibrating

    code: int = getattr(calibrating, args.action)(args)
    return code
