# SPDX-License-Identifier: Apache-2.0
"""``pose-ros up``: run the nodes of a YAML file, watch them, and end them in order."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pose_ros
from pose_ros.cli import console, live
from pose_ros.errors import UnknownNameError

if TYPE_CHECKING:
    from pose_ros.cli.node_spec import NodeSpec

_FAILED = 1

_EPILOG = """\
CONFIG is a ROS 2 parameter file, the same that `ros2 run ... --params-file` and launch files take, or the name of a
shipped one (demo, body, hand, face, animal, wholebody, everything, rgbd, lifted, multiview, cell, action,
manipulation, hri, web, topdown):

  camera:
    ros__parameters:
      plugin: camera_node        # which node runs under this name: camera_node, pose_node, multiview_node,
                                 # action_node, player_node, recorder_node or web_node
      source: ""
  pose:
    ros__parameters:
      plugin: pose_node
      model: blazepose-full

Every key is checked before anything starts. Models that are not here are fetched first. Cameras start when the models
are loaded (one with `wait_for_subscribers` sees to that itself). When a camera's source has ended, the others get a
moment to finish and are closed, so that videos and bags are complete. When a node fails, all are stopped and its last
words are shown, unless it is to be started again:

  /**:                           # all nodes, or the block of one
    ros__parameters:
      process:
        managed: true            # configured and activated here, one after the other as the file has them
        restart: 5               # started again when it has died, after 1 s, 2 s, 4 s ...
        name: eyes               # nodes of one name share a process, and the images that they hear
        cpus: "2,3"              # where it may run

Unless ROS_AUTOMATIC_DISCOVERY_RANGE is set, the nodes are seen on this machine only (LOCALHOST).

examples:
  pose-ros up demo                                            a photograph under a moving camera, recorded to out/
  pose-ros up demo --source clip.mp4 --output found           your video, image folder, webcam number, stream or bag
  pose-ros up demo --web                                      and a web page that shows it
  pose-ros up demo --set pose.model=blazepose-lite --set pose.top_down.max_subjects=1
  pose-ros up wholebody --source clip.mp4                     a robot's file; the camera that it lacks is added
  pose-ros up lifted --source clip.mp4 --set camera.fov=60    its options too: a video has no calibration, guess one
  pose-ros up multiview --source bag/                         several cameras, played from a bag
  pose-ros up demo --source bag/ --exact --output a           the same skeletons every time; see `pose-ros bag diff`
  pose-ros up body --namespace robot1                         /robot1/pose, TF frames robot1/body_1 ...
  pose-ros up config/body.yaml                                only the estimator, for a camera driver's topics

"""


def add(commands: Any, common: argparse.ArgumentParser, exit_codes: str) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "up",
        parents=[common],
        help="run the ROS 2 nodes of a YAML file, with a live table",
        description="Run the ROS 2 nodes that a YAML file names, in a process each or several in one, look after them, "
                    "and show how they do.",
        epilog=_EPILOG + exit_codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", metavar="CONFIG", type=Path, help="ROS 2 parameter file or `demo`, see below")
    parser.add_argument("--source", help="what the camera nodes read, instead of the file's `source`; where the file "
                        "has no camera_node, one is added and the others hear it; for several cameras, a bag")
    parser.add_argument("--output", metavar="DIR", help="where recorder nodes write, instead of the file's `output`")
    parser.add_argument("--exact", action="store_true", help="play the bag of --source image by image, so that it "
                        "gives the same skeletons every time, bit for bit, at any speed (--set player.speed=4)")
    parser.add_argument("--web", action="store_true", help="also serve the web page; where the file has no web_node, "
                        "one is added")
    parser.add_argument("--set", dest="overrides", metavar="NODE.KEY=VALUE", action="append", default=[],
                        help="another value for one parameter; may be given many times")
    parser.add_argument("--namespace", default="", metavar="NAME",
                        help="put before the names of all nodes and their relative topics, and of their TF frames "
                             "unless the file says a tf_prefix: one stack for each robot")
    parser.add_argument("--remap", dest="remaps", metavar="FROM:=TO", action="append", default=[],
                        help="another name for a topic or service, such as /tf:=tf; for all nodes, many times")
    parser.add_argument("--no-table", action="store_true", help="plain lines instead of the live table")
    parser.add_argument("--log-format", choices=("text", "json"), default=os.environ.get("POSE_ROS_LOG_FORMAT", "text"),
                        help="json: all that the nodes log, and how they do, as one JSON object per line "
                        "(default: %(default)s, of POSE_ROS_LOG_FORMAT)")
    parser.add_argument("--log-dir", metavar="DIR", type=Path,
                        help="where the nodes' logs go (default: `log` in the recorder's output, or ROS's log folder)")
    parser.add_argument("--offline", action="store_true", help="fail when a model is not here instead of fetching it")
    parser.set_defaults(handler=handle)


def handle(args: argparse.Namespace) -> int:
    """Run the command."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ["POSE_ROS_LOG_FORMAT"] = args.log_format
    as_json = args.log_format == "json"
    from pose_ros.cli import compose

    overrides = list(args.overrides)
    overrides += [f"recorder_node.output={args.output}"] if args.output is not None else []
    config = _find(args.config)
    specs = compose.load(config, overrides, args.source, args.namespace, args.remaps, web=args.web,
                         exact=args.exact)
    _fetch_models(specs, offline=args.offline)
    from pose_ros.cli.running import Run

    outputs = [Path(str(_value(s, "output"))).expanduser() for s in specs if s.plugin == "recorder_node"]
    log_dir: Path = args.log_dir or (outputs[0] / "log" if outputs else _ros_log_dir())
    log_dir.mkdir(parents=True, exist_ok=True)
    began = time.time()
    for spec in specs:
        if spec.plugin == "web_node":
            console.note(f"{spec.path} serves http://{_value(spec, 'host')}:{_value(spec, 'port')}/")
    run = Run(config.resolve(), specs, log_dir, live.Display(live=not args.no_table, as_json=as_json))
    code, why = run()
    files = sorted(
        str(p) for folder in outputs for p in folder.rglob("*")
        if p.is_file() and log_dir not in p.parents and p.stat().st_mtime >= began
    )
    for child in run.children:
        if code == _FAILED and child.code:
            console.note("\n".join([f"last words of {child.name}:", *(f"  {line}" for line in child.tail)]))
    nodes = [live.row(watched, total=True) for watched in run.watched]
    if args.json:
        console.show_json({"exit_code": code, "why": why, "nodes": nodes, "files": files, "log": str(log_dir)})
    else:
        text = [f"{why}; logs are in {log_dir}", *(["written:"] if files else []), *(f"  {f}" for f in files)]
        console.show(live.table(nodes), "\n".join(text))
    return code


def _find(config: Path) -> Path:
    """Return the file, or the shipped configuration of that name: beside the sources, or where a build installed it."""
    if config.exists() or config.name != str(config) or config.suffix:
        return config
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    shares = [Path(pose_ros.__file__).parents[1], *(Path(p, "share", "pose_ros") for p in [*prefixes, sys.prefix] if p)]
    found = {path.stem: path for share in reversed(shares) for path in share.glob("config/*.yaml")}
    if config.name not in found:
        raise UnknownNameError("configuration", config.name, found, "or give the path of a file")
    return found[config.name]


def _fetch_models(specs: Sequence[NodeSpec], *, offline: bool) -> None:
    """Bring the models here before any node starts: nodes never wait for a network."""
    from pose_ros.cli.fetching import fetch
    from pose_ros.cli.node_options import pipeline_config
    from pose_ros.models.store import Store
    from pose_ros.wiring import models

    store = Store()
    for spec in specs:
        if spec.plugin == "pose_node":
            for card in models(pipeline_config(spec.parameters), store):
                store.path(card) if offline else fetch(store, card)


def _value(spec: NodeSpec, key: str) -> Any:
    """Return a parameter of a node, or its default."""
    from pose_ros.cli.node_options import options_of

    return spec.parameters.get(key, options_of(spec.plugin, spec.parameters)[key].default)


def _ros_log_dir() -> Path:
    own = os.environ.get("ROS_LOG_DIR")
    base = Path(own) if own else Path(os.environ.get("ROS_HOME", Path.home() / ".ros")) / "log"
    return base / f"pose-ros-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
